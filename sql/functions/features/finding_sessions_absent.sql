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
    select r.id, r.ts, v.value
    from unnest(p_ids, p_froms) as w (id, from_ts)
    join features.cmc_returns_daily as r on r.id = w.id and r.ts >= w.from_ts
    cross join lateral (values (r.gap_days - 1.0::double precision)) as v (value)
    where v.value > p_threshold;
end
$$;

comment on function features.finding_sessions_absent(integer[], timestamptz[], double precision) is
    'Candles before which more sessions than the threshold have none; how many.';
