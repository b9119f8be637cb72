-- features.off_calendar(p_ids, p_froms, p_table): where a daily table and the calendar part, one row for each.
--
--     select o.* from features.off_calendar('{1}', '{-infinity}', 'features.cmc_returns_daily') as o;
--
-- Such a table has a row for every scheduled session between an asset's first and last candle, and no other.
-- Rows before an asset's p_froms are not looked at.
--
-- requires: functions/timemodel/sessions.sql

create or replace function features.off_calendar(
    p_ids integer[],
    p_froms timestamptz[],
    p_table regclass
)
returns table (id integer, ts timestamptz, value double precision)
language plpgsql
stable parallel safe
as $$
begin
    for id, ts, value in execute format(
        $query$
        with span as materialized (
            select w.id, a.session_id, greatest(w.from_ts, f.ts) as from_ts, l.ts as to_ts
            from unnest($1, $2) as w (id, from_ts)
            join bars.dim_assets as a on a.id = w.id
            cross join lateral (
                select b.ts from bars.cmc_price_histories7 as b where b.id = w.id order by b.ts limit 1
            ) as f
            cross join lateral (
                select b.ts from bars.cmc_price_histories7 as b where b.id = w.id order by b.ts desc limit 1
            ) as l
        ), calendar as materialized (
            select g.session_id, array_agg(c.time_close order by c.time_close) as ts
            from (
                select s.session_id, min(s.from_ts) as from_ts, max(s.to_ts) as to_ts
                from span as s
                group by s.session_id
            ) as g
            join timemodel.dim_sessions as d on d.session_id = g.session_id
            -- A session may end on the day after its date.
            cross join lateral timemodel.sessions(
                g.session_id,
                greatest((g.from_ts at time zone d.timezone)::date - 1, d.calendar_from),
                (g.to_ts at time zone d.timezone)::date
            ) as c
            group by g.session_id
        ), compared as materialized (
            -- Each asset's rows and its part of the calendar as two arrays: nearly always they are the same.
            select
                w.id,
                array(
                    -- By the key, asset by asset: a join may read the whole table for a new day.
                    select t.ts from %s as t where t.id = w.id and t.ts >= w.from_ts order by t.ts
                ) as stored,
                coalesce(s.ts, '{}') as scheduled
            from unnest($1, $2) as w (id, from_ts)
            left join (
                select
                    n.id,
                    c.ts[
                        width_bucket(n.from_ts - interval '1 microsecond', c.ts) + 1
                        : width_bucket(n.to_ts, c.ts)
                    ] as ts
                from span as n
                join calendar as c on c.session_id = n.session_id
            ) as s on s.id = w.id
        )
        select d.id, o.ts, o.value
        from compared as d
        cross join lateral (
            select coalesce(r.ts, s.ts) as ts, case when s.ts is null then 1.0 else -1.0 end::double precision as value
            from unnest(d.stored) as r (ts)
            full join unnest(d.scheduled) as s (ts) on s.ts = r.ts
            where r.ts is null or s.ts is null
        ) as o
        where d.stored <> d.scheduled
        $query$,
        p_table
    ) using p_ids, p_froms
    loop
        return next;
    end loop;
end
$$;

comment on function features.off_calendar(integer[], timestamptz[], regclass) is
    'Rows that are no session (1) and sessions that have no row (-1), from a ts on for each asset.';
