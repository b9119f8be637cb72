-- indicators.supertrend(high, low, close, period, multiplier): Supertrend of each candle, as arrays.
--
--     select s.supertrend, s.supertrend_direction
--     from (
--         select array_agg(p.high order by p.ts) as high, array_agg(p.low order by p.ts) as low,
--             array_agg(p.close order by p.ts) as close
--         from cmc_price_histories7 as p where p.id = 1
--     ) as c, indicators.supertrend(c.high, c.low, c.close, 10, 3) as s;
--
-- Bands lie `multiplier` average true ranges (indicators.atr) above and below (high + low) / 2. The
-- upper one only falls until a close is above it, the lower one only rises until a close is below it. In
-- an up-trend (1) supertrend is the lower band and a close below it turns it; in a down-trend (-1) it is
-- the upper band and a close above it turns it. It begins down, as TradingView's does. Null for the
-- first `period` candles. A candle with a null gives null and is stepped over. TA-Lib has none.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._supertrend_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import numpy as np

UP, DOWN = 1.0, -1.0


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    before, atr, stood = arithmetic.parted(state, 3)
    length = len(candles.close)
    earlier = arithmetic.previous(before, candles.close)
    ranges = arithmetic.true_ranges(candles.high, candles.low, earlier)
    found, atr = arithmetic.wilder(ranges[1 - len(before) :], params["period"], atr)
    reach = params["multiplier"] * found[~np.isnan(found)]
    middle = ((candles.high + candles.low) / 2)[length - len(reach) :]

    # Before the first bands any band is tighter.
    upper, lower, direction = stood.tolist() if len(stood) else (np.inf, -np.inf, DOWN)
    lines, directions = [], []
    for top, bottom, close, last in zip(
        (middle + reach).tolist(),
        (middle - reach).tolist(),
        candles.close[length - len(reach) :].tolist(),
        earlier[length - len(reach) :].tolist(),
    ):
        if top < upper or last > upper:
            upper = top
        if bottom > lower or last < lower:
            lower = bottom
        if direction == UP and close < lower:
            direction = DOWN
        elif direction == DOWN and close > upper:
            direction = UP
        lines.append(lower if direction == UP else upper)
        directions.append(direction)
    if lines:
        stood = np.array([upper, lower, direction])
    return (
        {
            "supertrend": arithmetic.late(np.array(lines), length),
            "direction": arithmetic.late(np.array(directions), length),
        },
        arithmetic.joined(arithmetic.last(before, candles.close), atr, stood),
    )


GD.setdefault("indicators", {})["supertrend"] = run
SD["made"] = True
$$;

comment on function indicators._supertrend_kernel() is
    'Private: puts the kernel of Supertrend into GD.';

create or replace function indicators.supertrend(
    high double precision[],
    low double precision[],
    close double precision[],
    period integer default 10,
    multiplier double precision default 3,
    out supertrend double precision[],
    out supertrend_direction double precision[]
)
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._supertrend_kernel()")
return GD["arithmetic"].adhoc(
    "supertrend",
    {"period": period, "multiplier": multiplier},
    high=high,
    low=low,
    close=close,
)
$$;

comment on function indicators.supertrend(
    double precision[], double precision[], double precision[], integer, double precision
) is 'Supertrend and its direction, 1 up and -1 down; null for the first period candles.';
