-- features.off_calendar(p_ids, p_froms, p_table): where a daily table and the calendar part, one row for each.
--
--     select o.* from features.off_calendar('{1}', '{-infinity}', 'features.cmc_returns_daily') as o;
--
-- Such a table has a row for every scheduled session between an asset's first and last candle, and no other.
-- Rows before an asset's p_froms are not looked at.
--
-- requires: functions/features/sessions_between.sql

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
        select coalesce(r.id, s.id), coalesce(r.ts, s.ts), case when s.id is null then 1.0 else -1.0 end::double precision
        from (
            select t.id, t.ts
            from unnest($1, $2) as w (id, from_ts)
            join %s as t on t.id = w.id and t.ts >= w.from_ts
        ) as r
        full join (
            select w.id, u.ts
            from unnest($1, $2) as w (id, from_ts)
            cross join lateral (
                select b.ts from bars.cmc_price_histories7 as b where b.id = w.id order by b.ts limit 1
            ) as f
            cross join lateral (
                select b.ts from bars.cmc_price_histories7 as b where b.id = w.id order by b.ts desc limit 1
            ) as l
            cross join lateral unnest(
                features.sessions_between(w.id, greatest(f.ts, w.from_ts), l.ts)
            ) as u (ts)
        ) as s on s.id = r.id and s.ts = r.ts
        where r.id is null or s.id is null
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
