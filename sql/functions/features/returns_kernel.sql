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
from bisect import bisect_left, insort
from math import log

import numpy as np

SPANS = (1, 3, 5, 7, 14, 21, 30, 63, 126, 252)
SCORED = (1, 7, 30)
WINDOW = 252
SIGMAS = 4
FENCE = 1.5
# Windows are laid out this many at a time: they stay in the processor's cache.
BLOCK = 256

plpy.execute("select db.packing()")
packing = GD["packing"]


def ratios(close, span):
    """Each close over the one span rows earlier, nan where either is missing."""
    found = np.full(len(close), np.nan)
    with np.errstate(all="ignore"):
        found[span:] = close[span:] / close[:-span]
    return found


def logs(values):
    """The natural logarithms, nan of nan."""
    found = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    found[known] = list(map(log, values[known].tolist()))
    return found


def moments(values, first):
    """Mean and sample deviation of the windows that end at value first, first + 1, ..."""
    if len(values) <= first:
        return np.empty(0), np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW)[first - WINDOW + 1 :]
    means, deviations = [], []
    for at in range(0, len(windows), BLOCK):
        block = np.array(windows[at : at + BLOCK], order="C")
        with np.errstate(all="ignore"):
            mean = block.sum(axis=1) / WINDOW
            # The mean of equal values is that value, though their sum may be rounded.
            mean = np.where((block == block[:, :1]).all(axis=1), block[:, 0], mean)
            block -= mean[:, None]
            block *= block
            deviations.append(np.sqrt(block.sum(axis=1) / (WINDOW - 1)))
        means.append(mean)
    return np.concatenate(means), np.concatenate(deviations)


def quartiles(values, first):
    """First and third quartile of the windows that end before value first, first + 1, ..."""
    lower, upper = [], []
    if first < len(values):
        values = values.tolist()
        window = sorted(values[first - WINDOW : first])
        low, low_part = divmod((WINDOW - 1) / 4, 1)
        high, high_part = divmod((WINDOW - 1) * 3 / 4, 1)
        low, high = int(low), int(high)
        for oldest, value in zip(values[first - WINDOW :], values[first:]):
            lower.append(window[low] + low_part * (window[low + 1] - window[low]))
            upper.append(window[high] + high_part * (window[high + 1] - window[high]))
            del window[bisect_left(window, oldest)]
            insort(window, value)
    return np.array(lower), np.array(upper)


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
    with np.errstate(all="ignore"):
        z[rows[start:]] = (values[start:] - mean) / deviation
        z[~np.isfinite(z)] = np.nan

        flagged = values[start + 1 :]
        far[rows[start + 1 :]] = np.abs(flagged - mean[:-1]) > SIGMAS * deviation[:-1]
        lower, upper = quartiles(values, start + 1)
        reach = FENCE * (upper - lower)
        fenced[rows[start + 1 :]] = (flagged < lower - reach) | (flagged > upper + reach)
    judged[rows[start + 1 :]] = True
    return z, far, fenced, judged


def columns(sessions, close, first):
    """The table's columns in its order, each as (type, values, where not null), from row first."""
    candle = ~np.isnan(close)
    percent, logarithm, score = [], [], []
    flags = [], []

    def numbers(values):
        return packing.FLOAT, values, ~np.isnan(values)

    for span in SPANS:
        ratio = ratios(close, span)
        odd = np.flatnonzero((ratio == 0) | np.isinf(ratio))
        if len(odd):
            plpy.error(
                "a return is beyond what a number can hold",
                detail=f"Asset {p_id}, {packing.iso(sessions[odd[:1]])[0]}, over {span} sessions: "
                f"{close[odd[0] - span]!r} to {close[odd[0]]!r}.",
                hint="Correct the candle that is wrong.",
                sqlstate="TA403",
            )
        returns = ratio - 1
        percent.append(numbers(returns[first:]))
        logarithm.append(numbers(logs(ratio[first:])))
        if span in SCORED:
            z, far, fenced, judged = (each[first:] for each in scores(returns, first))
            score.append(numbers(z))
            flags[0].append((packing.BOOLEAN, far, judged))
            flags[1].append((packing.BOOLEAN, fenced, judged))

    at = np.flatnonzero(candle)
    gap = np.zeros(len(sessions), "i4")
    gap[at[1:]] = np.diff(at)
    return [
        (packing.INTEGER, np.full(len(sessions) - first, p_id), None),
        (packing.STAMP, sessions[first:], None),
        (packing.STAMP, sessions[first:], None),
        *percent,
        *logarithm,
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

if not p_whole and (
    first < max(SPANS)
    or any(np.isfinite(ratios(close, span)[:first]).sum() < WINDOW for span in SCORED)
):
    return False, None, 0, [], 0, None

found = packing.differences(columns(sessions, close, first), p_stored, keys=2)
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
