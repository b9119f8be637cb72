-- ops.price_summary(p_asset_ids): what is stored of each asset, as one row per asset.
--
--     select * from ops.price_summary();
--
-- Missing days lie between the first and the last candle. Returns are stored ones, so they
-- are null until refresh_features() has run; the last return belongs to the last candle.

create or replace function ops.price_summary(p_asset_ids integer[] default null)
returns table (
    id           integer,
    symbol       text,
    first_day    date,
    last_day     date,
    candles      bigint,
    missing_days bigint,
    last_close   double precision,
    last_return  double precision,
    worst_return double precision,
    best_return  double precision
)
language sql
stable parallel safe
as $$
select
    a.id, a.symbol, s.first_day, s.last_day, s.candles,
    s.last_day - s.first_day + 1 - s.candles,
    s.last_close, s.last_return, s.worst_return, s.best_return
from bars.dim_assets as a
cross join lateral (
    select
        min((p.ts at time zone 'UTC')::date) as first_day,
        max((p.ts at time zone 'UTC')::date) as last_day,
        count(*) as candles,
        (array_agg(p.close order by p.ts desc))[1] as last_close,
        (array_agg(r.ret_pct_1 order by p.ts desc))[1] as last_return,
        min(r.ret_pct_1) as worst_return,
        max(r.ret_pct_1) as best_return
    from bars.cmc_price_histories7 as p
    left join features.cmc_returns_daily as r on r.id = a.id and r.ts = p.ts
    where p.id = a.id
) as s
where s.candles > 0
  and (p_asset_ids is null or a.id = any (p_asset_ids))
order by a.id
$$;

comment on function ops.price_summary(integer[]) is
    'The range, the gaps, the last price and the extreme one-session returns (fractions) of each asset.';
