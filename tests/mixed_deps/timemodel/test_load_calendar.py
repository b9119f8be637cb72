"""A calendar goes in whole or not at all; a second time changes nothing; nonsense is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ta_lab2.errors import translated
from ta_lab2.timemodel import queries
from ta_lab2.timemodel.errors import (
    AlwaysOpen,
    CalendarDoesNotFit,
    CalendarShrinks,
    UnknownSession,
)
from ta_lab2.timemodel.exchange import Schedule
from ta_lab2.timemodel.queries import Changes
from tests.support import contract

HOUR = timedelta(hours=1)
JANUARY = [date(2024, 1, day) for day in range(1, 32)]
LONDON = """
    insert into timemodel.dim_sessions (
        session_id, session_name, is_24_7, trading_days_per_week, timezone,
        market_open, market_close, annualisation_days, calendar
    )
    values (
        'LONDON', 'London Stock Exchange', false, 5, 'Europe/London',
        '08:00', '16:30', 252, 'XLON'
    )
"""


def schedule(days, early=()) -> Schedule:
    """A calendar of January 2024 that is open on some days, by New York's clock."""
    days = sorted(days)
    return Schedule(
        first=JANUARY[0],
        last=JANUARY[-1],
        dates=days,
        opens=[datetime(d.year, d.month, d.day, 14, 30, tzinfo=UTC) for d in days],
        closes=[
            datetime(d.year, d.month, d.day, 18 if d in early else 21, 0, tzinfo=UTC) for d in days
        ],
        early=[d in early for d in days],
    )


def stored(conn):
    return conn.execute(
        """
        select c.session_date, c.session_no, c.opens_at, c.closes_at, c.is_early_close
        from timemodel.session_calendar as c
        where c.session_id = 'EQUITY'
        order by c.session_date
        """
    ).fetchall()


def coverage(conn):
    return conn.execute(
        """
        select s.calendar_from, s.calendar_to
        from timemodel.dim_sessions as s
        where s.session_id = 'EQUITY'
        """
    ).fetchone()


def rows_of(given: Schedule):
    return [
        (day, number, opens, closes, early)
        for number, (day, opens, closes, early) in enumerate(
            zip(given.dates, given.opens, given.closes, given.early, strict=True)
        )
    ]


def versions(conn):
    """What changes with every row that is written, although to the same values."""
    return conn.execute(
        """
        select array_agg(c.ctid::text || c.xmin::text order by c.session_date),
            (select s.ctid::text || s.xmin::text from timemodel.dim_sessions as s
             where s.session_id = 'EQUITY')
        from timemodel.session_calendar as c
        """
    ).fetchone()


def test_the_whole_calendar_twice_writes_nothing_the_second_time(own_db, new_york, autocommit):
    conn = autocommit(own_db)
    conn.execute("set role ta_lab2_app")
    sessions = len(new_york.dates)
    assert queries.load_calendar(conn, "EQUITY", new_york) == Changes(sessions, 0, 0)
    before = versions(conn)
    assert queries.load_calendar(conn, "EQUITY", new_york) == Changes(0, 0, 0)
    assert versions(conn) == before


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    loads=st.lists(
        st.tuples(st.sets(st.sampled_from(JANUARY), min_size=2), st.sets(st.sampled_from(JANUARY))),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_was_there_before_the_last_calendar_is_what_stands(tx, loads):
    tx.execute("delete from timemodel.session_calendar")
    before: dict[date, tuple] = {}
    for days, early in loads:
        given_ = schedule(days, early - {min(days)})
        changes = queries.load_calendar(tx, "EQUITY", given_)
        after = {row[0]: row for row in rows_of(given_)}
        assert stored(tx) == list(after.values())
        assert changes == Changes(
            inserted=len(after.keys() - before.keys()),
            changed=sum(before[day] != after[day] for day in after.keys() & before.keys()),
            removed=len(before.keys() - after.keys()),
        )
        before = after
    assert coverage(tx) == (JANUARY[0], JANUARY[-1])


def test_the_order_of_the_arrays_does_not_matter(tx):
    given_ = schedule(JANUARY[:10])
    mixed = Schedule(
        given_.first,
        given_.last,
        given_.dates[::-1],
        given_.opens[::-1],
        given_.closes[::-1],
        given_.early[::-1],
    )
    queries.load_calendar(tx, "EQUITY", mixed)
    assert stored(tx) == rows_of(given_)


def test_a_longer_calendar_extends_and_a_shorter_one_is_refused(tx):
    given_ = schedule(JANUARY[5:20])
    queries.load_calendar(tx, "EQUITY", replace(given_, first=date(2024, 1, 4)))
    assert queries.load_calendar(tx, "EQUITY", given_) == Changes(0, 0, 0)
    for shorter in (
        replace(given_, first=date(2024, 1, 2)),
        replace(given_, last=date(2024, 1, 30)),
    ):
        with pytest.raises(CalendarShrinks) as raised, tx.transaction():
            queries.load_calendar(tx, "EQUITY", shorter)
        assert "instead of 2024-01-01 to 2024-01-31; nothing was changed." in raised.value.detail
    assert stored(tx) == rows_of(given_)
    assert coverage(tx) == (JANUARY[0], JANUARY[-1])


GOOD = schedule(JANUARY[:5])


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (replace(GOOD, dates=[], opens=[], closes=[], early=[]), "all sessions are missing"),
        (replace(GOOD, first=None), "Its first date"),
        (replace(GOOD, early=GOOD.early[:-1]), "is missing"),
        (replace(GOOD, opens=[None, *GOOD.opens[1:]]), "is missing"),
        (replace(GOOD, last=date(2024, 1, 4)), "2024-01-05 lies outside"),
        (replace(GOOD, dates=[*GOOD.dates[:4], GOOD.dates[3]]), "2024-01-04 is given twice"),
        (replace(GOOD, closes=GOOD.opens), "2024-01-01 closes before it opens"),
        (
            replace(GOOD, closes=[GOOD.closes[1], *GOOD.closes[1:]]),
            "2024-01-02 opens before the one before it closes",
        ),
        (
            replace(GOOD, dates=[day + timedelta(days=7) for day in GOOD.dates]),
            "2024-01-08 is on another date in America/New_York",
        ),
        (
            replace(GOOD, opens=[each - HOUR for each in GOOD.opens]),
            "opens at 08:30:00 and closes at 16:00:00 in America/New_York, "
            "never at 09:30:00 and 16:00:00",
        ),
    ],
)
def test_a_calendar_that_cannot_be_is_refused_and_the_stored_one_stays(tx, bad, fault):
    kept = schedule(JANUARY[10:20])
    queries.load_calendar(tx, "EQUITY", kept)
    # Or the one that ends too early would be refused for that.
    tx.execute("update timemodel.dim_sessions set calendar_from = null, calendar_to = null")
    with pytest.raises(CalendarDoesNotFit) as raised, tx.transaction():
        queries.load_calendar(tx, "EQUITY", bad)
    assert fault in raised.value.detail
    assert stored(tx) == rows_of(kept)


