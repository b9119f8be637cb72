"""The kernel of the bars, compiled from the shipped file, against the slow way."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import ladder, plpython
from tests.support.ladder import FAMILIES, ONE_DAY, Candle

FILE = "functions/bars/ladder_kernel.sql"
ARGUMENTS = (
    *("p_ids", "p_tf_ids", "p_units", "p_counts", "p_anchored", "p_weeks", "p_firsts"),
    *("p_previous", "p_offsets", "p_sessions", "p_candles", "p_afters", "p_until", "p_stored"),
)
COLUMNS = {
    **dict.fromkeys(("id", "tf_id"), "i"),
    **dict.fromkeys(("time_close", "time_open"), "q"),
    "bar_seq": "i",
    **dict.fromkeys(("open", "high", "low", "close", "volume", "market_cap"), "d"),
    **dict.fromkeys(("time_high", "time_low"), "q"),
    **dict.fromkeys(("is_partial_start", "is_partial_end"), "?"),
    **dict.fromkeys(("count_days", "count_missing_days"), "i"),
}
STAMPS = ("time_close", "time_open", "time_high", "time_low")
UNITS = {"D": "day", "M": "month", "Y": "year"}
UNIX, Y2K = date(1970, 1, 1), datetime(2000, 1, 1, tzinfo=UTC)
LONGEST = 366
NEVER = -(2**63)


def micros(moment: datetime) -> int:
    return (moment - Y2K) // timedelta(microseconds=1)


def moment(stamp: int | str) -> datetime:
    if isinstance(stamp, str):
        return datetime.fromisoformat(stamp)
    return Y2K + timedelta(microseconds=stamp)


KERNEL = plpython.compiled(plpython.body(FILE), *ARGUMENTS)


class Asset(NamedTuple):
    """An asset's market and its candles by day; ``after`` is the day of the candle that stays."""

    sessions: Mapping[date, tuple[datetime, datetime]]
    candles: Mapping[date, Candle]
    week: int = 7
    after: date | None = None
    computed: bool = False


def spans_of(tfs):
    """Unit, count and whether it is anchored of each timeframe."""
    for tf in tfs:
        n, unit, is_calendar, anchor, scheme = re.fullmatch(
            r"(\d+)([DWMY])(_CAL)?(_ANCHOR)?(?:_(ISO|US))?", tf
        ).groups()
        name = f"{scheme.lower()} week" if scheme else UNITS.get(unit)
        if not is_calendar:
            name = "session week" if unit == "W" else "session"
        yield name, int(n), bool(anchor) or (unit == "D" and bool(is_calendar))


def packed_asset(each: Asset, at: datetime | None):
    """First day, day of the session before, offset, sessions, candles and after, as packed."""
    sessions, candles, _, after, computed = each
    days = sorted(sessions)
    held = [day for day in sorted(candles) if at is None or sessions[day][1] <= at]
    start = NEVER if after is None else micros(sessions[after][1])
    if not held:
        return None, None, None, [None] * 3, [None] * 9, start
    origin = days.index(held[0])
    begin = max((origin if after is None else days.index(after)) - LONGEST, 0)
    end = days.index(held[-1]) + (2 if at is None else LONGEST + 2)
    given = days[begin:end]
    held = [day for day in held if day >= given[0]]

    def stamps(values):
        return plpython.array_send(1184, [micros(each) for each in values])

    def numbers(name):
        values = [getattr(candles[day], name) for day in held]
        return plpython.array_send(701, [math.nan if each is None else each for each in values])

    closes = {day: sessions[day][1] for day in held}
    return (
        (days[origin] - UNIX).days,
        (days[origin - 1] - UNIX).days if origin else None,
        begin - origin,
        [None] * 3
        if computed
        else [
            plpython.array_send(1082, [(day - Y2K.date()).days for day in given]),
            stamps(sessions[day][0] for day in given),
            stamps(sessions[day][1] for day in given),
        ],
        [
            stamps(closes.values()),
            *map(numbers, ("open", "high", "low", "close", "volume", "market_cap")),
            stamps(candles[day].time_high or closes[day] for day in held),
            stamps(candles[day].time_low or closes[day] for day in held),
        ],
        start,
    )


