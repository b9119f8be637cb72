-- indicators.sma(x, period): simple moving average of each value, as an array.
--
--     select indicators.sma(array_agg(p.close order by p.ts), 30)
--     from cmc_price_histories7 as p where p.id = 1;
--
-- TA-Lib's: the mean of the last `period` values. Null before there are so many. Nulls give null and
-- are stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._sma_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    (closes,) = arithmetic.parted(state, 1)
    whole, closes = arithmetic.held(closes, candles.close, params["period"])
    found = arithmetic.means(whole, params["period"], len(candles.close))
    return {"sma": found}, arithmetic.joined(closes)


GD.setdefault("indicators", {})["sma"] = run
SD["made"] = True
$$;

comment on function indicators._sma_kernel() is
    'Private: puts the kernel of the simple moving average into GD.';

create or replace function indicators.sma(x double precision[], period integer default 30)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._sma_kernel()")
found = GD["arithmetic"].adhoc("sma", {"period": period}, close=x)
return found and found[0]
$$;

comment on function indicators.sma(double precision[], integer) is
    'Mean of the last period values; null before there are so many.';
