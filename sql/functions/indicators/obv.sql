-- indicators.obv(close, volume): on-balance volume of each candle, as an array.
--
--     select indicators.obv(c.close, c.volume)
--     from (
--         select array_agg(p.close order by p.ts) as close, array_agg(p.volume order by p.ts) as volume
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c;
--
-- TA-Lib's: the first candle's base volume; then the volume is added where the close rises and taken
-- away where it falls. Its level depends on the first candle, its changes don't. A candle with a null
-- gives null and is stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._obv_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    before, level = arithmetic.parted(state, 2)
    known = ~np.isnan(candles.volume)
    close = candles.close[known]
    # The first candle counts as a rise from nothing.
    signs = np.sign(np.diff(close, prepend=before if len(before) else -np.inf))
    # One after the other, as the recurrence adds them.
    levels = np.cumsum(np.concatenate([level, signs * candles.volume[known]]))
    found = np.full(len(known), np.nan)
    found[known] = levels[len(level) :]
    return {"obv": found}, arithmetic.joined(arithmetic.last(before, close), levels[-1:])


GD.setdefault("indicators", {})["obv"] = run
SD["made"] = True
$$;

comment on function indicators._obv_kernel() is
    'Private: puts the kernel of the on-balance volume into GD.';

create or replace function indicators.obv(close double precision[], volume double precision[])
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._obv_kernel()")
found = GD["arithmetic"].adhoc("obv", {}, close=close, volume=volume)
return found and found[0]
$$;

comment on function indicators.obv(double precision[], double precision[]) is
    'On-balance volume, from the first candle''s volume on.';
