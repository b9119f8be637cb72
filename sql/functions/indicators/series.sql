-- indicators.series(): what kernels do with series, as a module in GD: logarithms, windows, scores.
--
--     plpy.execute("select indicators.series()")
--     series = GD["series"]
--     mean, deviation = series.moments(values, 251, 252)
--
-- Shared by kernels as db.packing is, and part of every fingerprint too. `first` is the first place
-- of a series that is asked for; a window is so many values, the last of them included.
--
-- Every result depends on its own window alone, whatever is computed beside it: sums run along
-- contiguous rows, deviations take two passes, and logarithms are libm's, because numpy's
-- differ from processor to processor.
--
-- needs: plpython3u

create or replace function indicators.series()
returns void
language plpython3u
stable parallel unsafe
as $$
if "made" in SD:
    return

from math import log
from types import SimpleNamespace

import numpy as np

SIGMAS = 4
FENCE = 1.5
# Windows are laid out so many, or so many numbers, at a time: they stay in the processor's cache.
BLOCK = 128
NUMBERS = 32768


def logs(values):
    """The natural logarithms, nan of nan."""
    found = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    logged = values[known]
    found[known] = np.fromiter(map(log, logged.tolist()), float, len(logged))
    return found


def windows_of(values, window):
    """Every window, in the order in which they end; each is contiguous."""
    return np.lib.stride_tricks.sliding_window_view(values, window)


def blocks(values, first, window):
    """The windows that end at value first, first + 1, ..., a block of rows at a time, with its place."""
    if len(values) > first:
        windows = windows_of(values, window)[first - window + 1 :]
        rows = max(NUMBERS // window, 1)
        for at in range(0, len(windows), rows):
            part = slice(at, at + rows)
            yield part, np.array(windows[part], order="C")


def means(values, first, window):
    """Mean of the windows that end at value first, first + 1, ..."""
    found = np.empty(max(len(values) - first, 0))
    for part, block in blocks(values, first, window):
        found[part] = block.sum(axis=1) / window
    return found


def moments(values, first, window):
    """Mean and sample deviation of the windows that end at value first, first + 1, ..."""
    averages = np.empty(max(len(values) - first, 0))
    deviations = np.empty(len(averages))
    if not len(averages):
        return averages, deviations
    # The mean of equal values is that value, though their sum may be rounded.
    changes = np.concatenate([[0], np.cumsum(values[1:] != values[:-1])])[first - window + 1 :]
    equal = changes[window - 1 :] == changes[: 1 - window]
    for part, block in blocks(values, first, window):
        mean = block.sum(axis=1) / window
        mean = np.where(equal[part], block[:, 0], mean)
        block -= mean[:, None]
        block *= block
        averages[part] = mean
        deviations[part] = block.sum(axis=1)
    return averages, np.sqrt(deviations / (window - 1))


def beyond(values, lower, upper):
    """Whether values lie outside the fences of their quartiles."""
    reach = FENCE * (upper - lower)
    return (values < lower - reach) | (values > upper + reach)


def outside(values, first, window):
    """Whether values first, first + 1, ... lie outside the fences of the windows before them."""
    judged = values[first:]
    found = np.zeros(len(judged), bool)
    if not len(judged):
        return found
    windows = windows_of(values, window)[first - window : -1]
    low, low_part = divmod((window - 1) / 4, 1)
    high, high_part = divmod((window - 1) * 3 / 4, 1)
    low, high = int(low), int(high)
    # One ordered window stands for those up to `near` before and after it. They have replaced so
    # many of its values at most, so their quartiles are not within its places that lie as far
    # inside: what is not beyond the fences of these is not beyond theirs. Rounding keeps the order.
    near = max(1, window // 30)
    centres = np.minimum(np.arange(near, len(judged) + near, 2 * near), len(judged) - 1)
    ordered = np.sort(windows[centres], axis=1)
    inner = np.repeat(ordered[:, [low + 1 + near, high - near]], 2 * near, axis=0)[: len(judged)]
    doubtful = np.flatnonzero(beyond(judged, *inner.T))
    for at in range(0, len(doubtful), BLOCK):
        part = doubtful[at : at + BLOCK]
        below, lower, upper, above = np.sort(windows[part], axis=1)[
            :, [low, low + 1, high, high + 1]
        ].T
        found[part] = beyond(
            judged[part],
            below + low_part * (lower - below),
            upper + high_part * (above - upper),
        )
    return found


def scores(values, first, window):
    """The z-scores, and the two outlier flags with where they are known, of places first and on.

    Of the values that are not nan. z is (x - mean) / sample deviation of the last `window` values, x
    included: nan before there are so many, or when the deviation is 0. An outlier is compared with
    the `window` values before it: more than 4 sample deviations from their mean, or more than 1.5
    interquartile ranges outside their quartiles (percentile_cont).
    """
    known = ~np.isnan(values)
    size, values = len(values), values[known]
    rows = np.flatnonzero(known)
    z = np.full(size, np.nan)
    far, fenced, judged = (np.zeros(size, bool) for _ in range(3))

    # The windows that end at a value serve its z-score and the flags of the value after it.
    rank = int(known[:first].sum())
    start = max(rank - 1, window - 1)
    mean, deviation = moments(values, start, window)
    scored = (values[start:] - mean) / deviation
    scored[~np.isfinite(scored)] = np.nan
    z[rows[start:]] = scored

    later = rows[start + 1 :]
    far[later] = np.abs(values[start + 1 :] - mean[:-1]) > SIGMAS * deviation[:-1]
    fenced[later] = outside(values, start + 1, window)
    judged[later] = True
    return z, far, fenced, judged


GD["series"] = SimpleNamespace(
    logs=logs, means=means, moments=moments, scores=scores
)
SD["made"] = True
$$;

comment on function indicators.series() is
    'Puts the module series into GD: logarithms, means, moments, z-scores and outlier flags.';
