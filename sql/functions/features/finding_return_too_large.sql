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
    select w.id, r.ts, r.value
    from unnest(p_ids, p_froms) as w (id, from_ts)
    cross join lateral (
        select d.ts, d.ret_pct_1 as value
        from features.cmc_returns_daily as d
        where d.id = w.id
          and d.ts >= w.from_ts
        -- By the key, asset by asset: a join may read the whole table for a new day.
        offset 0
    ) as r
    where abs(r.value) > p_threshold;
end
$$;

comment on function features.finding_return_too_large(integer[], timestamptz[], double precision) is
    'One-session returns whose size is over the threshold, a fraction; the return.';