def together(tfs, assets, *, at=None, stored=None):
    """Call it with a set of assets, as bars.ladder does."""
    spans = [list(each) for each in zip(*spans_of(tfs), strict=True)]
    *parts, afters = zip(*(packed_asset(each, at) for each in assets.values()), strict=True)
    return KERNEL(
        list(assets),
        list(range(len(tfs))),
        *spans,
        [each.week for each in assets.values()],
        *map(list, parts),
        plpython.array_send(1184, afters),
        None if at is None else struct.pack(">q", micros(at)),
        stored,
    )


def run(tfs, sessions, candles, *, after=None, at=None, stored=None, week=7, computed=False):
    """Call it with one asset: unchanged, changed, stale timeframes and times, rows, forming."""
    asset = Asset(sessions, candles, week, after, computed)
    unchanged, changed, ids, *rest = together(tfs, {7: asset}, at=at, stored=stored)
    if at is not None:
        return None, None, *rest
    assert ids == [7] * len(rest[0])
    return *unchanged, *changed, *rest


def rows(tfs, found):
    """The rows of each timeframe, in order."""
    result = {tf: [] for tf in tfs}
    if found[-1] is not None:
        read = json.loads(found[-1])
    else:
        letters = "".join(COLUMNS.values())
        read = [dict(zip(COLUMNS, row, strict=True)) for row in plpython.tuples(found[-2], letters)]
    for row in read:
        assert row.pop("id") == 7
        row |= {name: moment(row[name]) for name in STAMPS}
        result[tfs[row.pop("tf_id")]].append(row)
    return result


def same(found, expected, tf):
    assert [row["bar_seq"] for row in found] == [row["bar_seq"] for row in expected], tf
    for got, wanted in zip(found, expected, strict=True):
        assert got.keys() == wanted.keys()
        volumes = got["volume"], wanted["volume"]
        if None in volumes:
            assert volumes == (None, None)
        else:
            assert math.isclose(*volumes, rel_tol=1e-9), (tf, got)
        assert got | {"volume": 0} == wanted | {"volume": 0}, tf


def agrees(sessions, candles, *, week=7, computed=False, tfs=FAMILIES):
    found = rows(tfs, run(tfs, sessions, candles, week=week, computed=computed))
    for tf in tfs:
        same(found[tf], ladder.bars(tf, sessions, candles, week=week), tf)
    return found


def candle(n: int, price: float = 100.0) -> Candle:
    """Different every day, extremes that come again, now and then without what may be missing."""
    low = price * (0.9 + n % 3 / 100)
    end = datetime(2020, 1, 1, tzinfo=UTC) + n * ONE_DAY
    return Candle(
        open=price * (1 + n % 7 / 100),
        high=price * (1.1 + n % 5 / 100),
        low=low,
        close=price * (1 + n % 11 / 100),
        volume=None if n % 13 == 0 else n * 1.7,
        market_cap=None if n % 5 == 0 else 1e6 + n,
        time_high=None if n % 2 else end,
        time_low=None if n % 3 else end,
    )


def exchange(first: date, last: date) -> dict[date, tuple[datetime, datetime]]:
    """Weekdays without every 17th, from 14:30 to 21:00, every 29th to 18:00."""
    found = {}
    for n in range((last - first).days + 1):
        day = first + n * ONE_DAY
        if day.weekday() < 5 and n % 17:
            opens = datetime.combine(day, datetime.min.time(), UTC) + timedelta(
                hours=14, minutes=30
            )
            hours = 3.5 if n % 29 == 0 else 6.5
            found[day] = opens, opens + timedelta(hours=hours) - timedelta(milliseconds=1)
    return found


def history(sessions, first: date, days: int, *, without: int = 0) -> dict[date, Candle]:
    scheduled = [day for day in sessions if first <= day < first + days * ONE_DAY]
    return {
        day: candle(n) for n, day in enumerate(scheduled) if n == 0 or not without or n % without
    }


AROUND = ladder.around_the_clock(date(2014, 1, 1), date(2026, 12, 31))
EXCHANGE = exchange(date(2014, 1, 1), date(2026, 12, 31))


