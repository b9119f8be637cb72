"""Where bars begin and end: every timeframe against the slow way, and days worked by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ta_lab2.errors import translated
from ta_lab2.timemodel.errors import NoSession, OutsideCalendar, UnknownTimeframe
from tests.support import windows as naive

COLUMNS = (
    "w.bar_seq, w.starts_on, w.ends_on, w.first_session, w.last_session, w.sessions,"
    " w.is_partial_start"
)


def timeframes(conn):
    """Every timeframe by its name."""
    return {
        name: naive.Timeframe(*meaning)
        for name, *meaning in conn.execute(
            """
            select t.tf, t.alignment, t.base_unit, t.tf_qty, t.anchor, t.calendar_scheme
            from timemodel.dim_timeframe as t
            """
        )
    }


def all_windows(conn, session, first, since, until, names=None):
    """Every timeframe's windows, or those of some, by its name."""
    found = {}
    for name, *window in conn.execute(
        f"""
        select t.tf, {COLUMNS}
        from timemodel.dim_timeframe as t
        cross join lateral timemodel.timeframe_windows(
            t.tf_id, %(session)s, %(first)s, %(since)s, %(until)s
        ) as w
        where %(names)s::text[] is null or t.tf = any (%(names)s)
        """,
        {"session": session, "first": first, "since": since, "until": until, "names": names},
    ):
        found.setdefault(name, []).append(tuple(window))
    return found


def windows(conn, tf, session, first, since, until):
    """The windows of one, as (number, start, end, sessions), the dates as text."""
    return [
        (number, str(starts), str(ends), sessions)
        for number, starts, ends, _, _, sessions, _ in conn.execute(
            f"""
            select {COLUMNS}
            from timemodel.timeframe(%s) as t
            cross join lateral timemodel.timeframe_windows(t.tf_id, %s, %s, %s, %s) as w
            """,
            (tf, session, first, since, until),
        )
    ]


def known_sessions(conn, session):
    """The dates of a session from 2000 to 2030, or to the calendar's end."""
    return [
        day
        for (day,) in conn.execute(
            """
            select s.session_date
            from timemodel.dim_sessions as d
            cross join lateral timemodel.sessions(
                d.session_id, '2000-01-01', coalesce(d.calendar_to, '2030-12-31')
            ) as s
            where d.session_id = %s
            """,
            (session,),
        )
    ]


@pytest.mark.parametrize(
    ("session", "first"),
    [
        ("CRYPTO", date(2016, 2, 29)),
        ("CRYPTO", date(2018, 12, 31)),
        ("CRYPTO", date(2019, 1, 1)),
        ("CRYPTO", date(2020, 3, 2)),
        ("EQUITY", date(2016, 2, 29)),
        # A Tuesday after a holiday: its week is full. The first session of a year.
        ("EQUITY", date(2018, 1, 2)),
        ("EQUITY", date(2018, 1, 3)),
        ("EQUITY", date(2019, 12, 31)),
    ],
)
def test_every_timeframe_agrees_with_the_slow_way(equity, session, first):
    last = first + timedelta(days=900)
    sessions = known_sessions(equity, session)
    a_week = 5 if session == "EQUITY" else 7
    found = all_windows(equity, session, first, first, last)
    assert len(found) == 199
    for name, timeframe in timeframes(equity).items():
        assert found[name] == naive.windows(timeframe, first, last, sessions, a_week), name


def test_every_session_from_1990_to_next_year_is_a_bar_of_one_day(equity):
    last = date(date.today().year + 1, 12, 31)
    library = exchange_calendars.get_calendar("XNYS", start="1990-01-01", end=last)
    for tf in ("1D", "1D_CAL"):
        bars = equity.execute(
            """
            select w.starts_on, w.ends_on, w.sessions, w.time_open, w.time_close
            from timemodel.timeframe(%s) as t
            cross join lateral timemodel.timeframe_windows(
                t.tf_id, 'EQUITY', '1990-01-02', '1990-01-02', %s
            ) as w
            """,
            (tf, last),
        ).fetchall()
        assert bars == [
            (
                *(day.date(), day.date(), 1),
                *(row.open.to_pydatetime(), row.close.to_pydatetime() - timedelta(milliseconds=1)),
            )
            for day, row in library.schedule.iterrows()
        ]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    session=st.sampled_from(["CRYPTO", "EQUITY"]),
    place=st.integers(400, 3000),
    skipped=st.integers(-100, 800),
    length=st.integers(0, 400),
    names=st.sets(st.integers(0, 198), min_size=1, max_size=12),
)
def test_a_part_of_the_windows_is_cut_out_of_all_of_them(
    equity, session, place, skipped, length, names
):
    sessions = known_sessions(equity, session)
    first = sessions[place]
    since = first + timedelta(days=skipped)
    until = since + timedelta(days=length)
    every = timeframes(equity)
    chosen = [sorted(every)[number] for number in names]
    found = all_windows(equity, session, first, since, until, chosen)
    for name in chosen:
        expected = [
            window
            for window in naive.windows(
                every[name], first, until, sessions, 5 if session == "EQUITY" else 7
            )
            if window[2] >= since
        ]
        assert found.get(name, []) == expected, name


