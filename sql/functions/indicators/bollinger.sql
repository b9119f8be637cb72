-- indicators.bollinger(x, period, deviations): the Bollinger bands of each value, as arrays.
--
--     select b.bb_upper, b.bb_middle, b.bb_lower, b.bb_width
--     from (select array_agg(p.close order by p.ts) as closes from cmc_price_histories7 as p where p.id = 1) as c,
--         indicators.bollinger(c.closes, 20, 2) as b;
--
-- Mean of the last `period` values, and so many population deviations (ddof 0, as TA-Lib) above
-- and below it; width is upper less lower as a share of the middle, null where that is 0. Null before
-- there are `period` values. Nulls give null and are stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._bollinger_kernel()
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
    length = len(candles.close)
    whole, closes = arithmetic.held(closes, candles.close, params["period"])
    middle, deviation = arithmetic.moments(whole, params["period"], length)
    reach = params["deviations"] * deviation
    upper, lower = middle + reach, middle - reach
    width = np.where(middle == 0, np.nan, (upper - lower) / middle)
    return (
        {"upper": upper, "middle": middle, "lower": lower, "width": width},
        arithmetic.joined(closes),
    )


GD.setdefault("indicators", {})["bollinger"] = run
SD["made"] = True
$$;

comment on function indicators._bollinger_kernel() is
    'Private: puts the kernel of Bollinger bands into GD.';

create or replace function indicators.bollinger(
    x double precision[],
    period integer default 20,
    deviations double precision default 2,
    out bb_upper double precision[],
    out bb_middle double precision[],
    out bb_lower double precision[],
    out bb_width double precision[]
)
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._bollinger_kernel()")
return GD["arithmetic"].adhoc("bollinger", {"period": period, "deviations": deviations}, close=x)
$$;

comment on function indicators.bollinger(double precision[], integer, double precision) is
    'Mean and bands of population deviations round it, and their distance as a share of the mean; null before period values.';
