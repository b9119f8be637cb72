-- indicators.donchian(high, low, period): Donchian channel of each candle, as arrays.
--
--     select d.donchian_upper, d.donchian_middle, d.donchian_lower
--     from (
--         select array_agg(p.high order by p.ts) as high, array_agg(p.low order by p.ts) as low
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c, indicators.donchian(c.high, c.low, 20) as d;
--
-- Highest high and lowest low of the last `period` candles, the current one included (TA-Lib's MAX and
-- MIN), and the middle between them. A breakout compares a close with the channel of the candle before
-- it. Null before there are `period` candles. A candle with a null gives null and is stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._donchian_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    highs, lows = arithmetic.parted(state, 2)
    period, length = params["period"], len(candles.high)
    high, highs = arithmetic.held(highs, candles.high, period)
    low, lows = arithmetic.held(lows, candles.low, period)
    upper = arithmetic.highest(high, period, length)
    lower = arithmetic.lowest(low, period, length)
    return (
        {"upper": upper, "middle": (upper + lower) / 2, "lower": lower},
        arithmetic.joined(highs, lows),
    )


GD.setdefault("indicators", {})["donchian"] = run
SD["made"] = True
$$;

comment on function indicators._donchian_kernel() is
    'Private: puts the kernel of the Donchian channel into GD.';

create or replace function indicators.donchian(
    high double precision[],
    low double precision[],
    period integer default 20,
    out donchian_upper double precision[],
    out donchian_middle double precision[],
    out donchian_lower double precision[]
)
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._donchian_kernel()")
return GD["arithmetic"].adhoc("donchian", {"period": period}, high=high, low=low)
$$;

comment on function indicators.donchian(double precision[], double precision[], integer) is
    'Highest high and lowest low of the last period candles and their middle; null before there are so many.';