def test_the_windows_of_a_timeframe_that_is_new_follow_its_row(equity):
    equity.execute(
        """
        insert into timemodel.dim_timeframe (
            tf, alignment, base_unit, tf_qty, anchor, calendar_scheme,
            tf_days, tf_days_min, tf_days_max, allow_partial_start, allow_partial_end
        )
        values ('5W_CAL_ANCHOR_US', 'calendar', 'W', 5, 'EPOCH', 'US', 35, 1, 35, true, true)
        """
    )
    first, last = date(2019, 1, 2), date(2020, 6, 30)
    assert all_windows(equity, "EQUITY", first, first, last)["5W_CAL_ANCHOR_US"] == naive.windows(
        timeframes(equity)["5W_CAL_ANCHOR_US"], first, last, known_sessions(equity, "EQUITY"), 5
    )


SPY = "1993-01-29"


def test_the_week_of_thanksgiving_has_four_sessions_and_five_sessions_are_always_five(equity):
    week = windows(equity, "1W_CAL_ISO", "EQUITY", SPY, "2024-11-25", "2024-11-25")
    assert week == [(1661, "2024-11-25", "2024-12-01", 4)]
    for tf in ("5D", "1W"):
        found = windows(equity, tf, "EQUITY", SPY, SPY, "2026-06-30")
        assert {sessions for _, _, _, sessions in found} == {5}
        assert [number for number, *_ in found] == list(range(1, len(found) + 1))
    assert windows(equity, "1W", "CRYPTO", "2024-11-26", "2024-11-26", "2024-12-03") == [
        (1, "2024-11-26", "2024-12-02", 7),
        (2, "2024-12-03", "2024-12-09", 7),
    ]


