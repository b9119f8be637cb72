-- indicators.kama(x, period): Kaufman's adaptive moving average of each value, as an array.
--
--     select indicators.kama(array_agg(p.close order by p.ts), 10)
--     from cmc_price_histories7 as p where p.id = 1;
--
-- TA-Lib's: (2/31 + e x (2/3 - 2/31)) squared of the way to each new value, where the efficiency e is
-- the move over the last `period` steps as a share of the path that they took, 1 where nothing moved.
-- It goes out from value `period`; null up to that. Kaufman's own period is 10. TA-Lib takes a path
-- under 1e-14 for none, which here is 0 alone. Nulls give null and are stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._kama_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np

FAST, SLOW = 2 / 3, 2 / 31


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    closes, before = arithmetic.parted(state, 2)
    period, length = params["period"], len(candles.close)
    whole, closes = arithmetic.held(closes, candles.close, period + 1)
    known = max(len(whole) - period, 0)
    if known and not len(before):
        before = whole[period - 1 : period]
    path = arithmetic.sums(np.abs(np.diff(whole)), period, known)
    move = np.abs(whole[len(whole) - known :] - whole[:known])
    efficiency = np.where(path <= move, 1.0, move / path)
    weights = efficiency * (FAST - SLOW) + SLOW
    weights *= weights
    found = before
    if known:
        kama = float(before[0])
        steps = zip(whole[len(whole) - known :].tolist(), weights.tolist())
        found = np.array([kama := (x - kama) * weight + kama for x, weight in steps])
    return (
        {"kama": arithmetic.late(found if known else found[:0], length)},
        arithmetic.joined(closes, found[-1:]),
    )


GD.setdefault("indicators", {})["kama"] = run
SD["made"] = True
$$;

comment on function indicators._kama_kernel() is
    'Private: puts the kernel of Kaufman''s adaptive moving average into GD.';

create or replace function indicators.kama(x double precision[], period integer default 30)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._kama_kernel()")
found = GD["arithmetic"].adhoc("kama", {"period": period}, close=x)
return found and found[0]
$$;

comment on function indicators.kama(double precision[], integer) is
    'Kaufman''s adaptive moving average, fast 2 and slow 30; null before period + 1 values.';
