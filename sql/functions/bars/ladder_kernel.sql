-- bars.ladder_kernel(...): bars of every timeframe of a set of assets from packed candles, as packed rows that differ.
--
--     select k.*
--     from bars.ladder_kernel(
--         '{1}', tf_ids, units, counts, anchored, '{7}', array[first], ..., array[candles], afters, null, stored
--     ) as k;
--
-- A timeframe groups units: sessions, sessions of a week, days, iso and us weeks, months or years. Units are
-- numbered, sessions by the asset's sessions and the others by the calendar, and p_counts of them make a
-- window: from the unit of the asset's first candle if they are sessions, from the first full one
-- (no session of it comes before that candle) if they are not anchored, else on a grid that counts
-- from unit 0. Weeks and days count from 1970-01-05 (us: 1970-01-04), months and years from 1970.
--
-- p_ids are in order; of each asset stands at its place: p_weeks, how many sessions its week has; p_firsts,
-- the day of its first candle, and p_previous, that of the session before it, both counted from 1970;
-- p_sessions (date, open, last millisecond), which begin p_offsets sessions after that of the first
-- candle, or before it where negative, and end with the one after the last candle; nulls: every UTC
-- day; p_candles, the candle table's columns from ts on; p_afters (array_send). A volume or market cap
-- that is not known is NaN, a stamp of an extreme the candle's own. Sessions and candles are array_send
-- of arrays without nulls, in order of time, and reach back 366 sessions before p_afters, or to the
-- beginning. Bars that end there or later are worked out and compared with p_stored (record_send of the
-- table's rows that do) bit for bit.
--
-- A bar is closed when a candle stands on or after its last scheduled session: the candle after
-- which the next session is in another window. Sums run along contiguous candles, so that every bar
-- depends on its own window alone. With p_until (timestamptz_send) the unfinished bars of that
-- moment come instead, of one asset, as forming; sessions then reach to their ends.
--
-- requires: functions/db/packing.sql
-- needs: plpython3u

create or replace function bars.ladder_kernel(
    p_ids integer[],
    p_tf_ids integer[],
    p_units text[],
    p_counts integer[],
    p_anchored boolean[],
    p_weeks integer[],
    p_firsts integer[],
    p_previous integer[],
    p_offsets integer[],
    p_sessions bytea[],
    p_candles bytea[],
    p_afters bytea,
    p_until bytea,
    p_stored bytea[],
    out unchanged integer[],
    out changed integer[],
    out stale_ids integer[],
    out stale_tf_ids integer[],
    out stale timestamptz[],
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
SESSION, WEEK = "session", "session week"
# More than a day's number can be: what keeps the days of one asset from those of another.
APART = 1 << 32
COLUMNS = ("i8", *["f8"] * 6, "i8", "i8")


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


def scheduled(n, ts):
    """An asset's sessions: their days, openings and last milliseconds, and the place of its first candle's."""
    if p_sessions[n][0] is not None:
        days = packing.unpack(p_sessions[n][0], "i4").astype("i8") + DAYS_TO_2000
        opens, closes = (packing.unpack(each, "i8") for each in p_sessions[n][1:])
        return days, opens, closes, -p_offsets[n]
    # The window of the first candle may begin, and that of the last one end, so much outside.
    reach = LONGEST + 1 if p_until is not None else 1
    first, last = (ts[[0, -1]] // DAY + DAYS_TO_2000).tolist()
    days = np.arange(first - LONGEST, last + reach + 1)
    opens = (days - DAYS_TO_2000) * DAY
    return days, opens, opens + DAY - MILLISECOND, p_firsts[n] - int(days[0])


def spans(n, days, origin, since, last):
    """The numbers of an asset's units, a row each.

    The one that holds its first candle, the first full one, the one that holds session since, and the one
    of the session that follows the last candle.
    """
    found = []
    for unit in units:
        if unit == SESSION:
            found.append((origin, origin, since, last + 1))
            continue
        held = unit_of(unit, p_firsts[n])
        begun = p_previous[n] is not None and unit_of(unit, p_previous[n]) == held
        low, following = (unit_of(unit, int(days[at])) for at in (since, last + 1))
        found.append((held, held + begun, low, following))
    return found


def windows():
    """Every closed window from the one that holds session since on; or the unfinished last ones.

    Asset, timeframe, number and the places of the first session and of the one after the last.
    """
    which = np.array([units.index(SESSION if unit == WEEK else unit) for unit in p_units], int)
    held, full, low, following = np.array(spanned, int).reshape(-1, len(units), 4)[:, which].T
    weeks = np.array([p_weeks[n] for n in candled], int)
    is_week = np.array([unit == WEEK for unit in p_units])
    count = np.array(p_counts, int)[:, None] * np.where(is_week[:, None], weeks, 1)
    base = np.where(np.array(p_anchored)[:, None], held // count * count, full)
    lowest = (low - base) // count
    # What ended before the window of the session that follows the last candle is closed.
    until = (following - base) // count
    if p_until is not None:
        until = np.where(until == lowest, until + 1, 0)
    lowest = np.maximum(lowest, 0)
    amount = np.maximum(until - lowest, 0)

    # From asset to timeframe to number, as the table's key goes.
    base, count, lowest, amount = (each.T.ravel() for each in (base, count, lowest, amount))
    series = np.repeat(np.arange(len(amount)), amount)
    owner, timeframe = np.divmod(series, len(p_tf_ids))
    number = np.arange(len(series)) + (lowest - np.cumsum(amount) + amount)[series]
    begin = base[series] + number * count[series]
    end = begin + count[series]
    of_unit = which[timeframe]
    for n, unit in enumerate(units):
        at = np.flatnonzero(of_unit == n)
        for each in (begin, end):
            if unit == SESSION:
                each[at] += section[owner[at]]
            else:
                starts = owner[at] * APART + starts_of(unit, each[at])
                each[at] = np.searchsorted(keys, starts)
    return owner, timeframe, number, begin, end


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
    owner, timeframe, number, begin, end = windows()
    # How many candles come before each session.
    before = np.zeros(len(days) + 1, "i8")
    before[place + 1] = 1
    before = np.cumsum(before)
    if p_until is not None and (end >= len(days)).any():
        plpy.error(
            "the calendar does not reach the end of the bar",
            detail=f"Asset {p_ids[0]}: it ends on {np.datetime64(int(days[-1]), 'D')}.",
            hint="`ta-lab2 calendar refresh` loads two years ahead.",
            sqlstate="TA231",
        )
    wanted = before[end] > before[begin]
    owner, timeframe, number, begin, end = (
        each[wanted] for each in (owner, timeframe, number, begin, end)
    )
    ended = end
    if p_until is not None:
        moment = np.frombuffer(p_until, ">i8")[0]
        ended = np.minimum(end, np.searchsorted(closes, moment, side="right"))

    start, stop = before[begin], before[end]
    count = stop - start
    ids, origin = np.array([p_ids[n] for n in candled], int)[owner], origins[owner]
    known = ~np.isnan(volume)
    with np.errstate(over="ignore"):
        volumes = grouped(np.add, np.where(known, volume, 0), start, stop)
    beyond = np.flatnonzero(np.isinf(volumes))
    if len(beyond):
        plpy.error(
            "a bar's volume is beyond what a number can hold",
            detail=f"Asset {ids[beyond[0]]},"
            f" the bar that ends {packing.iso(closes[end[beyond[:1]] - 1])[0]}.",
            hint="Correct the candle that is wrong.",
            sqlstate="TA232",
        )
    top, bottom = extremes(-high, start, stop), extremes(low, start, stop)
    return {
        "id": (packing.INTEGER, ids, None),
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


def joined(kind, pieces):
    """The pieces one after the other, where there are any."""
    return np.concatenate([np.empty(0, kind), *pieces])


units = sorted({SESSION if unit == WEEK else unit for unit in p_units})
afters = packing.unpack(p_afters, "i8")
candled, candles, calendars, places, origins, spanned = [], [], [], [], [], []
for n, each in enumerate(p_candles):
    if each[0] is None:
        continue
    own = [packing.unpack(column, kind) for column, kind in zip(each, COLUMNS)]
    days, opens, closes, origin = scheduled(n, own[0])
    place = np.minimum(np.searchsorted(closes, own[0]), len(closes) - 1)
    strays = np.flatnonzero(closes[place] != own[0])
    if len(strays):
        plpy.error(
            "a candle belongs to no session",
            detail=f"Asset {p_ids[n]}, {packing.iso(own[0][strays[:1]])[0]}.",
            hint="A candle's ts is the last millisecond of its session; correct or delete it.",
            sqlstate="TA233",
        )
    last = int(place[-1])
    since = last if p_until is not None else min(int(np.searchsorted(closes, afters[n])), last)
    candled.append(n)
    candles.append(own)
    calendars.append((days, opens, closes, np.full(len(days), len(calendars))))
    places.append(place)
    origins.append(origin)
    spanned.append(spans(n, days, origin, since, last))

# Candles and sessions of one asset after those of the other; of each asset where its sessions begin.
_, opened, high, low, close, volume, cap, time_high, time_low = (
    joined(kind, pieces) for kind, pieces in zip(COLUMNS, zip(*candles) if candles else [()] * 9)
)
days, opens, closes, owner_of_day = (
    joined("i8", pieces) for pieces in (zip(*calendars) if calendars else [()] * 4)
)
keys = owner_of_day * APART + days
section = np.cumsum([0, *(len(each[0]) for each in calendars)])[:-1]
place = joined("i8", [each + at for each, at in zip(places, section)])
origins = np.array(origins, int) + section

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
    return None, None, None, None, None, None, json.dumps(rows)

found = packing.differences(list(columns.values()), p_stored, keys=3)
return *packing.outcome(found, columns["id"][1], p_ids), None
$$;

comment on function bars.ladder_kernel(
    integer[], integer[], text[], integer[], boolean[], integer[], integer[], integer[], integer[],
    bytea[], bytea[], bytea, bytea, bytea[]
) is 'Bars of assets: the keys of stored rows that are stale, and the rows that take their place; or the unfinished ones.';
