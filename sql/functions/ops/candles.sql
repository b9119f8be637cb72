-- ops.candles(p_id, p_tf, p_last, p_periods): what a chart of one timeframe draws, as one row of arrays.
--
--     select c.tf, c.closes, c.emas from ops.candles(1, '1W_CAL_ISO') as c;
--
-- The last p_last closed bars in order of time; emas has an array per bar with an element for each
-- of p_periods, null before the period has its bars, or where it is no row of dim_ema_periods.
-- No row: the asset has no closed bar of this timeframe.

create or replace function ops.candles(
    p_id integer,
    p_tf text,
    p_last integer default 120,
    p_periods integer[] default '{9,21,50}'
)
returns table (
    symbol  text,
    tf      text,
    days    date[],
    opens   double precision[],
    highs   double precision[],
    lows    double precision[],
    closes  double precision[],
    periods integer[],
    emas    double precision[]
)
language sql
stable parallel safe
as $$
with slots as (
    select array_agg(d.slot order by w.place) as places
    from unnest(p_periods) with ordinality as w (period, place)
    left join features.dim_ema_periods as d on d.period = w.period
), bars as (
    select b.*, t.tf
    from timemodel.dim_timeframe as t
    join bars.cmc_price_bars_multi_tf as b on b.id = p_id and b.tf_id = t.tf_id
    where t.tf = p_tf
    order by b.time_close desc
    limit p_last
)

select
    a.symbol,
    min(b.tf),
    array_agg((b.time_close at time zone 'UTC')::date order by b.time_close),
    array_agg(b.open order by b.time_close),
    array_agg(b.high order by b.time_close),
    array_agg(b.low order by b.time_close),
    array_agg(b.close order by b.time_close),
    p_periods,
    array_agg(
        (
            select array_agg(e.ema[p.slot] order by p.place)
            from unnest(s.places) with ordinality as p (slot, place)
        )
        order by b.time_close
    )
from bars as b
cross join slots as s
join bars.dim_assets as a on a.id = p_id
left join features.cmc_ema_multi_tf as e
    on e.id = b.id and e.tf_id = b.tf_id and e.time_close = b.time_close
group by a.symbol
$$;

comment on function ops.candles(integer, text, integer, integer[]) is
    'The last closed bars of one asset and timeframe with EMAs, as arrays in order of time.';
