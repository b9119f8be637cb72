-- bars.ladder_kernel(...): one asset's bars of every timeframe from packed candles, as packed rows that differ.
--
--     select k.*
--     from bars.ladder_kernel(1, tf_ids, units, counts, anchored, first, ..., after, null, stored) as k;
--
-- A timeframe groups units: sessions, days, iso and us weeks, months or years. Units are numbered,
-- sessions by the asset's sessions and the others by the calendar, and p_counts of them make a
-- window: from the unit of the asset's first candle if they are sessions, from the first full one
-- (no session of it comes before that candle) if they are not anchored, else on a grid that counts
-- from unit 0. Weeks and days count from 1970-01-05 (us: 1970-01-04), months and years from 1970.
--
-- p_first is the day of the asset's first candle and p_previous that of the session before it, both
-- counted from 1970. p_sessions (date, open, last millisecond) begin p_offset sessions after that of
-- the first candle, or before it where negative, and end with the one after the last candle; null:
-- every UTC day. p_candles are the candle table's columns from ts on; a volume or market cap that is
-- not known is NaN, a stamp of an extreme the candle's own. All are array_send of arrays without
-- nulls, in order of time, and reach back 366 sessions before p_after, or to the beginning.
-- Bars that end at p_after (timestamptz_send) or later are worked out and compared with p_stored
-- (record_send of the table's rows that do) bit for bit.
--
-- A bar is closed when a candle stands on or after its last scheduled session: the candle after
-- which the next session is in another window. Sums run along contiguous candles, so that every bar
-- depends on its own window alone. With p_until the unfinished bars of that moment come instead, as
-- forming; sessions then reach to their ends.
--
-- requires: functions/db/packing.sql
-- needs: plpython3u

create or replace function bars.ladder_kernel(
    p_id integer,
    p_tf_ids integer[],
    p_units text[],
    p_counts integer[],
    p_anchored boolean[],
    p_first integer,
    p_previous integer,
    p_offset integer,
    p_sessions bytea[],
    p_candles bytea[],
    p_after bytea,
    p_until bytea,
    p_stored bytea[],
    out last_ts timestamptz,
    out unchanged integer,
    out stale_tf_ids integer[],
    out stale timestamptz[],
    out changed integer,
    out packed bytea,
    out forming jsonb
)
language plpython3u
immutable parallel unsafe
as $$
import json
from datetime import date

import numpy as np

plpy.execute("select db.packing()")
packing = GD["packing"]

DAY = 86_400_000_000
MILLISECOND = 1000
# Stamps and dates count from 2000 in PostgreSQL; here days count from 1970.
DAYS_TO_2000 = 10_957
LONGEST = 366
MONDAY, SUNDAY = 4, 3
EPOCH = date(1970, 1, 1).toordinal()


def unit_of(unit, day):
    """The number of the calendar unit that holds a day."""
    if unit == "day":
        return day - MONDAY
    if unit == "iso week":
        return (day - MONDAY) // 7
    if unit == "us week":
        return (day - SUNDAY) // 7
    held = date.fromordinal(EPOCH + day)
    return held.year - 1970 if unit == "year" else 12 * (held.year - 1970) + held.month - 1


def starts_of(unit, numbers):
    """The first day of each calendar unit."""
    if unit == "day":
        return numbers + MONDAY
    if unit == "iso week":
        return 7 * numbers + MONDAY
    if unit == "us week":
        return 7 * numbers + SUNDAY
    months = numbers if unit == "month" else 12 * numbers
    return months.astype("M8[M]").astype("M8[D]").astype("i8")


def windows(since):
    """Every closed window from the one that holds session since on; or the unfinished last ones.

    Timeframe, number and the places of the first session and of the one after the last.
    """
    if not len(ts):
        return np.empty((4, 0), int)
    spans = {}
    for unit in set(p_units):
        if unit == "session":
            spans[unit] = origin, origin, since, last + 1
            continue
        held = unit_of(unit, p_first)
        begun = p_previous is not None and unit_of(unit, p_previous) == held
        low, following = (unit_of(unit, int(days[at])) for at in (since, last + 1))
        spans[unit] = held, held + begun, low, following

    found = []
    for which, (unit, count, anchored) in enumerate(zip(p_units, p_counts, p_anchored)):
        held, full, low, following = spans[unit]
        base = held // count * count if anchored else full
        number = (low - base) // count
        # What ended before the window of the session that follows the last candle is closed.
        until = (following - base) // count
        if p_until is not None:
            until = until + 1 if until == number else 0
        if number < 0:
            number = 0
        if until > number:
            found.append((which, base, number, until - number))

    timeframe, base, lowest, amount = np.array(found, int).reshape(-1, 4).T
    number = np.arange(amount.sum()) + np.repeat(lowest - np.cumsum(amount) + amount, amount)
    timeframe, base = np.repeat(timeframe, amount), np.repeat(base, amount)
    count = np.array(p_counts, int)[timeframe]
    begin = base + number * count
    end = begin + count
    for unit in {p_units[n] for n in set(timeframe.tolist())} - {"session"}:
        at = np.flatnonzero(np.array([each == unit for each in p_units])[timeframe])
        for each in (begin, end):
            each[at] = np.searchsorted(days, starts_of(unit, each[at]))
    return timeframe, number, begin, end


def grouped(combine, values, begin, end):
    """The values of each group combined, whatever the order of the groups."""
    places = np.column_stack([begin, end]).ravel()
    return combine.reduceat(np.append(values, values[:1]), places)[::2]


def extremes(values, begin, end):
    """The place of the earliest of the smallest values of each group."""
    order = np.argsort(values, kind="stable")
    rank = np.empty(len(order), "i8")
    rank[order] = np.arange(len(order))
    return order[grouped(np.minimum, rank, begin, end)]


def bars():
    """The table's columns by name, as (type, values, where not null)."""
    since = min(int(np.searchsorted(closes, np.frombuffer(p_after, ">i8")[0])), last)
    timeframe, number, begin, end = windows(since if p_until is None else last)
    # How many candles come before each session.
    before = np.zeros(len(days) + 1, "i8")
    before[place + 1] = 1
    before = np.cumsum(before)
    if p_until is not None and (end >= len(days)).any():
        plpy.error(
            "the calendar does not reach the end of the bar",
            detail=f"Asset {p_id}: it ends on {np.datetime64(int(days[-1]), 'D')}.",
            hint="`ta-lab2 calendar refresh` loads two years ahead.",
            sqlstate="TA231",
        )
    wanted = before[end] > before[begin]
    timeframe, number, begin, end = (each[wanted] for each in (timeframe, number, begin, end))
    ended = end
    if p_until is not None:
        moment = np.frombuffer(p_until, ">i8")[0]
        ended = np.minimum(end, np.searchsorted(closes, moment, side="right"))

    start, stop = before[begin], before[end]
    count = stop - start
    known = ~np.isnan(volume)
    with np.errstate(over="ignore"):
        volumes = grouped(np.add, np.where(known, volume, 0), start, stop)
    beyond = np.flatnonzero(np.isinf(volumes))
    if len(beyond):
        plpy.error(
            "a bar's volume is beyond what a number can hold",
            detail=f"Asset {p_id}, the bar that ends {packing.iso(closes[end[beyond[:1]] - 1])[0]}.",
            hint="Correct the candle that is wrong.",
            sqlstate="TA232",
        )
    top, bottom = extremes(-high, start, stop), extremes(low, start, stop)
    return {
        "id": (packing.INTEGER, np.full(len(count), p_id), None),
        "tf_id": (packing.INTEGER, np.array(p_tf_ids)[timeframe], None),
        "time_close": (packing.STAMP, closes[end - 1], None),
        "time_open": (packing.STAMP, opens[begin], None),
        "bar_seq": (packing.INTEGER, number + 1, None),
        "open": (packing.FLOAT, opened[start], None),
        "high": (packing.FLOAT, high[top], None),
        "low": (packing.FLOAT, low[bottom], None),
        "close": (packing.FLOAT, close[stop - 1], None),
        "volume": (packing.FLOAT, volumes, grouped(np.logical_or, known, start, stop)),
        "market_cap": (packing.FLOAT, cap[stop - 1], ~np.isnan(cap[stop - 1])),
        "time_high": (packing.STAMP, time_high[top], None),
        "time_low": (packing.STAMP, time_low[bottom], None),
        "is_partial_start": (packing.BOOLEAN, begin < origin, None),
        "is_partial_end": (packing.BOOLEAN, np.full(len(count), p_until is not None), None),
        "count_days": (packing.INTEGER, count, None),
        "count_missing_days": (
            packing.INTEGER,
            ended - np.maximum(begin, origin) - count,
            None,
        ),
    }


ts, time_high, time_low = (packing.unpack(p_candles[n], "i8") for n in (0, 7, 8))
opened, high, low, close, volume, cap = (packing.unpack(each, "f8") for each in p_candles[1:7])
if p_sessions is None:
    # The window of the first candle may begin, and that of the last one end, so much outside.
    reach = LONGEST + 1 if p_until is not None else 1
    ends = (ts[[0, -1]] // DAY + DAYS_TO_2000).tolist() if len(ts) else [0, 0]
    days = np.arange(ends[0] - LONGEST, ends[1] + reach + 1)
    opens = (days - DAYS_TO_2000) * DAY
    closes = opens + DAY - MILLISECOND
    origin = p_first - int(days[0]) if len(ts) else 0
else:
    days = packing.unpack(p_sessions[0], "i4").astype("i8") + DAYS_TO_2000
    opens, closes = (packing.unpack(each, "i8") for each in p_sessions[1:])
    origin = -p_offset
place = np.minimum(np.searchsorted(closes, ts), len(closes) - 1)
strays = np.flatnonzero(closes[place] != ts)
if len(strays):
    plpy.error(
        "a candle belongs to no session",
        detail=f"Asset {p_id}, {packing.iso(ts[strays[:1]])[0]}.",
        hint="A candle's ts is the last millisecond of its session; correct or delete it.",
        sqlstate="TA233",
    )

last = int(place[-1]) if len(ts) else -1

columns = bars()
if p_until is not None:
    rows = [
        dict(zip(columns, row))
        for row in zip(
            *(
                [
                    value if present is None or present[n] else None
                    for n, value in enumerate(
                        packing.iso(values) if kind is packing.STAMP else values.tolist()
                    )
                ]
                for kind, values, present in columns.values()
            )
        )
    ]
    return None, 0, [], [], 0, None, json.dumps(rows)

found = packing.differences(list(columns.values()), p_stored, keys=3)
return (
    packing.iso(ts[-1:])[0] if len(ts) else None,
    found.unchanged,
    found.stale[1].tolist(),
    packing.iso(found.stale[2]),
    found.changed,
    found.packed,
    None,
)
$$;

comment on function bars.ladder_kernel(
    integer, integer[], text[], integer[], boolean[], integer, integer, integer, bytea[], bytea[],
    bytea, bytea, bytea[]
) is 'Bars of one asset: the keys of stored rows that are stale, and the rows that take their place; or the unfinished ones.';
