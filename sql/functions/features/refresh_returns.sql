-- features.refresh_returns(p_id, p_rebuild): bring one asset's returns up to date, as counts of rows.
--
--     select c.rows_written from features.refresh_returns(1, false) as c;
--
-- The pattern of every computation: take the dirty ranges, read the candles, let the kernel
-- work out what differs, write that, keep how far it came.
--
-- requires: functions/features/take_dirty.sql, functions/features/returns_kernel.sql
-- requires: functions/features/replace_rows.sql, functions/features/record_progress.sql
-- requires: functions/timemodel/sessions.sql

create or replace function features._sessions(p_id integer, p_from timestamptz, p_to timestamptz)
returns timestamptz[]
language sql
stable strict parallel safe
as $$
select array_agg(s.time_close order by s.time_close)
from bars.dim_assets as a
join timemodel.dim_sessions as d on d.session_id = a.session_id
-- A session may end on the day after its date.
cross join lateral timemodel.sessions(
    a.session_id,
    greatest((p_from at time zone d.timezone)::date - 1, d.calendar_from),
    (p_to at time zone d.timezone)::date
) as s
where a.id = p_id
  and s.time_close between p_from and p_to
$$;

comment on function features._sessions(integer, timestamptz, timestamptz) is
    'Private: the ts of every scheduled session of the asset between two candles, both included.';

create or replace function features.refresh_returns(p_id integer, p_rebuild boolean)
returns table (rows_read bigint, rows_written bigint, rows_unchanged bigint)
language plpgsql
volatile parallel unsafe
as $$
declare
    -- Enough for 252 values of the 30-session return and one more, without gaps.
    v_look     integer := 320;
    v_from     timestamptz;
    v_after    timestamptz;
    v_sessions bytea;
    v_ts       bytea;
    v_close    bytea;
    v_whole    boolean;
    v_read     bigint;
    v_stored   bytea[];
    v_kernel   record;
begin
    v_from := features.take_dirty(p_id, 'returns', p_rebuild);
    if v_from is null then
        return query select 0::bigint, 0::bigint, 0::bigint;
        return;
    end if;
    -- Rows stand from the first candle to the last, gaps included. So whatever happened at v_from,
    -- the rows up to the candle before it stay, and every later one may come, change or go.
    select coalesce(max(b.ts), '-infinity')
    into v_after
    from bars.cmc_price_histories7 as b
    where b.id = p_id
      and b.ts < v_from;

    select array_agg(record_send(r))
    into v_stored
    from features.cmc_returns_daily as r
    where r.id = p_id
      and r.ts > v_after;

    loop
        select
            array_send(features._sessions(p_id, min(c.ts), max(c.ts))),
            array_send(array_agg(c.ts order by c.ts)),
            array_send(array_agg(c.close order by c.ts)),
            count(*) filter (where c.ts <= v_after) < v_look,
            count(*)
        into v_sessions, v_ts, v_close, v_whole, v_read
        from (
            (
                select b.ts, b.close
                from bars.cmc_price_histories7 as b
                where b.id = p_id
                  and b.ts <= v_after
                order by b.ts desc
                limit v_look
            )
            union all
            select b.ts, b.close
            from bars.cmc_price_histories7 as b
            where b.id = p_id
              and b.ts > v_after
        ) as c;

        select k.*
        into v_kernel
        from features.returns_kernel(
            p_id, v_sessions, v_ts, v_close, v_whole, timestamptz_send(v_after), v_stored
        ) as k;
        exit when v_kernel.complete;
        -- Gaps spread 252 values over more candles.
        v_look := 4 * v_look;
    end loop;

    perform features.replace_rows(
        'features.cmc_returns_daily', p_id, v_kernel.stale, v_kernel.packed
    );
    perform features.record_progress(p_id, 'returns', v_kernel.last_ts);
    return query select v_read, v_kernel.changed::bigint, v_kernel.unchanged::bigint;
end
$$;

comment on function features.refresh_returns(integer, boolean) is
    'Brings cmc_returns_daily up to date for one asset; candles read, rows written or removed, rows left alone.';
