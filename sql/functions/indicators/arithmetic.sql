-- indicators.arithmetic(): what the kinds of indicators share, as a module in GD: seeds, smoothing, windows, state.
--
--     plpy.execute("select indicators.arithmetic()")
--     arithmetic = GD["arithmetic"]
--     found, carried = arithmetic.wilder(values, 14, carried)
--
-- A kernel gets new candles and its state after the last ones, and gives its outputs for them and its
-- state after them. Splitting candles anywhere gives the same bits: what recurs goes on value by
-- value, and a window is worked out from its own values alone, which the state carries.
-- `joined` and `parted` turn the arrays that a kernel carries into its state and back; before the
-- first candle they are empty.
--
-- Recurrences are TA-Lib's to the bit: sums from the first value to the last, then its steps.
-- Window sums are not, because its running sums depend on all that went before.
--
-- requires: functions/indicators/parameters.sql, functions/indicators/series.sql
-- needs: plpython3u

create or replace function indicators.arithmetic()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

import json
from itertools import accumulate
from math import isfinite, sqrt
from types import SimpleNamespace

import numpy as np

plpy.execute("select indicators.series()")

# Windows are laid out so many numbers at a time: they stay in the processor's cache.
BLOCK = 16384


def joined(*parts):
    """The arrays that a kernel carries as its state, each with its length before it."""
    return np.concatenate([each for part in parts for each in ([len(part)], part)]).astype(float)


def parted(state, count):
    """The arrays of a state; empty ones before the first candle."""
    if state is None:
        return [np.empty(0)] * count
    parts, at = [], 0
    for _ in range(count):
        end = at + 1 + int(state[at])
        parts.append(state[at + 1 : end])
        at = end
    return parts


def late(values, length):
    """Values as the end of a series that is nan before them."""
    found = np.full(length, np.nan)
    found[length - len(values) :] = values
    return found


def last(before, values, count=1):
    """The last values of the two arrays."""
    whole = np.concatenate([before, values])
    return whole[max(len(whole) - count, 0) :]


def previous(before, values):
    """The value before each one; nan before the first ever."""
    return np.concatenate([before if len(before) else [np.nan], values])[:-1]


def recurrence(values, count, seed, steps, carried):
    """seed(sum) at the first `count` values, then steps(result before, values after); nan earlier.

    Gives the results and what is carried: how many values there were, and their sum or the last result.
    """
    seen, now = carried if len(carried) else (0, 0.0)
    now = float(now)
    given = values.tolist()
    first = given[: count - int(seen)]
    found = []
    if first:
        now = list(accumulate(first, initial=now))[-1]
        seen += len(first)
        if seen == count:
            now = seed(now)
            found = [np.nan] * (len(first) - 1) + [now]
    if seen < count:
        return np.full(len(given), np.nan), np.array([seen, now])
    found += steps(now, given[len(first) :])
    return np.array(found, float), np.array([seen, found[-1] if found else now])


def ema(values, period, carried):
    """Exponential mean with weight 2 / (period + 1), from the mean of the first `period` values on."""
    weight = 2 / (period + 1)

    def steps(y, later):
        return [y := (x - y) * weight + y for x in later]

    return recurrence(values, period, lambda total: total / period, steps, carried)


def wilder(values, period, carried):
    """Wilder's mean with weight 1 / period, from the mean of the first `period` values on."""
    rest = period - 1

    def steps(y, later):
        return [y := (y * rest + x) / period for x in later]

    return recurrence(values, period, lambda total: total / period, steps, carried)


def true_ranges(high, low, close_before):
    """The true range of each candle; nan where there is no close before."""
    reach = np.maximum(high - low, np.abs(close_before - high))
    return np.maximum(reach, np.abs(close_before - low))


def held(before, values, window):
    """The values with those before them that their windows hold, and what the next windows hold."""
    whole = np.concatenate([before, values])
    return whole, whole[max(len(whole) - window + 1, 0) :]


def over(whole, window, length, reduce):
    """reduce() of the windows that end at the last `length` values; nan where one is not full.

    It is given windows as contiguous rows, and gives a value for each.
    """
    found = np.full(length, np.nan)
    if len(whole) < window:
        return found
    windows = np.lib.stride_tricks.sliding_window_view(whole, window)
    windows = windows[max(len(windows) - length, 0) :]
    rows = max(BLOCK // window, 1)
    for at in range(0, len(windows), rows):
        block = np.array(windows[at : at + rows], order="C")
        start = length - len(windows) + at
        found[start : start + len(block)] = reduce(block)
    return found


def sums(whole, window, length):
    """Sum of each window."""
    return over(whole, window, length, lambda block: block.sum(axis=1))


def moments(whole, window, length):
    """Mean and population deviation of each window of two or more, in two passes."""
    first = max(len(whole) - length, window - 1)
    mean, deviation = GD["series"].moments(whole, first, window)
    return late(mean, length), late(deviation * sqrt((window - 1) / window), length)


def means(whole, window, length):
    """Mean of each window."""
    return whole[len(whole) - length :] if window == 1 else moments(whole, window, length)[0]


def extremes(whole, window, length, better):
    """The best value of each window, which is the better of two shorter ones that cover it."""
    if len(whole) < window:
        return np.full(length, np.nan)
    found, size = whole, 1
    while size < window:
        step = min(size, window - size)
        found = better(found[step:], found[:-step])
        size += step
    return late(found[max(len(found) - length, 0) :], length)


def highest(whole, window, length):
    """Largest value of each window."""
    return extremes(whole, window, length, np.maximum)


def lowest(whole, window, length):
    """Smallest value of each window."""
    return extremes(whole, window, length, np.minimum)


def adhoc(kind, params, **arrays):
    """The outputs of a kind for whole arrays, as lists; None where an input is none or no finite number."""
    odd = {
        name: value if value is None or isfinite(value) else str(value)
        for name, value in params.items()
    }
    plan = plpy.prepare("select indicators.parameters($1, $2) as checked", ["text", "jsonb"])
    params = json.loads(plpy.execute(plan, [kind, json.dumps(odd)])[0]["checked"])
    if any(values is None for values in arrays.values()):
        return None
    columns = {name: np.array(values, float) for name, values in arrays.items()}
    shapes = {name: values.shape for name, values in columns.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        plpy.error(
            f"the arrays for {kind} are not of one length and dimension",
            detail=", ".join(f"{name} has {'x'.join(map(str, n))}" for name, n in shapes.items()) + ".",
            hint="Aggregate them together, each order by the same time.",
            sqlstate="TA306",
        )
    known = np.logical_and.reduce([np.isfinite(values) for values in columns.values()])
    candles = SimpleNamespace(**{name: values[known] for name, values in columns.items()})
    with np.errstate(all="ignore"):
        outputs, _ = GD["indicators"][kind](candles, params, None)
    found = []
    for values in outputs.values():
        whole = np.full(len(known), np.nan)
        whole[known] = values
        found.append([x if isfinite(x) else None for x in whole.tolist()])
    return found


GD["arithmetic"] = SimpleNamespace(
    joined=joined,
    parted=parted,
    late=late,
    last=last,
    previous=previous,
    recurrence=recurrence,
    ema=ema,
    wilder=wilder,
    true_ranges=true_ranges,
    held=held,
    over=over,
    sums=sums,
    moments=moments,
    means=means,
    highest=highest,
    lowest=lowest,
    adhoc=adhoc,
)
SD["made"] = True
$$;

comment on function indicators.arithmetic() is
    'Puts the module arithmetic into GD: state, seeds, smoothing and windows of indicators, and their ad hoc form.';
