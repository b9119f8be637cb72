-- indicators.rsi(x, period): Wilder's relative strength index of each value, as an array.
--
--     select indicators.rsi(array_agg(p.close order by p.ts), 14)
--     from cmc_price_histories7 as p where p.id = 1;
--
-- TA-Lib's: 100 x mean gain / (mean gain + mean loss); the first means are those of the first `period`
-- steps, later ones (before x (period - 1) + new) / period. Null for the first `period` values; 0 when
-- gains and losses are both 0. Nulls give null and are stepped over.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._rsi_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    before, gain, loss = arithmetic.parted(state, 3)
    close = candles.close
    steps = np.diff(close, prepend=before)
    gains, gain = arithmetic.wilder(np.where(steps > 0, steps, 0.0), params["period"], gain)
    losses, loss = arithmetic.wilder(np.where(steps < 0, -steps, 0.0), params["period"], loss)
    moves = gains + losses
    rsi = np.where(moves == 0, 0.0, 100 * (gains / moves))
    return (
        {"rsi": arithmetic.late(rsi, len(close))},
        arithmetic.joined(arithmetic.last(before, close), gain, loss),
    )


GD.setdefault("indicators", {})["rsi"] = run
SD["made"] = True
$$;

comment on function indicators._rsi_kernel() is
    'Private: puts the kernel of the relative strength index into GD.';

create or replace function indicators.rsi(x double precision[], period integer default 14)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._rsi_kernel()")
found = GD["arithmetic"].adhoc("rsi", {"period": period}, close=x)
return found and found[0]
$$;

comment on function indicators.rsi(double precision[], integer) is
    'Wilder''s relative strength index, 0 to 100; null before period + 1 values, 0 when nothing moves.';
