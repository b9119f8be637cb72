-- ops.synthetic_market(p_revised, p_seed): made-up daily candles, as one row per asset and day.
--
--     select * from ops.synthetic_market() where symbol = 'SYN-USD' order by day;
--     select * from ops.synthetic_market(p_revised => false);   -- as first published
--
-- The same on every machine, to the last digit: chance comes from SHA-256 and all arithmetic
-- is numeric, rounded to 8 decimals a day; nothing depends on libm, the processor or a locale.
-- A day opens at the close before. Days of a gap are walked through, but not returned.
-- p_revised => false differs in exactly one candle, whose close was first published too high.
-- The volume is in USD over 24 hours, as CoinMarketCap's.
--
-- requires: functions/ops/synthetic_assets.sql

create or replace function ops._synthetic_chance(p_seed integer, p_id integer, p_day date)
returns bytea
language sql
immutable parallel safe
as $$
select sha256(int4send(p_seed) || int4send(p_id) || int4send(p_day - '2000-01-01'::date))
$$;

comment on function ops._synthetic_chance(integer, integer, date) is
    'Private: 32 bytes of chance for one asset and day; id 0 is the whole market.';

-- Twelve bytes have the mean 12 * 127.5 = 1530 and the variance 65535, so this is as good
-- as normal out to three deviations, ends at six, and is an exact decimal.
create or replace function ops._synthetic_shock(p_chance bytea)
returns numeric
language sql
immutable parallel safe
as $$
select (sum(get_byte(p_chance, b.at)) - 1530) / 256.0
from generate_series(0, 11) as b (at)
$$;

comment on function ops._synthetic_shock(bytea) is
    'Private: the first twelve bytes as a standard normal deviate, nearly.';

create or replace function ops.synthetic_market(
    p_revised boolean default true,
    p_seed    integer default 1
)
returns table (
    id         integer,
    symbol     text,
    day        date,
    open       numeric,
    high       numeric,
    low        numeric,
    close      numeric,
    volume     numeric,
    market_cap numeric
)
language sql
-- strict, so that it is planned by itself and not merged into the query that calls it, where
-- its six thousand rows would be taken for a handful
immutable strict parallel safe rows 6000
as $$
with recursive cast_of as materialized (
    select a.*
    from ops.synthetic_assets() as a
),

-- One row per day of the whole market: its shock, and how turbulent the times are. Turbulence
-- holds for 25 days, because volatility comes in clusters.
weather as materialized (
    select
        d.day::date as day,
        ops._synthetic_shock(ops._synthetic_chance(p_seed, 0, d.day::date)) as shock,
        0.6 + get_byte(t.chance, 0) * get_byte(t.chance, 1) / 32768.0 as turbulence
    from (select min(c.first_day) as first_day, max(c.last_day) as last_day from cast_of as c) as r
    cross join generate_series(r.first_day::timestamp, r.last_day::timestamp, '1 day') as d (day)
    cross join lateral (
        select ops._synthetic_chance(p_seed, -1, d.day::date - (d.day::date - r.first_day) % 25)
    ) as t (chance)
),

walk as (
    select
        c.id, c.first_day - 1 as day, c.first_price as open, c.first_price as close,
        0.0 as spread, null::bytea as chance
    from cast_of as c

    union all

    select
        w.id, n.day, w.close,
        round(
            case
                when c.pegged then
                    1 + c.volatility * s.shock
                    - case n.day - c.depeg_day
                        when 0 then 0.031 when 1 then 0.118 when 2 then 0.064
                        when 3 then 0.022 when 4 then 0.008 else 0
                    end
                else
                    w.close * (
                        1 + greatest(
                            case when n.day >= c.decline_day then -0.045 else c.drift end
                            + s.spread * (c.market_share * m.shock + c.own_share * s.shock),
                            -0.6
                        )
                    )
            end,
            8
        ),
        s.spread, s.chance
    from walk as w
    join cast_of as c on c.id = w.id and w.day < c.last_day
    cross join lateral (select w.day + 1 as day) as n
    join weather as m on m.day = n.day
    cross join lateral (
        select
            h.chance,
            ops._synthetic_shock(h.chance) as shock,
            -- One day in 40 has two and a half times the usual range: real returns have fat tails.
            c.volatility
                * case when c.pegged then 1 else m.turbulence end
                * case when get_byte(h.chance, 12) < 6 and not c.pegged then 2.5 else 1 end
                as spread
        from (select ops._synthetic_chance(p_seed, c.id, n.day) as chance) as h
    ) as s
),

candle as (
    select
        w.id, c.symbol, w.day, w.open, w.close, c.supply,
        round(
            greatest(w.open, w.close) * (1 + w.spread * get_byte(w.chance, 13) / 256.0), 8
        ) as high,
        round(
            least(w.open, w.close) * (1 - w.spread * get_byte(w.chance, 14) / 256.0), 8
        ) as low,
        (1 + get_byte(w.chance, 15)) / 2560.0 + abs(w.close / w.open - 1) as turnover,
        w.day = c.revised_day and not p_revised as mistaken
    from walk as w
    join cast_of as c on c.id = w.id
    where w.day >= c.first_day
      and (w.day not between c.gap_first_day and c.gap_last_day) is not false
)

select
    k.id, k.symbol, k.day, k.open,
    case when k.mistaken then greatest(k.high, p.close) else k.high end,
    k.low, p.close,
    round(k.supply * k.close * k.turnover, 2),
    round(k.supply * p.close, 2)
from candle as k
cross join lateral (
    select case when k.mistaken then round(k.close * 1.35, 8) else k.close end as close
) as p
$$;

comment on function ops.synthetic_market(boolean, integer) is
    'Deterministic made-up candles in USD, in no order; p_revised false gives them as first published.';
