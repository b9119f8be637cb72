-- indicators.stochastic(high, low, close, k, d): the fast stochastic of each candle, as arrays.
--
--     select s.stoch_k, s.stoch_d
--     from (
--         select array_agg(p.high order by p.ts) as high, array_agg(p.low order by p.ts) as low,
--             array_agg(p.close order by p.ts) as close
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c, indicators.stochastic(c.high, c.low, c.close, 14, 3) as s;
--
-- TA-Lib's STOCHF with a simple mean: k is 100 x (close - lowest low) / (highest high - lowest low) of the last
-- `k` candles, 0 when the range is; d the mean of the last `d` of these. Both null before candle
-- k + d - 1. A candle with a null gives null and is stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._stochastic_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    highs, lows, ks = arithmetic.parted(state, 3)
    length = len(candles.close)
    high, highs = arithmetic.held(highs, candles.high, params["k"])
    low, lows = arithmetic.held(lows, candles.low, params["k"])
    bottom = arithmetic.lowest(low, params["k"], length)
    span = (arithmetic.highest(high, params["k"], length) - bottom) / 100
    k = np.where(span == 0, 0.0, (candles.close - bottom) / span)
    known = k[~np.isnan(span)]
    whole, ks = arithmetic.held(ks, known, params["d"])
    d = arithmetic.late(arithmetic.means(whole, params["d"], len(known)), length)
    return (
        {"k": np.where(np.isnan(d), np.nan, k), "d": d},
        arithmetic.joined(highs, lows, ks),
    )


GD.setdefault("indicators", {})["stochastic"] = run
SD["made"] = True
$$;

comment on function indicators._stochastic_kernel() is
    'Private: puts the kernel of the fast stochastic into GD.';

create or replace function indicators.stochastic(
    high double precision[],
    low double precision[],
    close double precision[],
    k integer default 14,
    d integer default 3,
    out stoch_k double precision[],
    out stoch_d double precision[]
)
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._stochastic_kernel()")
return GD["arithmetic"].adhoc("stochastic", {"k": k, "d": d}, high=high, low=low, close=close)
$$;

comment on function indicators.stochastic(
    double precision[], double precision[], double precision[], integer, integer
) is 'Fast stochastic, 0 to 100, and its mean; null before candle k + d - 1, 0 on a flat range.';