@pytest.mark.parametrize("without", [0, 9])
@pytest.mark.parametrize("first", [date(2019, 12, 30), date(2020, 1, 1), date(2020, 2, 29)])
def test_around_the_clock_it_agrees_with_the_slow_way(first, without):
    candles = history(AROUND, first, 1100, without=without)
    one = agrees(AROUND, candles)
    assert one == agrees(AROUND, candles, computed=True)


@pytest.mark.parametrize("without", [0, 9])
def test_of_an_exchange_it_agrees_with_the_slow_way(without):
    agrees(EXCHANGE, history(EXCHANGE, date(2020, 1, 6), 1100, without=without), week=5)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from([AROUND, EXCHANGE]),
    st.dates(date(2017, 1, 1), date(2020, 6, 1)),
    st.lists(st.integers(0, 500), min_size=1, max_size=40, unique=True),
)
def test_any_few_candles_agree_with_the_slow_way(sessions, first, numbers):
    days = sorted(day for day in sessions if day >= first)
    agrees(sessions, {days[n]: candle(n) for n in numbers}, week=5 if sessions is EXCHANGE else 7)


def test_a_single_candle_closes_what_spans_one_session_and_nothing_else():
    found = agrees(AROUND, {date(2020, 2, 4): candle(1)})
    assert {tf for tf, own in found.items() if own} == {"1D", "1D_CAL"}


def test_what_comes_before_the_calendar_counts_as_no_session():
    days = sorted(EXCHANGE)[500:]
    sessions = {day: EXCHANGE[day] for day in days}
    found = agrees(sessions, {day: candle(n) for n, day in enumerate(days[:90])}, week=5)
    assert found["2W_CAL_ANCHOR_ISO"][0]["is_partial_start"] is False


def test_a_gap_of_a_hundred_days_leaves_holes_in_the_numbers():
    days = [date(2020, 1, 1) + n * ONE_DAY for n in range(230)]
    candles = {day: candle(n) for n, day in enumerate(days) if n < 100 or n >= 200}
    found = agrees(AROUND, candles)
    assert [row["bar_seq"] for row in found["31D"]] == [1, 2, 3, 4, 7]
    assert [row["count_missing_days"] for row in found["31D"]] == [0, 0, 0, 24, 14]


@pytest.mark.parametrize("price", [1e-10, 1e12])
def test_any_price_will_do(price):
    agrees(AROUND, {date(2020, 1, 1) + n * ONE_DAY: candle(n, price) for n in range(400)})


def test_a_volume_that_no_number_can_hold_is_an_error_that_names_the_bar():
    big = Candle(1, 1, 1, 1, volume=1.7e308)
    with pytest.raises(plpython.Raised, match="volume") as caught:
        run(["2D"], AROUND, {date(2020, 1, 1): big, date(2020, 1, 2): big})
    assert caught.value.facts["sqlstate"] == "TA232"
    assert "2020-01-02T23:59:59.999" in caught.value.facts["detail"]


def test_a_candle_outside_the_sessions_is_an_error_that_names_it():
    candles = history(AROUND, date(2020, 1, 1), 10)
    shifted = {day: (o, c - timedelta(hours=1)) for day, (o, c) in AROUND.items()}
    with pytest.raises(plpython.Raised, match="no session") as caught:
        run(["2D"], shifted, candles, computed=True)
    assert caught.value.facts["sqlstate"] == "TA233"
    assert "2020-01-01T22:59:59.999" in caught.value.facts["detail"]


@pytest.mark.parametrize(("sessions", "week"), [(AROUND, 7), (EXCHANGE, 5)])
def test_it_starts_anywhere_with_the_same_bits(sessions, week):
    candles = history(sessions, date(2018, 3, 7), 1500, without=11)
    full = rows(FAMILIES, run(FAMILIES, sessions, candles, week=week))
    held = sorted(candles)
    for place in (0, 1, 5, 366, 367, 400, 700, len(held) - 2, len(held) - 1):
        since = sessions[held[place]][1]
        found = rows(FAMILIES, run(FAMILIES, sessions, candles, week=week, after=held[place]))
        assert found == {
            tf: [row for row in own if row["time_close"] >= since] for tf, own in full.items()
        }


