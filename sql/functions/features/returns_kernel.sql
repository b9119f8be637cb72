-- features.returns_kernel(...): returns of a set of assets from packed candles, as packed rows that differ.
--
--     select k.*
--     from features.returns_kernel('{7}', '{1}', array[sessions], array[ts], array[close], '{t}', after, stored) as k;
--
-- p_ids are in order; of each asset stands at its place: p_calendars, which of p_sessions holds its
-- scheduled sessions; p_ts and p_close, its candles; p_whole and p_after (of array_send). Each of
-- p_sessions, p_ts and p_close is array_send of an array without nulls, the sessions in order of
-- time; those before the first candle and after the last are left out. Rows are worked out for the sessions later
-- than p_after and compared with p_stored (record_send of the table's rows later than that), bit for bit.
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
-- are none before those given; incomplete are the assets of which more of them are needed, and then
-- nothing else is given.
--
-- requires: functions/db/packing.sql
-- needs: plpython3u

create or replace function features.returns_kernel(
    p_ids integer[],
    p_calendars integer[],
    p_sessions bytea[],
    p_ts bytea[],
    p_close bytea[],
    p_whole boolean[],
    p_after bytea,
    p_stored bytea[],
    out incomplete integer[],
    out last_ts timestamptz[],
    out unchanged integer[],
    out changed integer[],
    out stale_ids integer[],
    out stale timestamptz[],
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


def ratios(close, row):
    """Each close over that of the asset so many rows earlier, nan where either is missing, by span."""
    found = np.full((len(SPANS), len(close)), np.nan)
    for ratio, span in zip(found, SPANS):
        ratio[span:] = close[span:] / close[:-span]
        ratio[row < span] = np.nan
    return found


def logs(values):
    """The natural logarithms, nan of nan."""
    found = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    logged = values[known]
    found[known] = np.fromiter(map(log, logged.tolist()), float, len(logged))
    return found


def stretch(places):
    """The places, as a slice where each follows on the one before: what is read so is not copied."""
    if len(places) and places[-1] - places[0] == len(places) - 1:
        return slice(places[0], places[-1] + 1)
    return places


def windows_of(values):
    """Every window, in the order in which they end; each is contiguous."""
    return np.lib.stride_tricks.sliding_window_view(values, WINDOW)


def moments(values, ends):
    """Mean and sample deviation of the windows that end at these values."""
    means = np.empty(len(ends))
    deviations = np.empty(len(ends))
    if not len(ends):
        return means, deviations
    windows = windows_of(values)
    starts = ends - (WINDOW - 1)
    # The mean of equal values is that value, though their sum may be rounded.
    changes = np.concatenate([[0], np.cumsum(values[1:] != values[:-1])])
    equal = changes[ends] == changes[starts]
    for at in range(0, len(ends), BLOCK):
        part = slice(at, at + BLOCK)
        block = np.array(windows[stretch(starts[part])], order="C")
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


def outside(values, places):
    """Whether the values at these places lie outside the fences of the windows before them."""
    judged = values[places]
    found = np.zeros(len(judged), bool)
    if not len(judged):
        return found
    windows = windows_of(values)
    starts = places - WINDOW
    low, low_part = divmod((WINDOW - 1) / 4, 1)
    high, high_part = divmod((WINDOW - 1) * 3 / 4, 1)
    low, high = int(low), int(high)
    # One ordered window stands for those up to NEAR before and after it. They have replaced NEAR of
    # its values at most, so their quartiles are not within its places that lie as far inside: what
    # is not beyond the fences of these is not beyond theirs. Rounding keeps the order.
    centres = np.minimum(np.arange(NEAR, len(judged) + NEAR, 2 * NEAR), len(judged) - 1)
    ordered = np.sort(windows[starts[centres]], axis=1)[:, [low + 1 + NEAR, high - NEAR]]
    centre = np.repeat(np.arange(len(centres)), 2 * NEAR)[: len(judged)]
    far = np.abs(places - places[centres[centre]]) > NEAR
    doubtful = np.flatnonzero(far | beyond(judged, *ordered[centre].T))
    for at in range(0, len(doubtful), BLOCK):
        part = doubtful[at : at + BLOCK]
        below, lower, upper, above = np.sort(windows[starts[part]], axis=1)[
            :, [low, low + 1, high, high + 1]
        ].T
        found[part] = beyond(
            judged[part],
            below + low_part * (lower - below),
            upper + high_part * (above - upper),
        )
    return found


def scores(returns, begin, fresh):
    """The z-scores, and the two outlier flags with where they are known, of the fresh rows.

    ``begin`` has the first row of the asset of each row.
    """
    known = ~np.isnan(returns)
    values = returns[known]
    rows = np.flatnonzero(known)
    z = np.full(len(returns), np.nan)
    far, fenced, judged = (np.zeros(len(returns), bool) for _ in range(3))

    # How many values the asset has up to each, itself not counted.
    before = np.arange(len(values)) - (np.cumsum(known) - known)[begin[rows]]
    scored = np.flatnonzero(fresh[rows] & (before >= WINDOW - 1))
    later = scored[before[scored] >= WINDOW]
    # A window serves the z-score of the value it ends at, and the flags of the one after it.
    needed = np.zeros(len(values), bool)
    needed[scored] = True
    needed[later - 1] = True
    ends = np.flatnonzero(needed)
    mean, deviation = moments(values, ends)
    place = np.cumsum(needed) - 1

    at = place[scored]
    score = (values[scored] - mean[at]) / deviation[at]
    score[~np.isfinite(score)] = np.nan
    z[rows[scored]] = score

    at = place[later - 1]
    far[rows[later]] = np.abs(values[later] - mean[at]) > SIGMAS * deviation[at]
    fenced[rows[later]] = outside(values, later)
    judged[rows[later]] = True
    return z, far, fenced, judged


def refuse(ratio, ids, sessions, close):
    """An error that names the first of the returns that are no number, if there is one."""
    for span, row, odd in zip(SPANS, ratio, (ratio == 0) | np.isinf(ratio)):
        if odd.any():
            at = int(odd.argmax())
            plpy.error(
                "a return is beyond what a number can hold",
                detail=f"Asset {ids[at]}, {packing.iso(sessions[at : at + 1])[0]}, over {span} sessions: "
                f"{close[at - span]!r} to {close[at]!r}.",
                hint="Correct the candle that is wrong.",
                sqlstate="TA403",
            )


def columns(ids, sessions, close, begin, ratio, fresh):
    """The table's columns in its order, each as (type, values, where not null), of the fresh rows."""
    candle = ~np.isnan(close)
    returns = ratio - 1
    chosen = stretch(np.flatnonzero(fresh))
    rows = returns[:, chosen]
    known = ~np.isnan(rows)
    logarithms = logs(ratio[:, chosen])
    score = []
    flags = [], []
    for span in SCORED:
        z, far, fenced, judged = (
            each[chosen] for each in scores(returns[SPANS.index(span)], begin, fresh)
        )
        score.append((packing.FLOAT, z, ~np.isnan(z)))
        flags[0].append((packing.BOOLEAN, far, judged))
        flags[1].append((packing.BOOLEAN, fenced, judged))

    at = np.flatnonzero(candle)
    gap = np.zeros(len(sessions), "i4")
    gap[at[1:]] = np.diff(at)
    # An asset's rows begin with its first candle.
    gap[begin] = 0
    gap = gap[chosen]
    return [
        (packing.INTEGER, ids[chosen], None),
        (packing.STAMP, sessions[chosen], None),
        (packing.STAMP, sessions[chosen], None),
        *((packing.FLOAT, values, present) for values, present in zip(rows, known)),
        *((packing.FLOAT, values, present) for values, present in zip(logarithms, known)),
        *score,
        (packing.INTEGER, gap, gap > 0),
        (packing.BOOLEAN, ~candle[chosen], None),
        *flags[0],
        *flags[1],
    ]


def scheduled(id_, sessions, ts):
    """The sessions from the first candle to the last, and the places of the candles in them."""
    sessions = sessions[slice(*np.searchsorted(sessions, ts[[0, -1]] + [0, 1]))] if len(ts) else ts
    place = np.searchsorted(sessions, ts)
    strays = np.arange(len(ts))
    if len(sessions):
        strays = np.flatnonzero(sessions.take(place, mode="clip") != ts)
    if len(strays):
        plpy.error(
            "a candle belongs to no session",
            detail=f"Asset {id_}, {packing.iso(ts[strays[:1]])[0]}.",
            hint="A candle's ts is the last millisecond of its session; correct or delete it.",
            sqlstate="TA404",
        )
    return sessions, place


after = packing.unpack(p_after, "i8").tolist()
calendars = [packing.unpack(each, "i8") for each in p_sessions]
parts, closes, firsts, last = [], [], [], []
for n, (id_, calendar) in enumerate(zip(p_ids, p_calendars)):
    ts = packing.unpack(p_ts[n], "i8")
    order = np.argsort(ts, kind="stable")
    ts = ts[order]
    sessions, place = scheduled(id_, calendars[calendar - 1], ts)
    close = np.full(len(sessions), np.nan)
    close[place] = packing.unpack(p_close[n], "f8")[order]
    parts.append(sessions)
    closes.append(close)
    firsts.append(int(np.searchsorted(sessions, after[n], side="right")))
    last.append(packing.iso(ts[-1:])[0] if len(ts) else None)
lengths = np.array([len(part) for part in parts])
ends = np.cumsum(lengths)
begins = ends - lengths
sessions, close = np.concatenate(parts), np.concatenate(closes)
# Of each row: which asset it is of, where that begins, and how far from there it is.
owner = np.repeat(np.arange(len(p_ids)), lengths)
begin = begins[owner]
row = np.arange(len(sessions)) - begin
fresh = row >= np.array(firsts)[owner]

# Division by zero and overflow are found in what they leave behind.
with np.errstate(all="ignore"):
    ratio = ratios(close, row)
    scored = np.isfinite(ratio[[SPANS.index(span) for span in SCORED]])
    incomplete = [
        id_
        for id_, whole, first, at in zip(p_ids, p_whole, firsts, begins)
        if not whole
        and (first < max(SPANS) or (scored[:, at : at + first].sum(axis=1) < WINDOW).any())
    ]
    if incomplete:
        return incomplete, [], [], [], [], [], None
    ids = np.array(p_ids)[owner]
    refuse(ratio, ids, sessions, close)
    laid = columns(ids, sessions, close, begin, ratio, fresh)

found = packing.differences(laid, p_stored, keys=2)


def counted(ids):
    """How many there are of each asset."""
    return np.bincount(np.searchsorted(p_ids, ids), minlength=len(p_ids))


came = counted(laid[0][1][found.chosen])
return (
    [],
    last,
    (counted(laid[0][1]) - came).tolist(),
    (came + counted(found.stale[0]) - counted(laid[0][1][found.replaced])).tolist(),
    found.stale[0].tolist(),
    packing.iso(found.stale[1]),
    found.packed,
)
$$;

comment on function features.returns_kernel(
    integer[], integer[], bytea[], bytea[], bytea[], boolean[], bytea, bytea[]
) is 'Daily returns of assets: the keys of stored rows that are stale, and the rows that take their place.';
