-- features.returns_kernel(...): one asset's returns from packed candles, as packed rows that differ.
--
--     select k.*
--     from features.returns_kernel(1, sessions, ts, close, true, after, stored) as k;
--
-- Sessions, ts and close are array_send of arrays without nulls, in order of time: the scheduled
-- sessions from the first candle given to the last, and the candles. Rows are worked out for
-- the sessions later than p_after (timestamptz_send) and compared with p_stored (record_send of
-- the table's rows later than p_after), bit for bit.
--
-- A return over n compares with the session n scheduled sessions earlier, null when either has no
-- candle. z is (x - mean) / sample deviation of the last 252 values that are not null, x included;
-- null before there are 252, or when the deviation is 0. An outlier is compared with the 252
-- before it: more than 4 sample deviations from their mean, or more than 1.5 interquartile ranges
-- outside their quartiles (percentile_cont). Sessions without a candle have a row, null and flagged.
--
-- Every value depends on its own window alone, whatever is computed beside it: sums run along
-- contiguous rows, and logarithms are libm's, because numpy's differ from processor to processor.
-- No recurrence, so no state: the candles before p_after are read again. p_whole says that there
-- are none before those given; otherwise complete is false when more of them are needed.
--
-- requires: functions/db/packing.sql
-- needs: plpython3u

create or replace function features.returns_kernel(
    p_id integer,
    p_sessions bytea,
    p_ts bytea,
    p_close bytea,
    p_whole boolean,
    p_after bytea,
    p_stored bytea[],
    out complete boolean,
    out last_ts timestamptz,
    out unchanged integer,
    out stale timestamptz[],
    out changed integer,
    out packed bytea
)
language plpython3u
immutable parallel unsafe
as $$
from math import log

import numpy as np

SPANS = (1, 3, 5, 7, 14, 21, 30, 63, 126, 252)
SCORED = (1, 7, 30)
WINDOW = 252
SIGMAS = 4
FENCE = 1.5
# Windows are laid out this many at a time: they stay in the processor's cache.
BLOCK = 128
NEAR = max(1, WINDOW // 30)

plpy.execute("select db.packing()")
packing = GD["packing"]


def ratios(close):
    """Each close over the one so many rows earlier, nan where either is missing, by span."""
    found = np.full((len(SPANS), len(close)), np.nan)
    for row, span in zip(found, SPANS):
        row[span:] = close[span:] / close[:-span]
    return found


def logs(values):
    """The natural logarithms, nan of nan."""
    found = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    logged = values[known]
    found[known] = np.fromiter(map(log, logged.tolist()), float, len(logged))
    return found


def windows_of(values):
    """Every window, in the order in which they end; each is contiguous."""
    return np.lib.stride_tricks.sliding_window_view(values, WINDOW)


def moments(values, first):
    """Mean and sample deviation of the windows that end at value first, first + 1, ..."""
    means = np.empty(max(len(values) - first, 0))
    deviations = np.empty(len(means))
    if not len(means):
        return means, deviations
    windows = windows_of(values)[first - WINDOW + 1 :]
    # The mean of equal values is that value, though their sum may be rounded.
    changes = np.concatenate([[0], np.cumsum(values[1:] != values[:-1])])[first - WINDOW + 1 :]
    equal = changes[WINDOW - 1 :] == changes[: 1 - WINDOW]
    for at in range(0, len(windows), BLOCK):
        part = slice(at, at + BLOCK)
        block = np.array(windows[part], order="C")
        mean = block.sum(axis=1) / WINDOW
        mean = np.where(equal[part], block[:, 0], mean)
        block -= mean[:, None]
        block *= block
        means[part] = mean
        deviations[part] = block.sum(axis=1)
    return means, np.sqrt(deviations / (WINDOW - 1))


def beyond(values, lower, upper):
    """Whether values lie outside the fences of their quartiles."""
    reach = FENCE * (upper - lower)
    return (values < lower - reach) | (values > upper + reach)


def outside(values, first):
    """Whether values first, first + 1, ... lie outside the fences of the windows before them."""
    judged = values[first:]
    found = np.zeros(len(judged), bool)
    if not len(judged):
        return found
    windows = windows_of(values)[first - WINDOW : -1]
    low, low_part = divmod((WINDOW - 1) / 4, 1)
    high, high_part = divmod((WINDOW - 1) * 3 / 4, 1)
    low, high = int(low), int(high)
    # One ordered window stands for those up to NEAR before and after it. They have replaced NEAR of
    # its values at most, so their quartiles are not within its places that lie as far inside: what
    # is not beyond the fences of these is not beyond theirs. Rounding keeps the order.
    centres = np.minimum(np.arange(NEAR, len(judged) + NEAR, 2 * NEAR), len(judged) - 1)
    ordered = np.sort(windows[centres], axis=1)
    inner = np.repeat(ordered[:, [low + 1 + NEAR, high - NEAR]], 2 * NEAR, axis=0)[: len(judged)]
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


def scores(returns, first):
    """The z-scores, and the two outlier flags with where they are known, of rows first and on."""
    known = ~np.isnan(returns)
    values = returns[known]
    rows = np.flatnonzero(known)
    z = np.full(len(returns), np.nan)
    far, fenced, judged = (np.zeros(len(returns), bool) for _ in range(3))

    # The windows that end at a value serve its z-score and the flags of the value after it.
    rank = int(known[:first].sum())
    start = max(rank - 1, WINDOW - 1)
    mean, deviation = moments(values, start)
    scored = (values[start:] - mean) / deviation
    scored[~np.isfinite(scored)] = np.nan
    z[rows[start:]] = scored

    later = rows[start + 1 :]
    far[later] = np.abs(values[start + 1 :] - mean[:-1]) > SIGMAS * deviation[:-1]
    fenced[later] = outside(values, start + 1)
    judged[later] = True
    return z, far, fenced, judged


def refuse(ratio, sessions, close):
    """An error that names the first of the returns that are no number, if there is one."""
    for span, row, odd in zip(SPANS, ratio, (ratio == 0) | np.isinf(ratio)):
        if odd.any():
            at = int(odd.argmax())
            plpy.error(
                "a return is beyond what a number can hold",
                detail=f"Asset {p_id}, {packing.iso(sessions[at : at + 1])[0]}, over {span} sessions: "
                f"{close[at - span]!r} to {close[at]!r}.",
                hint="Correct the candle that is wrong.",
                sqlstate="TA403",
            )


def columns(sessions, close, ratio, first):
    """The table's columns in its order, each as (type, values, where not null), from row first."""
    candle = ~np.isnan(close)
    returns = ratio - 1
    fresh = returns[:, first:]
    known = ~np.isnan(fresh)
    logarithms = logs(ratio[:, first:])
    score = []
    flags = [], []
    for span in SCORED:
        z, far, fenced, judged = (each[first:] for each in scores(returns[SPANS.index(span)], first))
        score.append((packing.FLOAT, z, ~np.isnan(z)))
        flags[0].append((packing.BOOLEAN, far, judged))
        flags[1].append((packing.BOOLEAN, fenced, judged))

    at = np.flatnonzero(candle)
    gap = np.zeros(len(sessions), "i4")
    gap[at[1:]] = np.diff(at)
    return [
        (packing.INTEGER, np.full(len(sessions) - first, p_id), None),
        (packing.STAMP, sessions[first:], None),
        (packing.STAMP, sessions[first:], None),
        *((packing.FLOAT, values, present) for values, present in zip(fresh, known)),
        *((packing.FLOAT, values, present) for values, present in zip(logarithms, known)),
        *score,
        (packing.INTEGER, gap[first:], gap[first:] > 0),
        (packing.BOOLEAN, ~candle[first:], None),
        *flags[0],
        *flags[1],
    ]


sessions, ts = packing.unpack(p_sessions, "i8"), packing.unpack(p_ts, "i8")
first = int(np.searchsorted(sessions, np.frombuffer(p_after, ">i8")[0], side="right"))
place = np.minimum(np.searchsorted(sessions, ts), len(sessions) - 1)
strays = np.flatnonzero(sessions[place] != ts)
if len(strays):
    plpy.error(
        "a candle belongs to no session",
        detail=f"Asset {p_id}, {packing.iso(ts[strays[:1]])[0]}.",
        hint="A candle's ts is the last millisecond of its session; correct or delete it.",
        sqlstate="TA404",
    )
close = np.full(len(sessions), np.nan)
close[place] = packing.unpack(p_close, "f8")

# Division by zero and overflow are found in what they leave behind.
with np.errstate(all="ignore"):
    ratio = ratios(close)
    if not p_whole:
        scored = ratio[[SPANS.index(span) for span in SCORED], :first]
        if first < max(SPANS) or (np.isfinite(scored).sum(axis=1) < WINDOW).any():
            return False, None, 0, [], 0, None
    refuse(ratio, sessions, close)
    laid = columns(sessions, close, ratio, first)

found = packing.differences(laid, p_stored, keys=2)
return (
    True,
    packing.iso(ts[-1:])[0] if len(ts) else None,
    found.unchanged,
    packing.iso(found.stale[1]),
    found.changed,
    found.packed,
)
$$;

comment on function features.returns_kernel(integer, bytea, bytea, bytea, boolean, bytea, bytea[]) is
    'Daily returns of one asset: the keys of stored rows that are stale, and the rows that take their place.';
