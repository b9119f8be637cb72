-- indicators.ema(x, period): exponential moving average of each value, as an array.
--
--     select indicators.ema(array_agg(p.close order by p.ts), 21)
--     from cmc_price_histories7 as p where p.id = 1;
--
-- TA-Lib's, and to the bit what cmc_ema_multi_tf stores: the mean of the first `period` values, then
-- 2 / (period + 1) of the way to each new one. Null before there are `period` values. Nulls give null
-- and are stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._ema_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    (ema,) = arithmetic.parted(state, 1)
    found, ema = arithmetic.ema(candles.close, params["period"], ema)
    return {"ema": found}, arithmetic.joined(ema)


GD.setdefault("indicators", {})["ema"] = run
SD["made"] = True
$$;

comment on function indicators._ema_kernel() is
    'Private: puts the kernel of the exponential moving average into GD.';

create or replace function indicators.ema(x double precision[], period integer default 30)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._ema_kernel()")
found = GD["arithmetic"].adhoc("ema", {"period": period}, close=x)
return found and found[0]
$$;

comment on function indicators.ema(double precision[], integer) is
    'Exponential moving average, weight 2/(period+1), seeded with the mean of the first period values; null before them.';
