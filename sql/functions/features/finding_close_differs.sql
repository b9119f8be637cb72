-- features.finding_close_differs(p_ids, p_froms, p_threshold): feature rows whose close is not the candle's, one row for each.
--
--     select f.* from features.finding_close_differs('{1}', '{-infinity}', 0) as f;
--
-- A rule of dim_finding_rules. The value is their difference in US dollars, null where one of both has none.

create or replace function features.finding_close_differs(
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
    select w.id, r.ts, abs(r.close - b.close)
    from unnest(p_ids, p_froms) as w (id, from_ts)
    cross join lateral (
        select d.ts, d.close
        from features.cmc_daily_features as d
        where d.id = w.id
          and d.ts >= w.from_ts
        -- By the key, asset by asset: a join may read the whole table for a new day.
        offset 0
    ) as r
    left join lateral (
        select p.close
        from bars.cmc_price_histories7 as p
        where p.id = w.id
          and p.ts = r.ts
    ) as b on true
    where abs(r.close - b.close) > p_threshold
       or (r.close is null) <> (b.close is null);
end
$$;

comment on function features.finding_close_differs(integer[], timestamptz[], double precision) is
    'Rows of cmc_daily_features whose close differs from the candle''s by more than the threshold.';
