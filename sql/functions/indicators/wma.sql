-- indicators.wma(x, period): linearly weighted moving average of each value, as an array.
--
--     select indicators.wma(array_agg(p.close order by p.ts), 30)
--     from cmc_price_histories7 as p where p.id = 1;
--
-- TA-Lib's: the last `period` values weigh 1, 2, ... period, the latest most. Null before there are so
-- many. Nulls give null and are stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._wma_kernel()
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
    weights = np.arange(1.0, period + 1)
    whole, closes = arithmetic.held(closes, candles.close, period)
    found = arithmetic.over(
        whole,
        period,
        len(candles.close),
        lambda block: (block * weights).sum(axis=1) / (period * (period + 1) / 2),
    )
    return {"wma": found}, arithmetic.joined(closes)


GD.setdefault("indicators", {})["wma"] = run
SD["made"] = True
$$;

comment on function indicators._wma_kernel() is
    'Private: puts the kernel of the weighted moving average into GD.';

create or replace function indicators.wma(x double precision[], period integer default 30)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._wma_kernel()")
found = GD["arithmetic"].adhoc("wma", {"period": period}, close=x)
return found and found[0]
$$;

comment on function indicators.wma(double precision[], integer) is
    'Mean of the last period values with weights 1 to period; null before there are so many.';