@pytest.mark.parametrize(
    ("tf", "session", "first", "day", "expected"),
    [
        # 29 February.
        ("1M_CAL", "CRYPTO", "2023-12-01", "2024-02-29", (3, "2024-02-01", "2024-02-29", 29)),
        ("1M_CAL", "CRYPTO", "2022-12-01", "2023-02-28", (3, "2023-02-01", "2023-02-28", 28)),
        ("1Y_CAL", "CRYPTO", "2023-01-01", "2024-07-01", (2, "2024-01-01", "2024-12-31", 366)),
        ("7D_CAL", "CRYPTO", "2024-02-26", "2024-02-29", (1, "2024-02-26", "2024-03-03", 7)),
        # 2020 has 53 ISO weeks; the last reaches into 2021.
        ("1W_CAL_ISO", "CRYPTO", "2020-12-21", "2021-01-02", (2, "2020-12-28", "2021-01-03", 7)),
        ("1W_CAL_ISO", "CRYPTO", "2020-12-21", "2021-01-04", (3, "2021-01-04", "2021-01-10", 7)),
        ("2W_CAL_ISO", "CRYPTO", "2020-12-21", "2021-01-02", (1, "2020-12-21", "2021-01-03", 14)),
        # Weeks from Sunday over the new year, one of them with a Sunday in the old year only.
        ("1W_CAL_US", "CRYPTO", "2023-12-24", "2024-01-01", (2, "2023-12-31", "2024-01-06", 7)),
        ("1W_CAL_US", "EQUITY", "2023-12-26", "2024-01-02", (2, "2023-12-31", "2024-01-06", 4)),
        (
            "1W_CAL_ANCHOR_US",
            "EQUITY",
            "2024-01-03",
            "2024-01-05",
            (1, "2023-12-31", "2024-01-06", 4),
        ),
        # Nine months do not divide the year.
        ("9M_CAL", "CRYPTO", "2020-01-01", "2020-09-30", (1, "2020-01-01", "2020-09-30", 274)),
        ("9M_CAL", "CRYPTO", "2020-01-01", "2020-12-31", (2, "2020-10-01", "2021-06-30", 273)),
        ("9M_CAL", "CRYPTO", "2020-01-01", "2022-01-01", (3, "2021-07-01", "2022-03-31", 274)),
        ("12M_CAL", "CRYPTO", "2020-03-15", "2020-12-31", (1, "2020-04-01", "2021-03-31", 365)),
        ("1Y_CAL", "CRYPTO", "2020-03-15", "2021-01-01", (1, "2021-01-01", "2021-12-31", 365)),
        (
            "1Y_CAL_ANCHOR",
            "CRYPTO",
            "2020-03-15",
            "2020-03-15",
            (1, "2020-01-01", "2020-12-31", 366),
        ),
        (
            "3M_CAL_ANCHOR",
            "CRYPTO",
            "2020-02-10",
            "2020-03-31",
            (1, "2020-01-01", "2020-03-31", 91),
        ),
        (
            "4M_CAL_ANCHOR",
            "CRYPTO",
            "2020-02-10",
            "2021-01-01",
            (4, "2021-01-01", "2021-04-30", 120),
        ),
        # A boundary is the first session, not the first day: New Year's Day, a Monday holiday.
        ("1M_CAL", "EQUITY", "2024-01-02", "2024-01-31", (1, "2024-01-01", "2024-01-31", 21)),
        ("1Y_CAL", "EQUITY", "2024-01-02", "2024-01-31", (1, "2024-01-01", "2024-12-31", 252)),
        ("1Y_CAL", "EQUITY", "2024-01-03", "2025-01-31", (1, "2025-01-01", "2025-12-31", 250)),
        ("1M_CAL", "EQUITY", "2024-01-03", "2024-02-01", (1, "2024-02-01", "2024-02-29", 20)),
        ("1W_CAL_ISO", "EQUITY", "2024-01-16", "2024-01-16", (1, "2024-01-15", "2024-01-21", 4)),
        ("1W_CAL_ISO", "EQUITY", "2024-01-17", "2024-01-22", (1, "2024-01-22", "2024-01-28", 5)),
        # Four days of September 2001 have no session; five sessions are still five.
        ("5D", "EQUITY", "2001-09-05", "2001-09-17", (1, "2001-09-05", "2001-09-17", 5)),
        ("1D", "CRYPTO", "2024-02-28", "2024-03-01", (3, "2024-03-01", "2024-03-01", 1)),
    ],
)
def test_windows_worked_by_hand(equity, tf, session, first, day, expected):
    assert windows(equity, tf, session, first, day, day) == [expected]


@pytest.mark.parametrize(
    ("tf", "session", "first", "day"),
    [
        ("1Y_CAL", "EQUITY", "2024-01-03", "2024-12-31"),
        ("1W_CAL_ISO", "CRYPTO", "2024-01-02", "2024-01-07"),
        ("9M_CAL", "CRYPTO", "2020-01-02", "2020-01-31"),
        # A weekend.
        ("1D_CAL", "EQUITY", "2024-01-02", "2024-01-06"),
        ("2D_CAL", "EQUITY", "2024-01-02", "2023-12-29"),
        # Between two bars of five sessions.
        ("5D", "EQUITY", "2024-01-08", "2024-01-13"),
        ("3D", "EQUITY", "2024-01-08", "2024-01-05"),
    ],
)
def test_where_there_is_no_window_there_is_no_row(equity, tf, session, first, day):
    assert windows(equity, tf, session, first, day, day) == []


def test_an_empty_window_leaves_a_hole_in_the_numbers(equity):
    # In the grid of two days, a weekend, and a Sunday with a Monday that is a holiday.
    found = windows(equity, "2D_CAL", "EQUITY", "2024-01-04", "2024-01-04", "2024-01-18")
    assert [(number, starts) for number, starts, _, _ in found] == [
        (1, "2024-01-04"),
        (3, "2024-01-08"),
        (4, "2024-01-10"),
        (5, "2024-01-12"),
        (7, "2024-01-16"),
        (8, "2024-01-18"),
    ]


