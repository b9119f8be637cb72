-- indicators.vwap(high, low, close, volume, period): rolling volume-weighted price of each candle, as an array.
--
--     select indicators.vwap(c.high, c.low, c.close, c.volume, 20)
--     from (
--         select array_agg(p.high order by p.ts) as high, array_agg(p.low order by p.ts) as low,
--             array_agg(p.close order by p.ts) as close, array_agg(p.volume order by p.ts) as volume
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c;
--
-- The typical prices (high + low + close) / 3 of the last `period` candles, weighted with their base
-- volumes. Null before there are so many, and where none of them has volume. A candle with a null
-- gives null and is stepped over. TA-Lib has none.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._vwap_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    money, amounts = arithmetic.parted(state, 2)
    period = params["period"]
    known = ~np.isnan(candles.volume)
    volume = candles.volume[known]
    typical = ((candles.high + candles.low + candles.close) / 3)[known]
    whole, money = arithmetic.held(money, typical * volume, period)
    paid = arithmetic.sums(whole, period, len(volume))
    whole, amounts = arithmetic.held(amounts, volume, period)
    traded = arithmetic.sums(whole, period, len(volume))
    found = np.full(len(known), np.nan)
    found[known] = np.where(traded == 0, np.nan, paid / traded)
    return {"vwap": found}, arithmetic.joined(money, amounts)


GD.setdefault("indicators", {})["vwap"] = run
SD["made"] = True
$$;

comment on function indicators._vwap_kernel() is
    'Private: puts the kernel of the rolling volume-weighted price into GD.';

create or replace function indicators.vwap(
    high double precision[],
    low double precision[],
    close double precision[],
    volume double precision[],
    period integer default 20
)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._vwap_kernel()")
found = GD["arithmetic"].adhoc(
    "vwap",
    {"period": period},
    high=high,
    low=low,
    close=close,
    volume=volume,
)
return found and found[0]
$$;

comment on function indicators.vwap(
    double precision[], double precision[], double precision[], double precision[], integer
) is 'Typical price of the last period candles weighted with volume; null before there are so many and where none has volume.';
