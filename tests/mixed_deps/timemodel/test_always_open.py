"""What is always open against Python's dates, and sessions that cannot be computed with."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ta_lab2.errors import translated
from ta_lab2.timemodel.errors import CalendarMissing, OutsideCalendar, UnknownSession

DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)
# The close of the last day of all is in the year 10000, which Python has not.
days = st.dates(max_value=date.max - DAY)
several = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def one(conn, call, *args):
    with translated():
        return conn.execute(f"select timemodel.{call}", args).fetchone()[0]


def midnight(day):
    return datetime.combine(day, time(), UTC)


@several
@given(day=days)
def test_a_day_is_a_session_from_midnight_to_midnight(tx, day):
    assert one(tx, "session_open('CRYPTO', %s)", day) == midnight(day)
    assert one(tx, "session_close('CRYPTO', %s)", day) == midnight(day + DAY)


@several
@given(
    moment=st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),
    zone=st.sampled_from(["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/London"]),
)
def test_a_moment_lies_in_its_utc_day(tx, moment, zone):
    moment = moment.replace(tzinfo=UTC)
    tx.execute("select set_config('timezone', %s, true)", (zone,))
    assert one(tx, "session_date('CRYPTO', %s)", moment) == moment.date()
    assert one(tx, "is_open('CRYPTO', %s)", moment)


@several
@given(day=st.dates(), step=st.integers(-4_000_000, 4_000_000))
def test_a_step_is_a_day(tx, day, step):
    try:
        expected = day + timedelta(days=step)
    except OverflowError:
        with pytest.raises(OutsideCalendar), tx.transaction():
            one(tx, "session_offset('CRYPTO', %s, %s)", day, step)
    else:
        assert one(tx, "session_offset('CRYPTO', %s, %s)", day, step) == expected


@several
@given(day=days, length=st.integers(-3, 400))
def test_a_range_has_all_its_days(tx, day, length):
    last = min(day, date.max - 401 * DAY) + length * DAY
    found = tx.execute(
        """
        select s.session_date, s.session_no, s.time_open, s.time_close
        from timemodel.sessions('CRYPTO', %s, %s) as s
        """,
        (day, last),
    ).fetchall()
    expected = [day + n * DAY for n in range((last - day).days + 1)]
    assert found == [
        (each, (each - date(1970, 1, 1)).days, midnight(each), midnight(each + DAY) - MILLISECOND)
        for each in expected
    ]
    assert one(tx, "session_count('CRYPTO', %s, %s)", day, last) == len(expected)


def test_next_and_previous_are_tomorrow_and_yesterday(tx):
    assert one(tx, "next_session('CRYPTO', '2024-02-28')") == date(2024, 2, 29)
    assert one(tx, "previous_session('CRYPTO', '2024-03-01')") == date(2024, 2, 29)
    assert one(tx, "session_offset('CRYPTO', '2024-02-29', 0)") == date(2024, 2, 29)


@pytest.mark.parametrize(
    "call",
    [
        "session_open('CRYPTO', 'infinity')",
        "sessions('CRYPTO', '2024-01-01', 'infinity')",
        "session_date('CRYPTO', '-infinity')",
        "session_offset('CRYPTO', '2024-01-01', 2147483647)",
        "session_offset('CRYPTO', '2024-01-01', -2147483648)",
        "next_session('CRYPTO', '9999-12-31')",
    ],
)
def test_the_end_of_time_is_an_error(tx, call):
    with pytest.raises(OutsideCalendar, match="the calendar of CRYPTO does not reach") as raised:
        one(tx, call)
    assert raised.value.detail == "It covers 0001-01-01 to 9999-12-31."


CALLS = (
    "is_24_7({}, '2024-01-01', '2024-01-02')",
    "sessions({}, '2024-01-01', '2024-01-02')",
    "session_count({}, '2024-01-01', '2024-01-02')",
    "session_open({}, '2024-01-01')",
    "session_close({}, '2024-01-01')",
    "session_date({}, '2024-01-01')",
    "is_open({}, '2024-01-01')",
    "session_offset({}, '2024-01-01', 1)",
    "next_session({}, '2024-01-01')",
    "previous_session({}, '2024-01-01')",
)


@pytest.mark.parametrize("call", CALLS)
def test_an_unknown_session_is_an_error_that_lists_the_known_ones(tx, call):
    with pytest.raises(UnknownSession, match="no session is called NASDAQ") as raised:
        one(tx, call.format("'NASDAQ'"))
    assert raised.value.detail == "Known are CRYPTO, EQUITY."
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("call", CALLS)
def test_a_session_without_calendar_is_an_error_that_names_the_command(tx, call):
    with pytest.raises(CalendarMissing, match="the session EQUITY has no calendar yet") as raised:
        one(tx, call.format("'EQUITY'"))
    assert raised.value.hint == "Run `ta-lab2 calendar refresh --session EQUITY`."


def test_an_unknown_session_is_an_error_in_a_join_too(tx):
    with pytest.raises(UnknownSession), translated():
        tx.execute(
            """
            select a.session_id
            from (values ('CRYPTO'), ('NASDAQ')) as a (session_id)
            cross join lateral timemodel.sessions(a.session_id, '2024-01-01', '2024-01-02') as s
            """
        )


@pytest.mark.parametrize(
    "call",
    [
        "sessions(null, '2024-01-01', '2024-01-02')",
        "sessions('CRYPTO', null, '2024-01-02')",
        "session_count('CRYPTO', '2024-01-01', null)",
    ],
)
def test_a_range_without_an_end_is_an_error_and_not_empty(tx, call):
    with pytest.raises(psycopg.errors.NullValueNotAllowed):
        one(tx, call)


def test_null_in_is_null_out_for_single_dates(tx):
    assert one(tx, "session_open('CRYPTO', null)") is None
    assert one(tx, "session_offset('CRYPTO', '2024-01-01', null)") is None
    assert one(tx, "is_open('CRYPTO', null)") is None
