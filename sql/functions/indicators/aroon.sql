-- indicators.aroon(high, low, period): Aroon up and down of each candle, as arrays.
--
--     select a.aroon_up, a.aroon_down
--     from (
--         select array_agg(p.high order by p.ts) as high, array_agg(p.low order by p.ts) as low
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c, indicators.aroon(c.high, c.low, 14) as a;
--
-- TA-Lib's: 100 x (period - candles since the highest high) / period over the last `period` + 1 candles,
-- and the same with the lowest low; of equal ones the latest counts. TA-Lib gives down first. Null for
-- the first `period` candles. A candle with a null gives null and is stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._aroon_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    highs, lows = arithmetic.parted(state, 2)
    period, length = params["period"], len(candles.high)

    def recency(block):
        return 100 / period * (period - block[:, ::-1].argmax(axis=1))

    high, highs = arithmetic.held(highs, candles.high, period + 1)
    low, lows = arithmetic.held(lows, candles.low, period + 1)
    return (
        {
            "up": arithmetic.over(high, period + 1, length, recency),
            "down": arithmetic.over(-low, period + 1, length, recency),
        },
        arithmetic.joined(highs, lows),
    )


GD.setdefault("indicators", {})["aroon"] = run
SD["made"] = True
$$;

comment on function indicators._aroon_kernel() is
    'Private: puts the kernel of Aroon into GD.';

create or replace function indicators.aroon(
    high double precision[],
    low double precision[],
    period integer default 14,
    out aroon_up double precision[],
    out aroon_down double precision[]
)
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._aroon_kernel()")
return GD["arithmetic"].adhoc("aroon", {"period": period}, high=high, low=low)
$$;

comment on function indicators.aroon(double precision[], double precision[], integer) is
    'Aroon up and down, 0 to 100; null for the first period candles.';
