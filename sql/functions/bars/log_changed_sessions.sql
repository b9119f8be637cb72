-- bars.log_changed_sessions(): make dirty what stands on sessions that came or went, as a statement trigger.
--
--     delete from timemodel.session_calendar as c where c.session_date = '2025-01-09';
--
-- Of every asset of that session that has candles, the range from the first of them to the last
-- goes to dirty_range; from its first candle on, if that is later. A candle whose session went
-- stays where it is, see stray_candles().
--
-- requires: functions/bars/log_dirty_range.sql

create or replace function bars._log_sessions(
    p_session_id text,
    p_from timestamptz,
    p_to timestamptz
)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    v_id    integer;
    v_first timestamptz;
begin
    for v_id, v_first in
        select a.id, c.first_ts
        from bars.dim_assets as a
        cross join lateral (
            select min(p.ts) as first_ts
            from bars.cmc_price_histories7 as p
            where p.id = a.id
        ) as c
        where a.session_id = p_session_id
          and c.first_ts is not null
        order by a.id
    loop
        perform bars.log_dirty_range(v_id, greatest(p_from, v_first), greatest(p_to, v_first));
    end loop;
end
$$;

comment on function bars._log_sessions(text, timestamptz, timestamptz) is
    'Private: a dirty range for every consumer of every asset of the session that has candles.';

create or replace function bars.log_changed_sessions()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_changed record;
begin
    for v_changed in
        select
            c.session_id,
            min(c.closes_at) - interval '1 millisecond' as from_ts,
            max(c.closes_at) - interval '1 millisecond' as to_ts
        from changed_rows as c
        group by c.session_id
        order by c.session_id
    loop
        perform bars._log_sessions(v_changed.session_id, v_changed.from_ts, v_changed.to_ts);
    end loop;
    return null;
end
$$;

comment on function bars.log_changed_sessions() is
    'After sessions came into a calendar or went: a dirty range over them for every asset of theirs.';

create or replace trigger log_inserted
    after insert on timemodel.session_calendar
    referencing new table as changed_rows
    for each statement execute function bars.log_changed_sessions();

create or replace trigger log_deleted
    after delete on timemodel.session_calendar
    referencing old table as changed_rows
    for each statement execute function bars.log_changed_sessions();
