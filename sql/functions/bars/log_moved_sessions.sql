-- bars.log_moved_sessions(): let candles follow sessions that close at another moment, as a statement trigger.
--
--     update timemodel.session_calendar as c set closes_at = c.closes_at - interval '3 hours'
--     where c.session_date = '2024-07-03';
--
-- A candle is stamped with the end of its session: it moves along, a change like any other, and
-- the revision log has it at the earlier ts. As for sessions that came or went, the range is
-- dirty, here also where only the opening moved. Another number is no change.
--
-- requires: functions/bars/log_changed_sessions.sql

create or replace function bars._move_candles(
    p_session_id text,
    p_from timestamptz[],
    p_to timestamptz[]
)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    v_id integer;
begin
    for v_id in
        select a.id from bars.dim_assets as a where a.session_id = p_session_id order by a.id
    loop
        -- Taken out and put in, not updated: the partition may be another one.
        with taken as (
            delete from bars.cmc_price_histories7 as p
            using unnest(p_from, p_to) as m (from_ts, to_ts)
            where p.id = v_id
              and p.ts = m.from_ts
            returning p.*, m.to_ts
        )
        insert into bars.cmc_price_histories7 as p (
            id, ts, open, high, low, close, volume, market_cap, time_high, time_low
        )
        select
            t.id, t.to_ts, t.open, t.high, t.low, t.close, t.volume, t.market_cap, t.time_high, t.time_low
        from taken as t
        on conflict (id, ts) do nothing;
    end loop;
end
$$;

comment on function bars._move_candles(text, timestamptz[], timestamptz[]) is
    'Private: gives the candles of a session''s assets another ts; one that stands there already stays.';

create or replace function bars.log_moved_sessions()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_moved record;
begin
    for v_moved in
        select
            session_id,
            min(least(o.closes_at, n.closes_at)) - interval '1 millisecond' as from_ts,
            max(greatest(o.closes_at, n.closes_at)) - interval '1 millisecond' as to_ts,
            array_agg(o.closes_at - interval '1 millisecond') filter (where c.is_other) as old_ts,
            array_agg(n.closes_at - interval '1 millisecond') filter (where c.is_other) as new_ts
        from old_rows as o
        full join new_rows as n using (session_id, session_date)
        cross join lateral (select o.closes_at <> n.closes_at as is_other) as c
        where (o.opens_at, o.closes_at) is distinct from (n.opens_at, n.closes_at)
        group by session_id
        order by session_id
    loop
        perform bars._move_candles(v_moved.session_id, v_moved.old_ts, v_moved.new_ts);
        perform bars._log_sessions(v_moved.session_id, v_moved.from_ts, v_moved.to_ts);
    end loop;
    return null;
end
$$;

comment on function bars.log_moved_sessions() is
    'After sessions of a calendar changed: moves their candles to the new ends, and logs dirty ranges.';

create or replace trigger log_updated
    after update on timemodel.session_calendar
    referencing old table as old_rows new table as new_rows
    for each statement execute function bars.log_moved_sessions();
