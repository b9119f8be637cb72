-- ops.price_lines(p_asset_ids, p_most): what a chart of prices draws, as one row per asset.
--
--     select l.symbol, cardinality(l.days) from ops.price_lines() as l;
--
-- The index is the close with the asset's first close as 100. The arrays have an element
-- for every calendar day from the first candle to the last, null where there is no candle.
-- Quantiles of the returns are at 1, 25, 50, 75 and 99 %, null without any return. Of more
-- than p_most assets those with the most candles are taken, the lower id first.
-- ends_early: the last candle is more than a week older than the newest one of them all.
--
-- requires: functions/ops/price_summary.sql

create or replace function ops.price_lines(
    p_asset_ids integer[] default null,
    p_most      integer default 24
)
returns table (
    symbol     text,
    days       date[],
    index      double precision[],
    returns    double precision[],
    quantiles  double precision[],
    ends_early boolean
)
language sql
stable parallel safe
as $$
with chosen as (
    select s.id, s.symbol, s.first_day, s.last_day, max(s.last_day) over () as newest_day
    from ops.price_summary(p_asset_ids) as s
    order by s.candles desc, s.id
    limit p_most
)

select c.symbol, l.days, l.index, l.returns, l.quantiles, c.newest_day - c.last_day > 7
from chosen as c
cross join lateral (
    select
        array_agg(d.day::date order by d.day) as days,
        array_agg(100 * p.close / f.close order by d.day) as index,
        array_agg(r.ret_pct_1 order by d.day) as returns,
        percentile_cont(array[0.01, 0.25, 0.5, 0.75, 0.99]) within group (order by r.ret_pct_1)
            as quantiles
    from generate_series(c.first_day::timestamp, c.last_day::timestamp, '1 day') as d (day)
    cross join lateral (select (d.day at time zone 'UTC') + interval '23:59:59.999' as ts) as t
    left join bars.cmc_price_histories7 as p on p.id = c.id and p.ts = t.ts
    left join features.cmc_returns_daily as r on r.id = c.id and r.ts = t.ts
    cross join (
        select b.close
        from bars.cmc_price_histories7 as b
        where b.id = c.id
        order by b.ts
        limit 1
    ) as f
) as l
order by c.id
$$;

comment on function ops.price_lines(integer[], integer) is
    'Closes indexed to 100, one-session returns and their quantiles, an array element per calendar day.';