def test_a_session_may_open_on_the_evening_before_and_meet_the_next(tx):
    tx.execute(
        """
        insert into timemodel.dim_sessions (
            session_id, session_name, is_24_7, trading_days_per_week, timezone,
            market_open, market_close, annualisation_days
        )
        values (
            'FUTURES', 'Chicago futures', false, 5, 'America/Chicago', '17:00', '17:00', 252
        )
        """
    )
    days = [date(2024, 1, day) for day in (9, 10)]
    closes = [datetime(2024, 1, day, 23, tzinfo=UTC) for day in (9, 10)]
    given_ = Schedule(
        date(2024, 1, 8),
        date(2024, 1, 11),
        days,
        [close - 24 * HOUR for close in closes],
        closes,
        [False] * 2,
    )
    queries.load_calendar(tx, "FUTURES", given_)
    for moment, expected in (
        ("2024-01-08 22:59:59+00", None),
        ("2024-01-08 23:00+00", days[0]),
        ("2024-01-09 22:59:59.999+00", days[0]),
        ("2024-01-09 23:00+00", days[1]),
        ("2024-01-10 23:00+00", None),
    ):
        found = tx.execute("select timemodel.session_date('FUTURES', %s)", (moment,)).fetchone()
        assert found == (expected,), moment


def test_only_exchanges_have_a_calendar(tx):
    with pytest.raises(AlwaysOpen), tx.transaction():
        queries.load_calendar(tx, "CRYPTO", GOOD)
    with pytest.raises(UnknownSession, match="NASDAQ"):
        queries.load_calendar(tx, "NASDAQ", GOOD)


SLOWLY = "insert or update on timemodel.session_calendar for each row"


def test_a_killed_refresh_loses_nothing_and_the_next_ends_the_same(own_db, autocommit):
    conn = autocommit(own_db)
    old, new = schedule(JANUARY[:12]), schedule(JANUARY[4:], early={JANUARY[7]})
    queries.load_calendar(conn, "EQUITY", old)
    contract.slow_down(conn, SLOWLY, 0.2)
    victim = autocommit(own_db)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(queries.load_calendar, victim, "EQUITY", new)
        contract.wait_for_sleep(conn, victim.info.backend_pid)
        conn.execute("select pg_terminate_backend(%s)", (victim.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            run.result()
    assert stored(conn) == rows_of(old)
    conn.execute("drop trigger dawdle on timemodel.session_calendar")
    queries.load_calendar(conn, "EQUITY", new)
    assert stored(conn) == rows_of(new)


def test_two_refreshes_at_once_follow_each_other(own_db, autocommit):
    conn = autocommit(own_db)
    given_ = schedule(JANUARY[:6])
    contract.slow_down(conn, SLOWLY, 0.2)
    one, two = autocommit(own_db), autocommit(own_db)
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(queries.load_calendar, each, "EQUITY", given_) for each in (one, two)]
        found = {run.result() for run in done}
    assert found == {Changes(6, 0, 0), Changes(0, 0, 0)}
    assert stored(conn) == rows_of(given_)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("timezone = 'Europe/Atlantis'", psycopg.errors.InvalidParameterValue),
        ("timezone = 'EST'", psycopg.errors.CheckViolation),
        ("timezone = 'EST5EDT'", psycopg.errors.CheckViolation),
        ("timezone = '+05:00'", psycopg.errors.CheckViolation),
        ("timezone = 'america/new_york'", psycopg.errors.CheckViolation),
        ("trading_days_per_week = 8", psycopg.errors.CheckViolation),
        ("trading_days_per_week = 0", psycopg.errors.CheckViolation),
        ("annualisation_days = 0", psycopg.errors.CheckViolation),
        ("market_close = '24:00'", psycopg.errors.CheckViolation),
        ("session_id = 'nyse'", psycopg.errors.CheckViolation),
        ("session_name = ''", psycopg.errors.CheckViolation),
        ("is_24_7 = true", psycopg.errors.CheckViolation),
        ("calendar_from = '2024-01-01'", psycopg.errors.CheckViolation),
        ("calendar_from = '2024-01-02', calendar_to = '2024-01-01'", psycopg.errors.CheckViolation),
    ],
)
def test_a_session_that_cannot_be_is_refused(tx, change, error):
    with pytest.raises(error):
        tx.execute(f"update timemodel.dim_sessions set {change} where session_id = 'EQUITY'")


