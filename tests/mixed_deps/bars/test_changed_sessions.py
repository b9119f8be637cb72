"""A calendar that changes under candles: what is dirty, what moves, what is reported."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from ta_lab2.bars import queries as bars
from ta_lab2.timemodel import queries
from ta_lab2.timemodel.queries import Changes
from tests.support import prices, sessions
from tests.support.sessions import EQUITY, MILLISECOND


@pytest.fixture
def january(new_york):
    """The sessions of January 2025: the 9th was a day of mourning."""
    first = new_york.dates.index(date(2025, 1, 2))
    return sessions.part(new_york, first, 20)


@pytest.fixture
def conn(tx, january):
    """An equity and a coin with a candle on each of these days."""
    queries.load_calendar(tx, "EQUITY", january)
    sessions.put(tx, dict.fromkeys(sessions.ends(january), 5.0))
    prices.put(tx, 1, dict.fromkeys(range(1480, 1520), 5.0))
    tx.execute("delete from bars.dirty_range")
    return tx


def taken(conn):
    """Take all ranges as (asset, from, to); every consumer has the same."""
    rows = conn.execute(
        "delete from bars.dirty_range as d returning d.consumer, d.id, d.from_ts, d.to_ts"
    ).fetchall()
    by_consumer: dict[str, set[tuple[int, datetime, datetime]]] = {}
    for consumer, *change in rows:
        by_consumer.setdefault(consumer, set()).add(tuple(change))
    everybody = {"bars", "indicators", "returns", "store", "volatility"}
    assert set(by_consumer) in (set(), everybody)
    assert len({frozenset(found) for found in by_consumer.values()}) <= 1
    return sorted(by_consumer.get("bars", ()))


def candles(conn, asset=EQUITY):
    return [
        ts
        for (ts,) in conn.execute(
            "select p.ts from bars.cmc_price_histories7 as p where p.id = %s order by p.ts",
            (asset,),
        )
    ]


def with_day(schedule, day):
    """The calendar with one more session, of usual hours."""
    opens = datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)
    rows = [
        *zip(schedule.dates, schedule.opens, schedule.closes, schedule.early, strict=True),
        (day, opens, opens + timedelta(hours=6.5), False),
    ]
    dates, opened, closed, early = map(list, zip(*sorted(rows), strict=True))
    return replace(schedule, dates=dates, opens=opened, closes=closed, early=early)


def test_a_session_that_went_is_dirty_for_its_assets_and_its_candle_is_reported(conn, january):
    ends = sessions.ends(january)
    assert queries.load_calendar(conn, "EQUITY", sessions.without(january, [5, 8])).removed == 2
    assert taken(conn) == [(EQUITY, ends[5], ends[8])]
    assert candles(conn) == ends
    assert bars.stray_candles(conn, "EQUITY") == [(EQUITY, ends[5]), (EQUITY, ends[8])]
    assert bars.stray_candles(conn, "CRYPTO") == []


def test_a_session_that_came_is_dirty_although_it_renumbers_the_later_ones(conn, january):
    funeral = date(2025, 1, 9)
    changes = queries.load_calendar(conn, "EQUITY", with_day(january, funeral))
    assert changes.inserted == 1
    assert changes.changed == 15
    close = datetime(2025, 1, 9, 21, tzinfo=UTC) - MILLISECOND
    assert taken(conn) == [(EQUITY, close, close)]
    assert bars.stray_candles(conn, "EQUITY") == []


def test_a_session_that_closes_earlier_takes_its_candle_along(conn, january):
    ends = sessions.ends(january)
    moved = sessions.without(january, [], early=[4])
    assert queries.load_calendar(conn, "EQUITY", moved) == Changes(0, 1, 0)
    assert candles(conn) == sessions.ends(moved)
    assert bars.stray_candles(conn, "EQUITY") == []
    found = taken(conn)
    assert {asset for asset, _, _ in found} == {EQUITY}
    assert (EQUITY, sessions.ends(moved)[4], ends[4]) in found
    queries.load_calendar(conn, "EQUITY", january)
    assert candles(conn) == ends


def test_the_revision_log_keeps_what_moved(own_db, autocommit, january):
    conn = autocommit(own_db)
    queries.load_calendar(conn, "EQUITY", january)
    ends = sessions.ends(january)
    sessions.put(conn, dict(zip(ends, range(1, 21), strict=True)))
    conn.execute("set role ta_lab2_app")
    queries.load_calendar(conn, "EQUITY", sessions.without(january, [], early=[4]))
    assert conn.execute(
        "select r.ts, r.close, r.replaced_by from bars.price_revisions as r"
    ).fetchall() == [(ends[4], 5, "deleted")]
    moved = conn.execute(
        "select p.close from bars.cmc_price_histories7 as p where p.ts = %s",
        (ends[4] - timedelta(hours=2),),
    )
    assert moved.fetchone() == (5,)


def test_where_a_candle_stands_at_the_new_end_already_that_one_stays(conn, january):
    ends = sessions.ends(january)
    sessions.put(conn, {ends[4] - timedelta(hours=2): 7.0})
    moved = sessions.without(january, [], early=[4])
    queries.load_calendar(conn, "EQUITY", moved)
    assert candles(conn) == sessions.ends(moved)
    found = conn.execute("select p.close from bars.cmc_price_histories7 as p where p.close = 7")
    assert found.rowcount == 1


def test_an_opening_that_moved_is_dirty_too(conn, january):
    opens = list(january.opens)
    opens[3] += timedelta(minutes=30)
    queries.load_calendar(conn, "EQUITY", replace(january, opens=opens))
    end = sessions.ends(january)[3]
    assert taken(conn) == [(EQUITY, end, end)]


def test_the_same_calendar_and_another_number_dirty_nothing(conn, january):
    queries.load_calendar(conn, "EQUITY", january)
    conn.execute("update timemodel.session_calendar set session_no = session_no + 100")
    conn.execute("update timemodel.session_calendar set is_early_close = true")
    assert taken(conn) == []


def test_sessions_before_the_first_candle_and_after_the_last_reach_what_may_depend_on_them(
    conn, january
):
    ends = sessions.ends(january)
    sessions.drop(conn, [*ends[:3], *ends[-2:]])
    taken(conn)
    queries.load_calendar(conn, "EQUITY", sessions.without(january, [1]))
    assert taken(conn) == [(EQUITY, ends[3], ends[3])]
    queries.load_calendar(conn, "EQUITY", sessions.without(january, [1, 19]))
    assert taken(conn) == [(EQUITY, ends[19], ends[19])]


def test_an_asset_without_candles_has_nothing_that_could_be_dirty(conn, january):
    conn.execute("select bars.delete_prices(%s)", [EQUITY])
    taken(conn)
    queries.load_calendar(conn, "EQUITY", sessions.without(january, [5], early=[6]))
    assert taken(conn) == []


def test_whatever_client_changes_the_calendar_is_seen(conn, january):
    ends = sessions.ends(january)
    conn.execute(
        "delete from timemodel.session_calendar as c where c.session_date = %s", [january.dates[7]]
    )
    assert taken(conn) == [(EQUITY, ends[7], ends[7])]
    conn.execute(
        "update timemodel.session_calendar as c set session_date = %s where c.session_date = %s",
        (january.dates[7], january.dates[6]),
    )
    assert [asset for asset, _, _ in taken(conn)] == [EQUITY]
