-- features.finding_volatility_too_large(p_ids, p_froms, p_threshold): annualised volatilities over a threshold, one row for each.
--
--     select f.* from features.finding_volatility_too_large('{1}', '{-infinity}', 5) as f;
--
-- A rule of dim_finding_rules.

create or replace function features.finding_volatility_too_large(
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
        select
            d.ts,
            greatest(
                d.parkinson_20, d.parkinson_63, d.parkinson_126,
                d.garman_klass_20, d.garman_klass_63, d.garman_klass_126,
                d.rogers_satchell_20, d.rogers_satchell_63, d.rogers_satchell_126,
                d.close_to_close_20, d.close_to_close_63, d.close_to_close_126
            ) as value
        from features.cmc_vol_daily as d
        where d.id = w.id
          and d.ts >= w.from_ts
        -- By the key, asset by asset: a join may read the whole table for a new day.
        offset 0
    ) as r
    where r.value > p_threshold;
end
$$;

comment on function features.finding_volatility_too_large(integer[], timestamptz[], double precision) is
    'Rows with an annualised volatility over the threshold, a fraction; the largest of the row.';