def test_both_changes_of_the_clocks_move_open_and_close(equity):
    found = equity.execute(
        """
        select w.time_open at time zone 'UTC', w.time_close at time zone 'UTC'
        from timemodel.timeframe('2W_CAL_ISO') as t
        cross join lateral timemodel.timeframe_windows(
            t.tf_id, 'EQUITY', '2024-03-04', '2024-03-04', '2024-03-04'
        ) as w
        union all
        select w.time_open at time zone 'UTC', w.time_close at time zone 'UTC'
        from timemodel.timeframe('10D') as t
        cross join lateral timemodel.timeframe_windows(
            t.tf_id, 'EQUITY', '2024-10-28', '2024-10-28', '2024-10-28'
        ) as w
        """
    ).fetchall()
    assert found == [
        (datetime(2024, 3, 4, 14, 30), datetime(2024, 3, 15, 19, 59, 59, 999000)),
        (datetime(2024, 10, 28, 13, 30), datetime(2024, 11, 8, 20, 59, 59, 999000)),
    ]


def test_the_first_bar_of_a_fixed_grid_is_partial_unless_the_asset_begins_with_it(equity):
    def partial(tf, first):
        return equity.execute(
            """
            select w.is_partial_start, w.time_open at time zone 'UTC'
            from timemodel.timeframe(%s) as t
            cross join lateral timemodel.timeframe_windows(
                t.tf_id, 'CRYPTO', %s, '2024-01-01', '2024-01-31'
            ) as w
            order by w.bar_seq
            """,
            (tf, first),
        ).fetchall()

    opened = datetime(2024, 1, 1)
    assert partial("1W_CAL_ANCHOR_ISO", "2024-01-03")[:2] == [
        (True, opened),
        (False, opened + timedelta(days=7)),
    ]
    assert partial("1W_CAL_ANCHOR_ISO", "2024-01-01")[0] == (False, opened)
    assert partial("7D_CAL", "2024-01-07")[0] == (True, opened)
    assert partial("1Y_CAL_ANCHOR", "2024-01-02") == [(True, opened)]
    assert partial("1D_CAL", "2024-01-02")[0] == (False, opened + timedelta(days=1))


def at(conn, tf, session, first, moment):
    return conn.execute(
        "select w.bar_seq, w.starts_on, w.ends_on"
        " from timemodel.timeframe_window_at(%s, %s, %s, %s) as w",
        (tf, session, first, moment),
    ).fetchone()


@pytest.mark.parametrize(
    ("tf", "session", "first", "moment", "expected"),
    [
        ("1D", "CRYPTO", "2024-01-01", "2024-01-02 23:59:59.999+00", 2),
        ("1D", "CRYPTO", "2024-01-01", "2024-01-03 00:00+00", 3),
        ("1D", "CRYPTO", "2024-01-01", "2023-12-31 23:59:59.999+00", None),
        ("1W_CAL_ISO", "CRYPTO", "2024-01-01", "2024-01-08 00:00+00", 2),
        ("1W_CAL_US", "CRYPTO", "2023-12-31", "2024-01-07 00:00+00", 2),
        # Monday in UTC, Sunday evening in New York.
        ("1W_CAL_ISO", "EQUITY", "2024-11-18", "2024-12-02 03:00+00", 2),
        ("1W_CAL_ISO", "EQUITY", "2024-11-18", "2024-12-02 05:00+00", 3),
        # Thanksgiving, in the middle of a bar and between two.
        ("1W_CAL_ISO", "EQUITY", "2024-11-18", "2024-11-28 15:00+00", 2),
        ("5D", "EQUITY", "2024-11-22", "2024-11-28 15:00+00", 1),
        ("5D", "EQUITY", "2024-11-21", "2024-11-28 15:00+00", None),
        ("5D", "EQUITY", "2024-11-21", "2024-11-30 15:00+00", 2),
        ("1D_CAL", "EQUITY", "2024-11-21", "2024-11-28 15:00+00", None),
        ("1M_CAL", "EQUITY", "2024-11-01", "2024-11-30 15:00+00", 1),
    ],
)
def test_the_bar_that_holds_a_moment(equity, tf, session, first, moment, expected):
    found = at(equity, tf, session, first, moment)
    assert (found and found[0]) == expected


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (
            "timeframe_windows(999, 'CRYPTO', '2024-01-01', '2024-01-01', '2024-01-01')",
            UnknownTimeframe,
            "there is no timeframe 999",
        ),
        (
            "timeframe_window_at('5H', 'CRYPTO', '2024-01-01', '2024-01-01')",
            UnknownTimeframe,
            "there is no timeframe 5H",
        ),
        ("timeframe()", UnknownTimeframe, "there is no timeframe without a name"),
        (
            "timeframe_windows(1, 'EQUITY', '2024-11-28', '2024-11-28', '2024-12-31')",
            NoSession,
            "2024-11-28 is no session of EQUITY",
        ),
        (
            "timeframe_windows(92, 'EQUITY', '2024-11-29', '2999-11-29', '2999-12-31')",
            OutsideCalendar,
            "the calendar of EQUITY does not reach 2999-12-31",
        ),
    ],
)
def test_what_cannot_be_is_an_error(equity, call, error, said):
    with pytest.raises(error, match=said) as raised, translated():
        equity.execute(f"select timemodel.{call}")
    assert raised.value.hint