def test_no_bit_depends_on_the_other_assets():
    crypto = history(AROUND, date(2018, 3, 7), 900, without=11)
    equity = history(EXCHANGE, date(2019, 5, 20), 700, without=7)
    assets = {
        2: Asset(AROUND, crypto, computed=True),
        3: Asset(EXCHANGE, equity, 5),
        5: Asset(AROUND, {}),
        # On the same days as 2, as calendars say and as they are computed.
        7: Asset(AROUND, crypto, after=sorted(crypto)[500]),
        9: Asset(AROUND, crypto, after=sorted(crypto)[-2], computed=True),
        11: Asset(EXCHANGE, equity, 5, after=sorted(equity)[-3]),
    }
    unchanged, changed, *_, packed, _ = together(FAMILIES, assets)
    singly = [together(FAMILIES, {id_: each})[5] for id_, each in assets.items()]
    assert packed == b"".join(singly)
    letters = "".join(COLUMNS.values())
    assert changed == [len(list(plpython.tuples(each, letters))) for each in singly]
    assert unchanged == [0] * len(assets)
    assert min(changed[:2]) > changed[3] > changed[4] > changed[2] == 0


@pytest.mark.parametrize(("sessions", "week"), [(AROUND, 7), (EXCHANGE, 5)])
def test_no_bar_knows_what_comes_after_it(sessions, week):
    candles = history(sessions, date(2019, 5, 20), 460, without=7)
    full = rows(FAMILIES, run(FAMILIES, sessions, candles, week=week))
    for last in sorted(candles)[::5]:
        part = {day: each for day, each in candles.items() if day <= last}
        found = rows(FAMILIES, run(FAMILIES, sessions, part, week=week))
        assert found == {
            tf: [row for row in own if row["time_close"] <= sessions[last][1]]
            for tf, own in full.items()
        }


@pytest.mark.parametrize(("sessions", "week"), [(AROUND, 7), (EXCHANGE, 5)])
def test_what_is_unfinished_agrees_with_the_slow_way(sessions, week):
    candles = history(sessions, date(2019, 5, 20), 460, without=7)
    for day in [day for day in sorted(sessions) if day >= min(candles)][1:480:13]:
        for at in (sessions[day][0], sessions[day][1]):
            found = rows(FAMILIES, run(FAMILIES, sessions, candles, week=week, at=at))
            for tf in FAMILIES:
                same(found[tf], ladder.bars(tf, sessions, candles, week=week, at=at), tf)


def test_an_unfinished_bar_beyond_the_calendar_is_an_error():
    short = {day: each for day, each in EXCHANGE.items() if day < date(2020, 7, 1)}
    candles = history(short, date(2020, 1, 6), 100)
    with pytest.raises(plpython.Raised, match="calendar") as caught:
        run(["365D"], short, candles, at=short[max(short)][1])
    assert caught.value.facts["sqlstate"] == "TA231"


def test_what_stands_is_not_written_again_and_what_is_too_much_goes():
    candles = history(AROUND, date(2020, 1, 1), 60)
    whole = run(FAMILIES, AROUND, candles)
    kinds = {"i": 23, "q": 1184, "d": 701, "?": 16}
    stored = []
    for row in plpython.tuples(whole[-2], "".join(COLUMNS.values())):
        record = struct.pack(">i", len(row))
        for value, kind in zip(row, COLUMNS.values(), strict=True):
            record += struct.pack(">i", kinds[kind])
            size = struct.calcsize(f">{kind}")
            record += (
                struct.pack(">i", -1) if value is None else struct.pack(f">i{kind}", size, value)
            )
        stored.append(record)
    assert len(stored) == whole[1] > 100
    unchanged, changed, tf_ids, stale, packed, _ = run(FAMILIES, AROUND, candles, stored=stored)
    assert (unchanged, tf_ids, stale, changed, packed) == (len(stored), [], [], 0, b"")
    fewer = {day: each for day, each in candles.items() if day != max(candles)}
    unchanged, changed, tf_ids, stale, packed, _ = run(FAMILIES, AROUND, fewer, stored=stored)
    assert changed == len(stale) == len(stored) - unchanged
    assert (set(stale), packed) == ({"2020-02-29T23:59:59.999000Z"}, b"")
    assert FAMILIES[tf_ids[0]] == "1D"
