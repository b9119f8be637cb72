-- indicators.atr(high, low, close, period): Wilder's average true range of each candle, as an array.
--
--     select indicators.atr(
--         array_agg(p.high order by p.ts), array_agg(p.low order by p.ts), array_agg(p.close order by p.ts), 14
--     ) from cmc_price_histories7 as p where p.id = 1;
--
-- TA-Lib's: a true range is the largest of high - low, |high - close before|, |low - close before|, so the
-- first candle has none. The first value is the mean of the first `period` true ranges, later ones
-- (before x (period - 1) + true range) / period. Null for the first `period` candles. A candle with
-- a null gives null and is stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._atr_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    before, atr = arithmetic.parted(state, 2)
    first = 1 - len(before)
    ranges = arithmetic.true_ranges(
        candles.high, candles.low, arithmetic.previous(before, candles.close)
    )
    found, atr = arithmetic.wilder(ranges[first:], params["period"], atr)
    return (
        {"atr": arithmetic.late(found, len(candles.close))},
        arithmetic.joined(arithmetic.last(before, candles.close), atr),
    )


GD.setdefault("indicators", {})["atr"] = run
SD["made"] = True
$$;

comment on function indicators._atr_kernel() is
    'Private: puts the kernel of the average true range into GD.';

create or replace function indicators.atr(
    high double precision[],
    low double precision[],
    close double precision[],
    period integer default 14
)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._atr_kernel()")
found = GD["arithmetic"].adhoc("atr", {"period": period}, high=high, low=low, close=close)
return found and found[0]
$$;

comment on function indicators.atr(double precision[], double precision[], double precision[], integer) is
    'Wilder''s average true range, in the price''s unit; null before period + 1 candles.';
