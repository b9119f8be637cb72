-- indicators.adx(high, low, close, period): Wilder's directional movement of each candle, as arrays.
--
--     select a.adx, a.plus_di, a.minus_di
--     from (
--         select array_agg(p.high order by p.ts) as high, array_agg(p.low order by p.ts) as low,
--             array_agg(p.close order by p.ts) as close
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c, indicators.adx(c.high, c.low, c.close, 14) as a;
--
-- TA-Lib's. A rise of the high that is larger than the fall of the low is plus movement, the reverse minus
-- movement. Both and the true range are summed over the first `period - 1` candles that have one before,
-- then go on as before - before / period + new. plus_di and minus_di are the movements as percent of the range, 0
-- where that is 0. Their difference as percent of their sum is averaged: over the first `period` values
-- (those without a sum count as 0), then by Wilder, where one without a sum leaves the average as it is.
-- The di are null for the first `period` candles, adx for the first 2 x period - 1. A candle
-- with a null gives null and is stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._adx_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np


def smoothed(values, period, carried):
    """The sum of the first period - 1 values, then a share less and the new value; nan at the first sum too."""
    count = period - 1
    seen = int(carried[0]) if len(carried) else 0

    def steps(y, later):
        return [y := y - y / period + x for x in later]

    found, carried = GD["arithmetic"].recurrence(values, count, lambda total: total, steps, carried)
    found[: count - seen] = np.nan
    return found, carried


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    highs, lows, closes, plus, minus, span, average = arithmetic.parted(state, 7)
    period = params["period"]
    first = 1 - len(closes)
    up = np.diff(candles.high, prepend=highs)
    down = -np.diff(candles.low, prepend=lows)
    ranges = arithmetic.true_ranges(
        candles.high, candles.low, arithmetic.previous(closes, candles.close)
    )[first:]
    pluses, plus = smoothed(np.where((up > 0) & (up > down), up, 0.0), period, plus)
    minuses, minus = smoothed(np.where((down > 0) & (down > up), down, 0.0), period, minus)
    spans, span = smoothed(ranges, period, span)

    plus_di = np.where(spans == 0, 0.0, 100 * (pluses / spans))
    minus_di = np.where(spans == 0, 0.0, 100 * (minuses / spans))
    # nan where there is no sum.
    moved = np.where(spans == 0, np.nan, plus_di + minus_di)
    shares = 100 * (np.abs(minus_di - plus_di) / moved)
    shares = shares[~np.isnan(spans)]
    seen = int(average[0]) if len(average) else 0
    shares[: period - seen] = np.nan_to_num(shares[: period - seen])
    rest = period - 1

    def steps(y, later):
        return [y := y if x != x else (y * rest + x) / period for x in later]

    found, average = arithmetic.recurrence(
        shares, period, lambda total: total / period, steps, average
    )
    length = len(candles.close)
    return (
        {
            "adx": arithmetic.late(found, length),
            "plus_di": arithmetic.late(plus_di, length),
            "minus_di": arithmetic.late(minus_di, length),
        },
        arithmetic.joined(
            arithmetic.last(highs, candles.high),
            arithmetic.last(lows, candles.low),
            arithmetic.last(closes, candles.close),
            plus,
            minus,
            span,
            average,
        ),
    )


GD.setdefault("indicators", {})["adx"] = run
SD["made"] = True
$$;

comment on function indicators._adx_kernel() is
    'Private: puts the kernel of the directional movement into GD.';

create or replace function indicators.adx(
    high double precision[],
    low double precision[],
    close double precision[],
    period integer default 14,
    out adx double precision[],
    out plus_di double precision[],
    out minus_di double precision[]
)
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._adx_kernel()")
return GD["arithmetic"].adhoc("adx", {"period": period}, high=high, low=low, close=close)
$$;

comment on function indicators.adx(double precision[], double precision[], double precision[], integer) is
    'Wilder''s average directional index and both directional indicators, 0 to 100.';
