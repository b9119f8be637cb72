"""Every session of the New York Stock Exchange against the library, and days worked by hand."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import psycopg
import pytest

from ta_lab2.errors import translated
from ta_lab2.timemodel.errors import OutsideCalendar

LAST_YEAR = date.today().year + 1
MILLISECOND = timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def library():
    return exchange_calendars.get_calendar(
        "XNYS", start="1990-01-01", end=date(LAST_YEAR + 1, 12, 31)
    )


def one(conn, call, *args):
    return conn.execute(f"select timemodel.{call}", args).fetchone()[0]


def dates(conn, first, last):
    return [
        day.isoformat()
        for (day,) in conn.execute(
            "select s.session_date from timemodel.sessions('EQUITY', %s, %s) as s", (first, last)
        )
    ]


def hours(conn, day):
    """Open and close in UTC, as HH:MM."""
    return conn.execute(
        """
        select
            to_char(timemodel.session_open('EQUITY', %(day)s) at time zone 'UTC', 'HH24:MI'),
            to_char(timemodel.session_close('EQUITY', %(day)s) at time zone 'UTC', 'HH24:MI')
        """,
        {"day": day},
    ).fetchone()


def test_every_session_from_1990_to_next_year_is_the_library_s(equity, library):
    stored = equity.execute(
        """
        select c.session_date, c.opens_at at time zone 'UTC', c.closes_at at time zone 'UTC',
            c.is_early_close, c.session_no
        from timemodel.session_calendar as c
        where c.session_id = 'EQUITY' and c.session_date <= %s
        order by c.session_date
        """,
        (date(LAST_YEAR, 12, 31),),
    ).fetchall()
    early = {day.date() for day in library.early_closes}
    table = library.schedule.loc[: str(date(LAST_YEAR, 12, 31))]
    expected = [
        (
            day.date(),
            row.open.tz_localize(None).to_pydatetime(),
            row.close.tz_localize(None).to_pydatetime(),
            day.date() in early,
            number,
        )
        for number, (day, row) in enumerate(table.iterrows())
    ]
    assert len(expected) > 9000
    assert stored == expected


def test_the_set_of_sessions_ends_them_a_millisecond_before_the_close(equity, library):
    given = equity.execute(
        """
        select s.session_date, s.session_no, s.time_open, s.time_close
        from timemodel.sessions('EQUITY', '1990-01-01', %s) as s
        """,
        (date(LAST_YEAR, 12, 31),),
    ).fetchall()
    table = library.schedule.loc[: str(date(LAST_YEAR, 12, 31))]
    assert given == [
        (
            day.date(),
            number,
            row.open.to_pydatetime(),
            row.close.to_pydatetime() - MILLISECOND,
        )
        for number, (day, row) in enumerate(table.iterrows())
    ]


def test_the_clock_of_new_york_makes_no_difference_to_its_sessions(equity):
    assert (
        equity.execute(
            """
            select count(*)
            from timemodel.session_calendar as c
            where (c.opens_at at time zone 'America/New_York') <> c.session_date + time '09:30'
               or (c.closes_at at time zone 'America/New_York' <> c.session_date + time '16:00')
                  <> c.is_early_close
            """
        ).fetchone()[0]
        == 0
    )


# 2024: clocks go forward on Sunday 10 March and back on Sunday 3 November.
@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2024-03-08", ("14:30", "21:00")),
        ("2024-03-11", ("13:30", "20:00")),
        ("2024-11-01", ("13:30", "20:00")),
        ("2024-11-04", ("14:30", "21:00")),
        # Until 2006 it was the first Sunday of April and the last of October.
        ("1998-04-03", ("14:30", "21:00")),
        ("1998-04-06", ("13:30", "20:00")),
        ("1998-10-23", ("13:30", "20:00")),
        ("1998-10-26", ("14:30", "21:00")),
        # One o'clock in the afternoon.
        ("2023-07-03", ("13:30", "17:00")),
        ("2024-11-29", ("14:30", "18:00")),
        # Thanksgiving, a Saturday.
        ("2024-11-28", (None, None)),
        ("2024-11-30", (None, None)),
    ],
)
def test_hours_worked_by_hand(equity, day, expected):
    assert hours(equity, day) == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        # After the attacks: closed from Tuesday to Friday.
        ("2001-09-08", "2001-09-18", ["2001-09-10", "2001-09-17", "2001-09-18"]),
        # The hurricane: Monday and Tuesday.
        ("2012-10-26", "2012-10-31", ["2012-10-26", "2012-10-31"]),
        # Thanksgiving.
        ("2024-11-25", "2024-11-30", ["2024-11-25", "2024-11-26", "2024-11-27", "2024-11-29"]),
        # Good Friday.
        ("2024-03-28", "2024-04-01", ["2024-03-28", "2024-04-01"]),
        # A president's funeral.
        ("2025-01-08", "2025-01-10", ["2025-01-08", "2025-01-10"]),
        ("2024-12-25", "2024-12-25", []),
        ("2024-12-31", "2024-12-01", []),
    ],
)
def test_ranges_worked_by_hand(equity, first, last, expected):
    assert dates(equity, first, last) == expected
    assert one(equity, "session_count('EQUITY', %s, %s)", first, last) == len(expected)


@pytest.mark.parametrize(
    ("day", "sessions", "expected"),
    [
        ("2001-09-17", -1, "2001-09-10"),
        ("2001-09-13", -1, "2001-09-10"),
        ("2001-09-13", 1, "2001-09-17"),
        ("2001-09-13", 0, None),
        ("2001-09-10", 0, "2001-09-10"),
        ("2024-11-29", -7, "2024-11-19"),
        ("2024-11-30", -1, "2024-11-29"),
        ("2024-11-28", 2, "2024-12-02"),
        ("1990-01-01", 1, "1990-01-02"),
        ("1990-01-03", -1, "1990-01-02"),
    ],
)
def test_steps_worked_by_hand(equity, day, sessions, expected):
    found = one(equity, "session_offset('EQUITY', %s, %s)", day, sessions)
    assert found == (expected and date.fromisoformat(expected))


def test_next_and_previous_leave_the_date_itself_out(equity):
    assert one(equity, "next_session('EQUITY', '2024-03-28')") == date(2024, 4, 1)
    assert one(equity, "next_session('EQUITY', '2024-03-29')") == date(2024, 4, 1)
    assert one(equity, "previous_session('EQUITY', '2024-04-01')") == date(2024, 3, 28)
    assert one(equity, "previous_session('EQUITY', '2024-03-29')") == date(2024, 3, 28)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2024-07-03 13:29:59.999+00", None),
        ("2024-07-03 13:30+00", "2024-07-03"),
        ("2024-07-03 16:59:59.999+00", "2024-07-03"),
        ("2024-07-03 17:00+00", None),
        ("2024-07-04 15:00+00", None),
        ("2024-07-06 15:00+00", None),
        ("2024-01-02 14:00+00", None),
        ("2024-01-02 09:30-05", "2024-01-02"),
        ("2024-01-03 05:59:59+09", "2024-01-02"),
    ],
)
def test_the_session_under_way_at_a_moment(equity, moment, expected):
    found = one(equity, "session_date('EQUITY', %s)", moment)
    assert found == (expected and date.fromisoformat(expected))
    assert one(equity, "is_open('EQUITY', %s)", moment) is (expected is not None)


def test_steps_and_counts_are_the_library_s_at_a_thousand_places(equity, library):
    chance = random.Random(20240703)
    days = [day.date() for day in library.sessions]
    places = [chance.randrange(300, len(days) - 300) for _ in range(1000)]
    steps = [chance.randint(-300, 300) for _ in places]
    asked = [days[place] for place in places]
    found = equity.execute(
        """
        select timemodel.session_offset('EQUITY', a.day, a.step),
            timemodel.session_count('EQUITY', a.day, a.day + a.step)
        from unnest(%s::date[], %s::integer[]) with ordinality as a (day, step, place)
        order by a.place
        """,
        (asked, steps),
    ).fetchall()
    for place, day, step, (stepped, counted) in zip(places, asked, steps, found, strict=True):
        assert stepped == days[place + step]
        last = day + timedelta(days=step)
        assert counted == sum(day <= each <= last for each in days[place : place + 301])


def test_the_number_joins_sessions_so_many_apart(equity, library):
    joined = equity.execute(
        """
        select s.session_date, b.session_date
        from timemodel.sessions('EQUITY', '2001-01-01', '2001-12-31') as s
        join timemodel.sessions('EQUITY', '2000-01-01', '2001-12-31') as b
            on b.session_no = s.session_no - 21
        """
    ).fetchall()
    assert len(joined) == 248
    for late, early in joined:
        assert library.session_offset(str(late), -21).date() == early


def test_an_offset_reads_two_index_entries(equity):
    equity.execute("analyze timemodel.session_calendar")
    plan = "\n".join(
        line
        for (line,) in equity.execute(
            """
            explain select c.session_date from timemodel.session_calendar as c
            where c.session_id = 'EQUITY' and c.session_no = 4711
            """
        )
    )
    assert "Index Scan using session_calendar_no_key" in plan


@pytest.mark.parametrize(
    "call",
    [
        "session_open('EQUITY', '1989-12-29')",
        "session_close('EQUITY', '2999-01-04')",
        "sessions('EQUITY', '1989-12-29', '2000-01-01')",
        "sessions('EQUITY', '2000-01-01', '2999-01-01')",
        "sessions('EQUITY', '2999-01-01', '2000-01-01')",
        "session_count('EQUITY', '2000-01-01', 'infinity')",
        "session_offset('EQUITY', '1990-01-02', -1)",
        "session_offset('EQUITY', '2020-01-02', 2147483647)",
        "session_offset('EQUITY', '2020-01-02', -2147483648)",
        "next_session('EQUITY', '2999-01-04')",
        "previous_session('EQUITY', '1990-01-02')",
        "session_date('EQUITY', '1989-12-29 15:00+00')",
        "is_open('EQUITY', 'infinity')",
    ],
)
def test_what_lies_outside_the_calendar_is_an_error_that_names_range_and_command(equity, call):
    outside = pytest.raises(OutsideCalendar, match="the calendar of EQUITY does not reach")
    with outside as raised, translated():
        one(equity, call)
    last = date(date.today().year + 2, 12, 31)
    assert raised.value.detail == f"It covers 1990-01-01 to {last}."
    assert "`ta-lab2 calendar refresh --session EQUITY`" in raised.value.hint


def test_moments_come_back_in_utc_whatever_the_session_is_set_to(equity):
    assert one(equity, "session_open('EQUITY', '2024-01-02')") == datetime(
        2024, 1, 2, 14, 30, tzinfo=UTC
    )


def test_research_may_ask_whatever_only_reads_and_load_nothing(equity):
    equity.execute("set local role ta_lab2_research")
    for call in (
        "session('EQUITY')",
        "is_24_7('EQUITY', '2024-01-02', '2024-01-02')",
        "session_open('EQUITY', '2024-01-02')",
        "session_close('EQUITY', '2024-01-02')",
        "session_date('EQUITY', '2024-01-02 15:00+00')",
        "is_open('EQUITY', '2024-01-02 15:00+00')",
        "session_count('EQUITY', '2024-01-02', '2024-01-02')",
        "session_offset('EQUITY', '2024-01-02', 3)",
        "next_session('EQUITY', '2024-01-02')",
        "previous_session('EQUITY', '2024-01-02')",
    ):
        assert one(equity, call) is not None
    assert dates(equity, "2024-01-02", "2024-01-02") == ["2024-01-02"]
    # The error that a private routine raises is theirs to see.
    with pytest.raises(psycopg.Error, match="does not reach"), equity.transaction():
        one(equity, "session_open('EQUITY', '1980-01-02')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        one(equity, "load_calendar('EQUITY', null, null, null, null, null, null)")
