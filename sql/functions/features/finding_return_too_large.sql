-- features.finding_return_too_large(p_ids, p_froms, p_threshold): one-session returns over a threshold, one row for each.
--
--     select f.* from features.finding_return_too_large('{1}', '{-infinity}', 0.5) as f;
--
-- A rule of dim_finding_rules.

create or replace function features.finding_return_too_large(
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
    cross join lateral (values (r.ret_pct_1)) as v (value)
    where abs(v.value) > p_threshold;
end
$$;

comment on function features.finding_return_too_large(integer[], timestamptz[], double precision) is
    'One-session returns whose size is over the threshold, a fraction; the return.';