def test_every_place_of_the_time_zone_database_can_be_named(tx):
    refused = tx.execute(
        """
        select z.name
        from pg_timezone_names as z
        where z.name ~ '^(Africa|America|Asia|Atlantic|Australia|Europe|Indian|Pacific)/'
          and z.name !~ '^(UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]+)+)$'
        """
    ).fetchall()
    assert refused == []
    tx.execute(LONDON)


def test_an_asset_trades_around_the_clock_unless_it_says_otherwise(tx):
    tx.execute("insert into bars.dim_assets (id, symbol, slug) values (1, 'BTC', 'bitcoin')")
    tx.execute(
        """
        insert into bars.dim_assets (id, symbol, slug, session_id)
        values (900, 'SPY', 'spdr-s-p-500', 'EQUITY')
        """
    )
    assert tx.execute(
        "select a.id, a.session_id from published.dim_assets as a order by a.id"
    ).fetchall() == [(1, "CRYPTO"), (900, "EQUITY")]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        tx.execute("update bars.dim_assets set session_id = 'NASDAQ' where id = 1")


def test_annualisation_is_365_for_crypto_and_252_for_equity(tx):
    assert tx.execute(
        """
        select s.session_id, s.annualisation_days, s.trading_days_per_week
        from published.dim_sessions as s
        order by s.session_id
        """
    ).fetchall() == [("CRYPTO", 365, 7), ("EQUITY", 252, 5)]


def test_a_closure_that_becomes_known_moves_the_numbers_of_all_later_sessions(tx):
    queries.load_calendar(tx, "EQUITY", schedule(JANUARY))
    without = schedule([day for day in JANUARY if day != date(2024, 1, 9)])
    assert queries.load_calendar(tx, "EQUITY", without) == Changes(0, 22, 1)
    assert [number for _, number, *_ in stored(tx)] == list(range(30))
    with translated():
        assert tx.execute(
            "select timemodel.session_offset('EQUITY', '2024-01-10', -1)"
        ).fetchone() == (date(2024, 1, 8),)


def test_a_calendar_that_ends_earlier_says_the_same_about_what_it_covers(tx):
    """Nothing that is said about a date depends on the calendar after it."""
    asked = """
        select s.*, timemodel.session_count('EQUITY', '2024-01-01', s.session_date),
            case when s.session_no > 2
                then timemodel.session_offset('EQUITY', s.session_date, -3)
            end,
            timemodel.session_date('EQUITY', s.time_close),
            timemodel.session_close('EQUITY', s.session_date)
        from timemodel.sessions('EQUITY', '2024-01-01', %s) as s
    """
    days = [day for day in JANUARY if day.weekday() < 5]
    early = {date(2024, 1, 12), date(2024, 1, 26)}
    queries.load_calendar(tx, "EQUITY", schedule(days, early))
    for end in JANUARY[4:]:
        whole = tx.execute(asked, (end,)).fetchall()
        with tx.transaction(force_rollback=True):
            tx.execute("update timemodel.dim_sessions set calendar_from = null, calendar_to = null")
            prefix = schedule([day for day in days if day <= end], early)
            queries.load_calendar(tx, "EQUITY", replace(prefix, last=end))
            assert tx.execute(asked, (end,)).fetchall() == whole


@pytest.mark.parametrize(
    "changed",
    [
        replace(GOOD, opens=[GOOD.opens[0] + HOUR, *GOOD.opens[1:]]),
        replace(GOOD, closes=[GOOD.closes[0] - HOUR, *GOOD.closes[1:]]),
        replace(GOOD, early=[True, *GOOD.early[1:]]),
    ],
    ids=["opens", "closes", "early"],
)
def test_each_column_alone_is_a_change(tx, changed):
    queries.load_calendar(tx, "EQUITY", GOOD)
    assert queries.load_calendar(tx, "EQUITY", changed) == Changes(0, 1, 0)
    assert stored(tx) == rows_of(changed)
