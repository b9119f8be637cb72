-- features.ema_kernel(...): one asset's EMAs of all timeframes from packed bars, as packed rows that differ.
--
--     select k.*
--     from features.ema_kernel(
--         1, periods, tf_ids, time_closes, closes, last_tf_ids, last_closes, last_numbers, last_emas, from_ts, stored
--     ) as k;
--
-- Arrays come as array_send without nulls: the period of each slot (0: the slot is not used); the
-- bars from p_from (timestamptz_send) on, and all earlier ones of the timeframes in which a period
-- begins with one of those, in any order; and of each timeframe that goes on the last row before
-- p_from, all slots one after the other (NaN: null). Rows are worked out for the bars from p_from on
-- and compared with p_stored (record_send of the table's rows from p_from on), bit for bit.
--
-- TA-Lib's EMA and its arithmetic: the mean of the first n closes, added from the first to the
-- last, over n; then ema + 2 / (n + 1) * (close - ema). Null before a period has n bars.
-- Each step is one subtraction, product and sum of numpy, which round like those of any other
-- processor and depend on nothing beside them. A stored row is all of the recurrence's state.
--
-- Timeframes advance together, a bar each, the longest first: rows of one step lie side by side.
--
-- requires: functions/db/packing.sql
-- needs: plpython3u

create or replace function features.ema_kernel(
    p_id integer,
    p_periods bytea,
    p_tf_id bytea,
    p_time_close bytea,
    p_close bytea,
    p_last_tf_id bytea,
    p_last_close bytea,
    p_last_bar_no bytea,
    p_last_ema bytea,
    p_from bytea,
    p_stored bytea[],
    out unchanged integer,
    out stale_tf_ids integer[],
    out stale timestamptz[],
    out changed integer,
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
    """The EMAs of bars that lie by timeframe and time: a row for each, a column for each slot.

    ``counts`` are the bars of each timeframe, ``before`` its row before them; ``number`` is how many
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


periods = packing.unpack(p_periods, "i4")
tf_id, time_close = packing.unpack(p_tf_id, "i4"), packing.unpack(p_time_close, "i8")
close = packing.unpack(p_close, "f8")
if not periods.any():
    tf_id, time_close, close = tf_id[:0], time_close[:0], close[:0]
by_time = np.lexsort((time_close, tf_id))
tf_id, time_close, close = tf_id[by_time], time_close[by_time], close[by_time]

odd = np.flatnonzero(~(close <= float_info.max / periods.max(initial=1)))
if len(odd):
    plpy.error(
        "a close is beyond what can be averaged",
        detail=f"Asset {p_id}, timeframe {tf_id[odd[0]]}, "
        f"{packing.iso(time_close[odd[:1]])[0]}: {float(close[odd[0]])!r}.",
        hint="Correct the candle that is wrong.",
        sqlstate="TA406",
    )

due = time_close >= np.frombuffer(p_from, ">i8")[0]
timeframes, counts = np.unique(tf_id[due], return_counts=True)
before = np.full((len(timeframes), len(periods)), np.nan)
number, total = np.zeros(len(timeframes), int), np.zeros(len(timeframes))
close_before = np.full(len(timeframes), np.nan)
last = packing.unpack(p_last_tf_id, "i4")
at = np.searchsorted(timeframes, last)
before[at] = packing.unpack(p_last_ema, "f8").reshape(len(last), len(periods))
number[at] = packing.unpack(p_last_bar_no, "i4")
close_before[at] = packing.unpack(p_last_close, "f8")
earlier, closes = tf_id[~due], close[~due]
for n, timeframe in enumerate(timeframes.tolist() if len(earlier) else ()):
    start, end = np.searchsorted(earlier, (timeframe, timeframe + 1)).tolist()
    if start < end:
        # One after the other, as the recurrence adds them; sum() would do it in pairs.
        total[n] = np.cumsum(closes[start:end])[-1]
tf_id, time_close, close = tf_id[due], time_close[due], close[due]
ema = averages(close, counts, before, number, total)
first = np.cumsum(counts) - counts
bar_no = np.arange(1, len(close) + 1) + np.repeat(number - first, counts)
one_before = np.empty_like(close)
one_before[1:] = close[:-1]
one_before[first] = close_before

found = packing.differences(
    [
        (packing.INTEGER, np.full(len(ema), p_id), None),
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
return (
    found.unchanged,
    found.stale[1].tolist(),
    packing.iso(found.stale[2]),
    found.changed,
    found.packed,
)
$$;

comment on function features.ema_kernel(
    integer, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea[]
) is 'EMAs of one asset: the keys of stored rows that are stale, and the rows that take their place.';
