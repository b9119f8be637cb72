-- indicators.mfi(high, low, close, volume, period): money flow index of each candle, as an array.
--
--     select indicators.mfi(c.high, c.low, c.close, c.volume, 14)
--     from (
--         select array_agg(p.high order by p.ts) as high, array_agg(p.low order by p.ts) as low,
--             array_agg(p.close order by p.ts) as close, array_agg(p.volume order by p.ts) as volume
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c;
--
-- The typical price (high + low + close) / 3 times the base volume flows in where that price rises, out
-- where it falls; the index is 100 x in / (in + out) of the last `period` candles. 0 where nothing
-- flows; null for the first `period` candles. TA-Lib's, but that it gives 0 for less than 1 unit of
-- money too, so that its index depends on the currency. A candle with a null gives null and is
-- stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._mfi_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    before, ins, outs = arithmetic.parted(state, 3)
    period, length = params["period"], len(candles.close)
    known = ~np.isnan(candles.volume)
    typical = ((candles.high + candles.low + candles.close) / 3)[known]
    flow = typical * candles.volume[known]
    steps = np.diff(typical, prepend=before)
    flow = flow[len(flow) - len(steps) :]
    whole, ins = arithmetic.held(ins, np.where(steps > 0, flow, 0.0), period)
    risen = arithmetic.sums(whole, period, len(steps))
    whole, outs = arithmetic.held(outs, np.where(steps < 0, flow, 0.0), period)
    total = risen + arithmetic.sums(whole, period, len(steps))
    found = np.full(length, np.nan)
    found[known] = arithmetic.late(np.where(total == 0, 0.0, 100 * (risen / total)), len(typical))
    return {"mfi": found}, arithmetic.joined(arithmetic.last(before, typical), ins, outs)


GD.setdefault("indicators", {})["mfi"] = run
SD["made"] = True
$$;

comment on function indicators._mfi_kernel() is
    'Private: puts the kernel of the money flow index into GD.';

create or replace function indicators.mfi(
    high double precision[],
    low double precision[],
    close double precision[],
    volume double precision[],
    period integer default 14
)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._mfi_kernel()")
found = GD["arithmetic"].adhoc(
    "mfi",
    {"period": period},
    high=high,
    low=low,
    close=close,
    volume=volume,
)
return found and found[0]
$$;

comment on function indicators.mfi(
    double precision[], double precision[], double precision[], double precision[], integer
) is 'Money flow index, 0 to 100; null before period + 1 candles, 0 when no money flows.';
