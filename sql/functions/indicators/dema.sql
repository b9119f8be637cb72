-- indicators.dema(x, period): double exponential moving average of each value, as an array.
--
--     select indicators.dema(array_agg(p.close order by p.ts), 30)
--     from cmc_price_histories7 as p where p.id = 1;
--
-- TA-Lib's: 2 x ema - the ema of the ema, each seeded with the mean of its first `period` values. Null
-- before 2 x period - 1 values. Nulls give null and are stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._dema_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    length, values, averages, carried = len(candles.close), candles.close, [], []
    for before in arithmetic.parted(state, 2):
        found, now = arithmetic.ema(values, params["period"], before)
        values = found[~np.isnan(found)]
        averages.append(arithmetic.late(values, length))
        carried.append(now)
    once, twice = averages
    return {"dema": 2 * once - twice}, arithmetic.joined(*carried)


GD.setdefault("indicators", {})["dema"] = run
SD["made"] = True
$$;

comment on function indicators._dema_kernel() is
    'Private: puts the kernel of the double exponential moving average into GD.';

create or replace function indicators.dema(x double precision[], period integer default 30)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._dema_kernel()")
found = GD["arithmetic"].adhoc("dema", {"period": period}, close=x)
return found and found[0]
$$;

comment on function indicators.dema(double precision[], integer) is
    'Double exponential moving average; null before 2 period - 1 values.';
