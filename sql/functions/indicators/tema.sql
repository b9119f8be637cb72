-- indicators.tema(x, period): triple exponential moving average of each value, as an array.
--
--     select indicators.tema(array_agg(p.close order by p.ts), 30)
--     from cmc_price_histories7 as p where p.id = 1;
--
-- TA-Lib's: 3 x ema - 3 x the ema of the ema + the ema of that, each seeded with the mean of its first
-- `period` values. Null before 3 x period - 2 values. Nulls give null and are stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._tema_kernel()
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
    for before in arithmetic.parted(state, 3):
        found, now = arithmetic.ema(values, params["period"], before)
        values = found[~np.isnan(found)]
        averages.append(arithmetic.late(values, length))
        carried.append(now)
    once, twice, thrice = averages
    return {"tema": 3 * once - 3 * twice + thrice}, arithmetic.joined(*carried)


GD.setdefault("indicators", {})["tema"] = run
SD["made"] = True
$$;

comment on function indicators._tema_kernel() is
    'Private: puts the kernel of the triple exponential moving average into GD.';

create or replace function indicators.tema(x double precision[], period integer default 30)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._tema_kernel()")
found = GD["arithmetic"].adhoc("tema", {"period": period}, close=x)
return found and found[0]
$$;

comment on function indicators.tema(double precision[], integer) is
    'Triple exponential moving average; null before 3 period - 2 values.';
