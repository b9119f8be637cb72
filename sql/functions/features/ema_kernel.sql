-- features.ema_kernel(...): EMAs of all timeframes of a set of assets from packed bars, as packed rows that differ.
--
--     select k.*
--     from features.ema_kernel(
--         '{1}', periods, '{1}', array[tf_ids], array[time_closes], array[closes],
--         last_ids, last_tf_ids, last_closes, last_numbers, last_emas, froms, stored
--     ) as k;
--
-- p_ids are in order. Arrays come as array_send without nulls: the period of each slot (0: the slot is
-- not used); of each asset at its place p_froms; the bars from there on, and all earlier ones of the
-- timeframes in which a period begins with one of those, in any order and in pieces, each of one of
-- the assets in p_of; and of each timeframe that goes on the last row before, all slots one after
-- the other (NaN: null). Rows are worked out for the bars from p_froms on and compared with
-- p_stored (record_send of the table's rows from there on), bit for bit.
--
-- TA-Lib's EMA and its arithmetic: the mean of the first n closes, added from the first to the
-- last, over n; then ema + 2 / (n + 1) * (close - ema). Null before a period has n bars.
-- Each step is one subtraction, product and sum of numpy, which round like those of any other
-- processor and depend on nothing beside them. A stored row is all of the recurrence's state.
--
-- A series is a timeframe of an asset. They advance together, a bar each, the longest first: rows
-- of one step lie side by side.
--
-- requires: functions/db/packing.sql
-- needs: plpython3u

create or replace function features.ema_kernel(
    p_ids integer[],
    p_periods bytea,
    p_of integer[],
    p_tf_id bytea[],
    p_time_close bytea[],
    p_close bytea[],
    p_last_id bytea,
    p_last_tf_id bytea,
    p_last_close bytea,
    p_last_bar_no bytea,
    p_last_ema bytea,
    p_froms bytea,
    p_stored bytea[],
    out unchanged integer[],
    out changed integer[],
    out stale_ids integer[],
    out stale_tf_ids integer[],
    out stale timestamptz[],
    out packed bytea
)
language plpython3u
immutable parallel unsafe
as $$
from sys import float_info

import numpy as np

plpy.execute("select db.packing()")
packing = GD["packing"]


def averages(close, counts, before, number, total):
    """The EMAs of bars that lie by series and time: a row for each, a column for each slot.

    ``counts`` are the bars of each series, ``before`` its row before them; ``number`` is how many
    bars it had by then, and ``total`` the sum of their closes where a period is to begin.
    """
    longest = np.argsort(-counts, kind="stable")
    rank = np.argsort(longest)
    step = np.arange(len(close)) - np.repeat(np.cumsum(counts) - counts, counts)
    by_step = np.lexsort((np.repeat(rank, counts), step))

    alpha = 2 / (periods + 1)
    close = close[by_step][:, None]
    before, number, total = before[longest], number[longest][:, None], total[longest][:, None]
    last_seed = periods.max(initial=0) - number.min(initial=0)
    rows = np.empty((len(close), len(periods)))
    start = 0
    for steps, end in enumerate(np.cumsum(np.bincount(step)).tolist(), 1):
        x, now, before = close[start:end], rows[start:end], before[: end - start]
        np.subtract(x, before, out=now)
        now *= alpha
        now += before
        if steps <= last_seed:
            number, total = number[: end - start] + 1, total[: end - start] + x
            np.copyto(now, total / number, where=np.isnan(now) & (number == periods))
        before, start = now, end
    found = np.empty_like(rows)
    found[by_step] = rows
    return found


def series_of(ids, tf_ids):
    """A number for each asset and timeframe, in their order."""
    return np.searchsorted(assets, ids).astype("i8") << 32 | tf_ids


assets, froms = np.array(p_ids), packing.unpack(p_froms, "i8")
periods = packing.unpack(p_periods, "i4")
tf_ids, times, closes = (
    [packing.unpack(piece, kind) for piece in pieces]
    for pieces, kind in ((p_tf_id, "i4"), (p_time_close, "i8"), (p_close, "f8"))
)
series = series_of(np.repeat(p_of, [len(piece) for piece in tf_ids]), np.concatenate(tf_ids))
time_close, close = np.concatenate(times), np.concatenate(closes)
if not periods.any():
    series, time_close, close = series[:0], time_close[:0], close[:0]
by_time = np.lexsort((time_close, series))
series, time_close, close = series[by_time], time_close[by_time], close[by_time]
owner, tf_id = series >> 32, series & 0xFFFFFFFF

odd = np.flatnonzero(~(close <= float_info.max / periods.max(initial=1)))
if len(odd):
    plpy.error(
        "a close is beyond what can be averaged",
        detail=f"Asset {p_ids[owner[odd[0]]]}, timeframe {tf_id[odd[0]]}, "
        f"{packing.iso(time_close[odd[:1]])[0]}: {float(close[odd[0]])!r}.",
        hint="Correct the candle that is wrong.",
        sqlstate="TA406",
    )

due = time_close >= froms[owner]
each, counts = np.unique(series[due], return_counts=True)
before = np.full((len(each), len(periods)), np.nan)
number, total = np.zeros(len(each), int), np.zeros(len(each))
close_before = np.full(len(each), np.nan)
last = series_of(packing.unpack(p_last_id, "i4"), packing.unpack(p_last_tf_id, "i4"))
at = np.searchsorted(each, last)
before[at] = packing.unpack(p_last_ema, "f8").reshape(len(last), len(periods))
number[at] = packing.unpack(p_last_bar_no, "i4")
close_before[at] = packing.unpack(p_last_close, "f8")
earlier, closes = series[~due], close[~due]
begin, end = (np.searchsorted(earlier, each, side=side) for side in ("left", "right"))
for n in np.flatnonzero(begin < end).tolist():
    # One after the other, as the recurrence adds them; sum() would do it in pairs.
    total[n] = np.cumsum(closes[begin[n] : end[n]])[-1]
owner, tf_id, time_close, close = owner[due], tf_id[due], time_close[due], close[due]
ema = averages(close, counts, before, number, total)
first = np.cumsum(counts) - counts
bar_no = np.arange(1, len(close) + 1) + np.repeat(number - first, counts)
one_before = np.empty_like(close)
one_before[1:] = close[:-1]
one_before[first] = close_before

ids = assets[owner]
found = packing.differences(
    [
        (packing.INTEGER, ids, None),
        (packing.INTEGER, tf_id, None),
        (packing.STAMP, time_close, None),
        (packing.FLOAT, close, None),
        (packing.FLOAT, one_before, bar_no > 1),
        (packing.INTEGER, bar_no, None),
        (packing.FLOATS, ema, ~np.isnan(ema)),
    ],
    p_stored,
    keys=3,
)
return packing.outcome(found, ids, p_ids)
$$;

comment on function features.ema_kernel(
    integer[], bytea, integer[], bytea[], bytea[], bytea[], bytea, bytea, bytea, bytea, bytea, bytea, bytea[]
) is 'EMAs of assets: the keys of stored rows that are stale, and the rows that take their place.';
