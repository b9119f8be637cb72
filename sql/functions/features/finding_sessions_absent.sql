-- features.finding_sessions_absent(p_ids, p_froms, p_threshold): holes between two candles, one row for each.
--
--     select f.* from features.finding_sessions_absent('{1}', '{-infinity}', 0) as f;
--
-- A rule of dim_finding_rules. A hole is told once, at the candle after it.

create or replace function features.finding_sessions_absent(
    p_ids integer[],
    p_froms timestamptz[],
    p_threshold double precision
)
returns table (id integer, ts timestamptz, value double precision)
language plpgsql
stable parallel safe
as $$
begin
    return query
    select w.id, r.ts, r.value
    from unnest(p_ids, p_froms) as w (id, from_ts)
    cross join lateral (
        select d.ts, d.gap_days - 1.0::double precision as value
        from features.cmc_returns_daily as d
        where d.id = w.id
          and d.ts >= w.from_ts
        -- By the key, asset by asset: a join may read the whole table for a new day.
        offset 0
    ) as r
    where r.value > p_threshold;
end
$$;

comment on function features.finding_sessions_absent(integer[], timestamptz[], double precision) is
    'Candles before which more sessions than the threshold have none; how many.';
