-- indicators.macd(x, fast, slow, signal): moving average convergence divergence of each value, as arrays.
--
--     select m.macd, m.macd_signal, m.macd_hist
--     from (select array_agg(p.close order by p.ts) as closes from cmc_price_histories7 as p where p.id = 1) as c,
--         indicators.macd(c.closes, 12, 26, 9) as m;
--
-- TA-Lib's: EMA over `fast` less EMA over `slow`, the EMA of that over `signal`, and the first less the
-- second. Each EMA begins with the mean of its first values; the fast one's are those that end at value `slow`,
-- the signal's the first `signal` differences. All null before value slow + signal - 1.
-- Nulls give null and are stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._macd_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    skipped, fast, slow, signal = arithmetic.parted(state, 4)
    close = candles.close
    skip = params["slow"] - params["fast"]
    gone = int(skipped[0]) if len(skipped) else 0
    fasts, fast = arithmetic.ema(close[skip - gone :], params["fast"], fast)
    slows, slow = arithmetic.ema(close, params["slow"], slow)
    macd = arithmetic.late(fasts, len(close)) - slows
    signals, signal = arithmetic.ema(macd[~np.isnan(macd)], params["signal"], signal)
    signals = arithmetic.late(signals, len(close))
    macd[np.isnan(signals)] = np.nan
    return (
        {"macd": macd, "signal": signals, "hist": macd - signals},
        arithmetic.joined([min(gone + len(close), skip)], fast, slow, signal),
    )


GD.setdefault("indicators", {})["macd"] = run
SD["made"] = True
$$;

comment on function indicators._macd_kernel() is
    'Private: puts the kernel of moving average convergence divergence into GD.';

create or replace function indicators.macd(
    x double precision[],
    fast integer default 12,
    slow integer default 26,
    signal integer default 9,
    out macd double precision[],
    out macd_signal double precision[],
    out macd_hist double precision[]
)
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._macd_kernel()")
return GD["arithmetic"].adhoc("macd", {"fast": fast, "slow": slow, "signal": signal}, close=x)
$$;

comment on function indicators.macd(double precision[], integer, integer, integer) is
    'Fast less slow exponential mean, its own exponential mean, and their difference; null before value slow + signal - 1.';
