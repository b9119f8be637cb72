-- indicators.cci(high, low, close, period): commodity channel index of each candle, as an array.
--
--     select indicators.cci(c.high, c.low, c.close, 14)
--     from (
--         select array_agg(p.high order by p.ts) as high, array_agg(p.low order by p.ts) as low,
--             array_agg(p.close order by p.ts) as close
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c;
--
-- TA-Lib's: (typical price - its mean) / (0.015 x mean absolute deviation from that mean) over the last
-- `period` candles; the typical price is (high + low + close) / 3. 0 where that is its mean or never
-- moves; null before there are `period` candles. A candle with a null gives null and is stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._cci_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    (typical,) = arithmetic.parted(state, 1)
    period = params["period"]

    def index(block):
        above = block - (block.sum(axis=1) / period)[:, None]
        scale = 0.015 * (np.abs(above).sum(axis=1) / period)
        # Equal values have no deviation, though their sum may be rounded.
        level = (block == block[:, :1]).all(axis=1)
        return np.where(level | (scale == 0), 0.0, above[:, -1] / scale)

    prices = (candles.high + candles.low + candles.close) / 3
    whole, typical = arithmetic.held(typical, prices, period)
    found = arithmetic.over(whole, period, len(prices), index)
    return {"cci": found}, arithmetic.joined(typical)


GD.setdefault("indicators", {})["cci"] = run
SD["made"] = True
$$;

comment on function indicators._cci_kernel() is
    'Private: puts the kernel of the commodity channel index into GD.';

create or replace function indicators.cci(
    high double precision[],
    low double precision[],
    close double precision[],
    period integer default 14
)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._cci_kernel()")
found = GD["arithmetic"].adhoc("cci", {"period": period}, high=high, low=low, close=close)
return found and found[0]
$$;

comment on function indicators.cci(
    double precision[], double precision[], double precision[], integer
) is 'Commodity channel index; null before period candles, 0 when nothing moves.';
