-- indicators.keltner(high, low, close, period, atr, multiplier): Keltner channel of each candle, as arrays.
--
--     select k.kc_upper, k.kc_middle, k.kc_lower
--     from (
--         select array_agg(p.high order by p.ts) as high, array_agg(p.low order by p.ts) as low,
--             array_agg(p.close order by p.ts) as close
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c, indicators.keltner(c.high, c.low, c.close, 20, 10, 2) as k;
--
-- The middle is the exponential moving average of the closes over `period`, the others lie `multiplier`
-- average true ranges over `atr` candles above and below it: indicators.ema and indicators.atr, seeds
-- included. Each is null before what it needs is known. A candle with a null gives null and is stepped
-- over. Chester Keltner's own channel is another: means of typical prices and ranges over 10.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._keltner_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    before, ema, atr = arithmetic.parted(state, 3)
    length = len(candles.close)
    middle, ema = arithmetic.ema(candles.close, params["period"], ema)
    ranges = arithmetic.true_ranges(
        candles.high, candles.low, arithmetic.previous(before, candles.close)
    )
    found, atr = arithmetic.wilder(ranges[1 - len(before) :], params["atr"], atr)
    reach = params["multiplier"] * arithmetic.late(found, length)
    return (
        {"upper": middle + reach, "middle": middle, "lower": middle - reach},
        arithmetic.joined(arithmetic.last(before, candles.close), ema, atr),
    )


GD.setdefault("indicators", {})["keltner"] = run
SD["made"] = True
$$;

comment on function indicators._keltner_kernel() is
    'Private: puts the kernel of the Keltner channel into GD.';

create or replace function indicators.keltner(
    high double precision[],
    low double precision[],
    close double precision[],
    period integer default 20,
    atr integer default 10,
    multiplier double precision default 2,
    out kc_upper double precision[],
    out kc_middle double precision[],
    out kc_lower double precision[]
)
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._keltner_kernel()")
return GD["arithmetic"].adhoc(
    "keltner",
    {"period": period, "atr": atr, "multiplier": multiplier},
    high=high,
    low=low,
    close=close,
)
$$;

comment on function indicators.keltner(
    double precision[], double precision[], double precision[], integer, integer, double precision
) is 'Exponential moving average and a channel of average true ranges round it; null before what each needs.';
