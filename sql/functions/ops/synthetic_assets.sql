-- ops.synthetic_assets(): the cast of the synthetic market, as one row per made-up asset.
--
--     select a.id, a.symbol, a.story from ops.synthetic_assets() as a;
--
-- Ids from 900001 are far from any that CoinMarketCap gives; the names can't be taken for
-- real ones. What happens to an asset is in its columns, so that a reader (and a test) need
-- not know the generator. Dates are fixed: the market of today is the market of next year.
-- Per day: drift and volatility are shares of the price; of the volatility, market_share
-- squared comes from the whole market and own_share squared from the asset alone, so the two
-- squares sum to one.

create or replace function ops.synthetic_assets()
returns table (
    id            integer,
    symbol        text,
    slug          text,
    story         text,
    first_day     date,
    last_day      date,
    gap_first_day date,
    gap_last_day  date,
    revised_day   date,
    pegged        boolean,
    depeg_day     date,
    decline_day   date,
    first_price   numeric,
    drift         numeric,
    volatility    numeric,
    market_share  numeric,
    own_share     numeric,
    supply        numeric
)
language sql
immutable parallel safe
as $$
select
    c.id, c.symbol, c.slug, c.story,
    c.first_day::date, c.last_day::date, c.gap_first_day::date, c.gap_last_day::date,
    c.revised_day::date, c.pegged, c.depeg_day::date, c.decline_day::date,
    c.first_price, c.drift, c.volatility, c.market_share, c.own_share, c.supply
from (
    values
        (
            900001, 'SYN-CALM', 'synthetic-calm',
            'ordinary, low volatility; one candle was first published wrong',
            '2022-01-01', '2024-12-31', null, null,
            '2023-09-14', false, null, null,
            1250.0, 0.0006, 0.018, 0.8, 0.6, 18000000.0
        ),
        (
            900002, 'SYN-WILD', 'synthetic-wild',
            'ordinary, high volatility; listed later than the others',
            '2022-05-16', '2024-12-31', null, null,
            null, false, null, null,
            3.2, 0.0012, 0.04, 0.6, 0.8, 950000000.0
        ),
        (
            900003, 'SYN-RISE', 'synthetic-rise',
            'trending',
            '2022-01-01', '2024-12-31', null, null,
            null, false, null, null,
            24.0, 0.0024, 0.027, 0.6, 0.8, 410000000.0
        ),
        (
            900004, 'SYN-GAPS', 'synthetic-gaps',
            'days are missing: nobody recorded them',
            '2022-01-01', '2024-12-31', '2023-03-06', '2023-04-23',
            null, false, null, null,
            0.085, -0.0002, 0.03, 0.6, 0.8, 32000000000.0
        ),
        (
            900005, 'SYN-GONE', 'synthetic-gone',
            'delisted: it declines and its history ends',
            '2022-01-01', '2024-02-18', null, null,
            null, false, null, '2023-12-20',
            62.0, 0.0003, 0.033, 0.28, 0.96, 77000000.0
        ),
        (
            900006, 'SYN-USD', 'synthetic-dollar',
            'stablecoin: leaves its peg of 1.00 once, for some days',
            '2022-01-01', '2024-12-31', null, null,
            null, true, '2023-06-10', null,
            1.0, 0.0, 0.0006, 0.0, 1.0, 5200000000.0
        )
) as c (
    id, symbol, slug, story,
    first_day, last_day, gap_first_day, gap_last_day,
    revised_day, pegged, depeg_day, decline_day,
    first_price, drift, volatility, market_share, own_share, supply
)
$$;

comment on function ops.synthetic_assets() is
    'The made-up assets of the synthetic market and what happens to each; prices in USD, shares a day.';
