-- indicators.ichimoku(high, low, conversion, base, span, displacement): Ichimoku lines of each candle, as arrays.
--
--     select i.ichimoku_conversion, i.ichimoku_base, i.ichimoku_cloud_a, i.ichimoku_cloud_b
--     from (
--         select array_agg(p.high order by p.ts) as high, array_agg(p.low order by p.ts) as low
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c, indicators.ichimoku(c.high, c.low, 9, 26, 52, 26) as i;
--
-- A line is (highest high + lowest low) / 2 of its last candles: conversion, base, and span_b over
-- `span` of them; span_a is (conversion + base) / 2. A chart draws the spans `displacement` candles to
-- the right: cloud_a and cloud_b are what it shows above or below this candle, the spans of
-- `displacement` candles earlier. So nothing here is later than its candle; the lagging line, which
-- is a close drawn to the left, is left out, because it is known only when that close is. Null before
-- what each needs is known. TradingView draws one candle less to the right (displacement 25).
-- A candle with a null gives null and is stepped over. TA-Lib has none.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._ichimoku_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    highs, lows = arithmetic.parted(state, 2)
    conversion, base, span = params["conversion"], params["base"], params["span"]
    displacement, length = params["displacement"], len(candles.high)
    reach = max(conversion, base, span) + displacement
    high, highs = arithmetic.held(highs, candles.high, reach)
    low, lows = arithmetic.held(lows, candles.low, reach)
    size = len(high)

    def middle(window):
        top = arithmetic.highest(high, window, size)
        return (top + arithmetic.lowest(low, window, size)) / 2

    lines = {"conversion": middle(conversion), "base": middle(base)}
    lines["span_a"] = (lines["conversion"] + lines["base"]) / 2
    lines["span_b"] = middle(span)
    for name in "a", "b":
        shown = lines[f"span_{name}"][: max(size - displacement, 0)]
        lines[f"cloud_{name}"] = arithmetic.late(shown, size)
    return (
        {name: values[size - length :] for name, values in lines.items()},
        arithmetic.joined(highs, lows),
    )


GD.setdefault("indicators", {})["ichimoku"] = run
SD["made"] = True
$$;

comment on function indicators._ichimoku_kernel() is
    'Private: puts the kernel of Ichimoku into GD.';

create or replace function indicators.ichimoku(
    high double precision[],
    low double precision[],
    conversion integer default 9,
    base integer default 26,
    span integer default 52,
    displacement integer default 26,
    out ichimoku_conversion double precision[],
    out ichimoku_base double precision[],
    out ichimoku_span_a double precision[],
    out ichimoku_span_b double precision[],
    out ichimoku_cloud_a double precision[],
    out ichimoku_cloud_b double precision[]
)
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._ichimoku_kernel()")
return GD["arithmetic"].adhoc(
    "ichimoku",
    {"conversion": conversion, "base": base, "span": span, "displacement": displacement},
    high=high,
    low=low,
)
$$;

comment on function indicators.ichimoku(
    double precision[], double precision[], integer, integer, integer, integer
) is 'Ichimoku lines, and the cloud that a chart shows at each candle; null before what each needs.';
