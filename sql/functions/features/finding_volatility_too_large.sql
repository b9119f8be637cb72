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
    select r.id, r.ts, v.value
    from unnest(p_ids, p_froms) as w (id, from_ts)
    join features.cmc_vol_daily as r on r.id = w.id and r.ts >= w.from_ts
    cross join lateral (
        values (
            greatest(
                r.parkinson_20, r.parkinson_63, r.parkinson_126,
                r.garman_klass_20, r.garman_klass_63, r.garman_klass_126,
                r.rogers_satchell_20, r.rogers_satchell_63, r.rogers_satchell_126,
                r.close_to_close_20, r.close_to_close_63, r.close_to_close_126
            )
        )
    ) as v (value)
    where v.value > p_threshold;
end
$$;

comment on function features.finding_volatility_too_large(integer[], timestamptz[], double precision) is
    'Rows with an annualised volatility over the threshold, a fraction; the largest of the row.';
