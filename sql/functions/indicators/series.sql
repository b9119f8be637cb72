-- indicators.series(): what kernels do with series, as a module in GD: logarithms, windows, scores.
--
--     plpy.execute("select indicators.series()")
--     series = GD["series"]
--     mean, deviation = series.moments(values, 251, 252)
--
-- Shared by kernels as db.packing is, and part of every fingerprint too. `first` is the first place
-- of a series that is asked for, or an array of places; a window is so many values, the last of
-- them included.
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


def stretch(places):
    """The places, as a slice where each follows on the one before: what is read so is not copied."""
    if len(places) and places[-1] - places[0] == len(places) - 1:
        return slice(places[0], places[-1] + 1)
    return places


def asked(values, first):
    """The places that are asked for."""
    return first if isinstance(first, np.ndarray) else np.arange(first, len(values))


def blocks(values, ends, window):
    """The windows that end at these places, a block of rows at a time, with its place."""
    if len(ends):
        windows = windows_of(values, window)
        starts = ends - (window - 1)
        rows = max(NUMBERS // window, 1)
        for at in range(0, len(ends), rows):
            part = slice(at, at + rows)
            yield part, np.array(windows[stretch(starts[part])], order="C")


def means(values, first, window):
    """Mean of the windows that end at the places asked for."""
    ends = asked(values, first)
    found = np.empty(len(ends))
    for part, block in blocks(values, ends, window):
        found[part] = block.sum(axis=1) / window
    return found


def moments(values, first, window):
    """Mean and sample deviation of the windows that end at the places asked for."""
    ends = asked(values, first)
    averages = np.empty(len(ends))
    deviations = np.empty(len(ends))
    if not len(ends):
        return averages, deviations
    # The mean of equal values is that value, though their sum may be rounded.
    changes = np.concatenate([[0], np.cumsum(values[1:] != values[:-1])])
    equal = changes[ends] == changes[ends - (window - 1)]
    for part, block in blocks(values, ends, window):
        mean = block.sum(axis=1) / window
        mean = np.where(equal[part], block[:, 0], mean)
        block -= mean[:, None]
        block *= block
        averages[part] = mean
        deviations[part] = block.sum(axis=1)
    return averages, np.sqrt(deviations / (window - 1))


def beyond(values, lower, upper, fence):
    """Whether values lie outside the fences of their quartiles."""
    reach = fence * (upper - lower)
    return (values < lower - reach) | (values > upper + reach)


def outside(values, first, window, fence):
    """Whether the values asked for lie outside the fences of the windows before them."""
    places = asked(values, first)
    judged = values[places]
    found = np.zeros(len(judged), bool)
    if not len(judged):
        return found
    windows = windows_of(values, window)
    starts = places - window
    low, low_part = divmod((window - 1) / 4, 1)
    high, high_part = divmod((window - 1) * 3 / 4, 1)
    low, high = int(low), int(high)
    # One ordered window stands for those up to `near` before and after it. They have replaced so
    # many of its values at most, so their quartiles are not within its places that lie as far
    # inside: what is not beyond the fences of these is not beyond theirs. Rounding keeps the order.
    near = max(1, window // 30)
    centres = np.minimum(np.arange(near, len(judged) + near, 2 * near), len(judged) - 1)
    inner = np.sort(windows[starts[centres]], axis=1)[:, [low + 1 + near, high - near]]
    centre = np.repeat(np.arange(len(centres)), 2 * near)[: len(judged)]
    far = np.abs(places - places[centres[centre]]) > near
    doubtful = np.flatnonzero(far | beyond(judged, *inner[centre].T, fence))
    for at in range(0, len(doubtful), BLOCK):
        part = doubtful[at : at + BLOCK]
        below, lower, upper, above = np.sort(windows[starts[part]], axis=1)[
            :, [low, low + 1, high, high + 1]
        ].T
        found[part] = beyond(
            judged[part],
            below + low_part * (lower - below),
            upper + high_part * (above - upper),
            fence,
        )
    return found


def scores(values, first, window, sigmas, fence, begin=None):
    """The z-scores, and the two outlier flags with where they are known, of the places asked for.

    Of the values that are not nan. z is (x - mean) / sample deviation of the last `window` values, x
    included: nan before there are so many, or when the deviation is 0. An outlier is compared with
    the `window` values before it: more than `sigmas` sample deviations from their mean, or more than
    `fence` interquartile ranges outside their quartiles (percentile_cont). Where several series are laid one
    after the other, `begin` has the first place of its own for each place.
    """
    known = ~np.isnan(values)
    fresh = np.zeros(len(values), bool)
    fresh[asked(values, first)] = True
    begin = np.zeros(len(values), int) if begin is None else begin
    z = np.full(len(values), np.nan)
    far, fenced, judged = (np.zeros(len(values), bool) for _ in range(3))
    rows, values = np.flatnonzero(known), values[known]

    # How many values its series has before each.
    before = np.arange(len(values)) - (np.cumsum(known) - known)[begin[rows]]
    scored = np.flatnonzero(fresh[rows] & (before >= window - 1))
    later = scored[before[scored] >= window]
    # The windows that end at a value serve its z-score and the flags of the value after it.
    needed = np.zeros(len(values), bool)
    needed[scored] = True
    needed[later - 1] = True
    ends = np.flatnonzero(needed)
    mean, deviation = moments(values, ends, window)
    place = np.cumsum(needed) - 1

    at = place[scored]
    score = (values[scored] - mean[at]) / deviation[at]
    score[~np.isfinite(score)] = np.nan
    z[rows[scored]] = score

    at = place[later - 1]
    far[rows[later]] = np.abs(values[later] - mean[at]) > sigmas * deviation[at]
    fenced[rows[later]] = outside(values, later, window, fence)
    judged[rows[later]] = True
    return z, far, fenced, judged


GD["series"] = SimpleNamespace(
    logs=logs, means=means, moments=moments, scores=scores, stretch=stretch
)
SD["made"] = True
$$;

comment on function indicators.series() is
    'Puts the module series into GD: logarithms, means, moments, z-scores and outlier flags.';
