-- indicators.williams_r(high, low, close, period): Williams %R of each candle, as an array.
--
--     select indicators.williams_r(c.high, c.low, c.close, 14)
--     from (
--         select array_agg(p.high order by p.ts) as high, array_agg(p.low order by p.ts) as low,
--             array_agg(p.close order by p.ts) as close
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c;
--
-- TA-Lib's WILLR: -100 x (highest high - close) / (highest high - lowest low) of the last `period`
-- candles, 0 when that range is. Null before there are `period` candles. A candle with a null gives
-- null and is stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._williams_r_kernel()
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
    period, length = params["period"], len(candles.close)
    high, highs = arithmetic.held(highs, candles.high, period)
    low, lows = arithmetic.held(lows, candles.low, period)
    top = arithmetic.highest(high, period, length)
    span = (top - arithmetic.lowest(low, period, length)) / -100
    found = np.where(span == 0, 0.0, (top - candles.close) / span)
    return {"williams_r": found}, arithmetic.joined(highs, lows)


GD.setdefault("indicators", {})["williams_r"] = run
SD["made"] = True
$$;

comment on function indicators._williams_r_kernel() is
    'Private: puts the kernel of Williams %R into GD.';

create or replace function indicators.williams_r(
    high double precision[],
    low double precision[],
    close double precision[],
    period integer default 14
)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._williams_r_kernel()")
found = GD["arithmetic"].adhoc(
    "williams_r",
    {"period": period},
    high=high,
    low=low,
    close=close,
)
return found and found[0]
$$;

comment on function indicators.williams_r(
    double precision[], double precision[], double precision[], integer
) is 'Williams %R, -100 to 0; null before period candles, 0 on a flat range.';