def test_a_window_that_the_calendar_does_not_reach_the_end_of_is_an_error(equity):
    last = equity.execute(
        "select timemodel.previous_session('EQUITY', s.calendar_to + 0)"
        " from timemodel.dim_sessions as s where s.session_id = 'EQUITY'"
    ).fetchone()[0]
    for tf in ("1Y_CAL", "12M_CAL", "1M_CAL_ANCHOR", "1D"):
        assert windows(equity, tf, "EQUITY", "2023-01-03", last, last)
    for tf in ("10W_CAL_ISO", "365D", "9M_CAL"):
        with pytest.raises(OutsideCalendar), translated(), equity.transaction():
            windows(equity, tf, "EQUITY", "2023-01-04", last, last)


def test_a_missing_date_is_an_error(equity):
    for dates in (
        "null, '2024-01-02', '2024-01-02'",
        "'2024-01-02', null, '2024-01-02'",
        "'2024-01-02', '2024-01-02', null",
    ):
        with pytest.raises(psycopg.Error, match="not null"), equity.transaction():
            equity.execute(f"select timemodel.timeframe_windows(1, 'EQUITY', {dates})")


def test_an_asset_may_begin_with_the_calendar(equity):
    first = equity.execute(
        "select s.calendar_from from timemodel.dim_sessions as s where s.session_id = 'EQUITY'"
    ).fetchone()[0]
    first = max(first, date(1990, 1, 2))
    found = all_windows(equity, "EQUITY", first, first, date(1991, 6, 30))
    assert len(found) == 199
    assert not any(window[6] for each in found.values() for window in each)


def test_a_session_that_opens_on_the_evening_before_is_in_its_own_bar(tx):
    tx.execute(
        """
        insert into timemodel.dim_sessions (
            session_id, session_name, is_24_7, trading_days_per_week, timezone,
            market_open, market_close, annualisation_days
        )
        values ('CHICAGO', 'Futures', false, 5, 'America/Chicago', '17:00', '17:00', 252)
        """
    )
    days = [date(2024, 1, day) for day in (8, 9, 10, 11, 12, 15, 16, 17, 18, 19)]
    evening = [datetime(d.year, d.month, d.day, 23, tzinfo=UTC) for d in days]
    tx.execute(
        "select timemodel.load_calendar('CHICAGO', %s, %s, %s, %s, %s, %s)",
        (
            *(date(2024, 1, 1), date(2024, 1, 31), days),
            *([e - timedelta(days=1) for e in evening], evening, [False] * len(days)),
        ),
    )
    # Sunday evening: Monday's session, in Monday's week.
    assert at(tx, "1W_CAL_ISO", "CHICAGO", "2024-01-08", "2024-01-14 23:30+00")[0] == 2
    assert at(tx, "1W_CAL_ISO", "CHICAGO", "2024-01-08", "2024-01-14 22:30+00")[0] == 1


def test_research_may_ask_for_windows(equity):
    equity.execute("set local role ta_lab2_research")
    assert windows(equity, "1W_CAL_ISO", "EQUITY", SPY, "2024-11-25", "2024-11-25")
    assert windows(equity, "5D", "EQUITY", SPY, "2024-11-25", "2024-11-25")
    assert at(equity, "1M_CAL", "EQUITY", SPY, "2024-11-25 15:00+00")
    assert equity.execute("select timemodel.same_grid('7D_CAL', '1D')").fetchone() == (False,)
