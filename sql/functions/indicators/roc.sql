-- indicators.roc(x, period): rate of change of each value in percent, as an array.
--
--     select indicators.roc(array_agg(p.close order by p.ts), 10)
--     from cmc_price_histories7 as p where p.id = 1;
--
-- TA-Lib's: 100 x (value / the value `period` values earlier - 1), 0 where that is 0. Null for the first
-- `period` values. Nulls give null and are stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._roc_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    (closes,) = arithmetic.parted(state, 1)
    period = params["period"]
    whole, closes = arithmetic.held(closes, candles.close, period + 1)
    earlier = whole[: max(len(whole) - period, 0)]
    change = 100 * (whole[len(whole) - len(earlier) :] / earlier - 1)
    found = np.where(earlier == 0, 0.0, change)
    return {"roc": arithmetic.late(found, len(candles.close))}, arithmetic.joined(closes)


GD.setdefault("indicators", {})["roc"] = run
SD["made"] = True
$$;

comment on function indicators._roc_kernel() is
    'Private: puts the kernel of the rate of change into GD.';

create or replace function indicators.roc(x double precision[], period integer default 10)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._roc_kernel()")
found = GD["arithmetic"].adhoc("roc", {"period": period}, close=x)
return found and found[0]
$$;

comment on function indicators.roc(double precision[], integer) is
    'Change over period values in percent; null for the first period of them.';
