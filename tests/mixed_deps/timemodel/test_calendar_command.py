"""``ta-lab2 calendar refresh`` as it is typed: what it says, and its exit status."""

from __future__ import annotations

import sys
from datetime import date, timedelta

import psycopg
import pytest

from ta_lab2 import cli
from ta_lab2.timemodel import exchange
from tests.support import sessions as sessions_of

LONDON = """
    insert into timemodel.dim_sessions (
        session_id, session_name, is_24_7, trading_days_per_week, timezone,
        market_open, market_close, annualisation_days, calendar
    )
    values ('LONDON', 'London Stock Exchange', false, 5, 'Europe/London', '08:00', {}, 252, {})
"""


@pytest.fixture(autouse=True)
def database(own_db, means):
    """Let the settings mean this test's database."""
    means(own_db)
    return own_db


def run(capsys, *words):
    """Return the exit status and what was said."""
    capsys.readouterr()
    status = cli.run(["calendar", "refresh", *words])
    return status, capsys.readouterr().err


def sessions(conninfo) -> dict[str, int]:
    with psycopg.connect(conninfo) as conn:
        return dict(
            conn.execute(
                """
                select c.session_id, count(*)
                from timemodel.session_calendar as c
                group by c.session_id
                """
            )
        )


def execute(conninfo, statement):
    with psycopg.connect(conninfo) as conn:
        conn.execute(statement)


def test_it_loads_from_1990_to_two_years_ahead_and_a_second_run_changes_nothing(
    capsys, database, new_york
):
    status, said = run(capsys)
    count = len(new_york.dates)
    last = date(date.today().year + 2, 12, 31)
    assert status == 0
    assert said == (
        f"EQUITY: {count:,} sessions of XNYS from 1990-01-01 to {last}:"
        f" {count:,} inserted, 0 changed, 0 removed\n"
    )
    assert sessions(database) == {"EQUITY": count}
    status, said = run(capsys, "--session", "EQUITY")
    assert status == 0
    assert said.endswith(": 0 inserted, 0 changed, 0 removed\n")


def test_candles_whose_session_went_are_told(capsys, database, new_york):
    run(capsys)
    with psycopg.connect(database) as conn:
        days = sessions_of.part(new_york, 8000, 7)
        holidays = [ts + timedelta(seconds=1) for ts in sessions_of.ends(days)]
        sessions_of.put(conn, dict.fromkeys(holidays, 5.0))
    status, said = run(capsys)
    assert status == 0
    told = [line for line in said.splitlines() if "asset" in line]
    assert len(told) == 6
    assert told[0] == (
        f"EQUITY: asset 900001 has a candle at {holidays[0]}, which is no session's end"
    )
    assert "EQUITY: 7 candles outside all sessions" in " ".join(told[-1].split())
    assert "bars.stray_candles('EQUITY')" in said


def test_another_exchange_is_an_insert_and_a_refresh(capsys, database):
    execute(database, LONDON.format("'16:30'", "'XLON'"))
    status, said = run(capsys, "--session", "LONDON")
    assert status == 0
    assert said.startswith("LONDON: ")
    assert set(sessions(database)) == {"LONDON"}
    with psycopg.connect(database) as conn:
        # The coronation of King Charles III, a bank holiday.
        assert conn.execute("select timemodel.next_session('LONDON', '2023-05-05')").fetchone() == (
            date(2023, 5, 9),
        )


def test_hours_that_are_not_the_exchange_s_are_refused(capsys, database):
    execute(database, LONDON.format("'16:00'", "'XLON'"))
    status, said = run(capsys, "--session", "LONDON")
    assert status == 2
    assert "error: this calendar does not fit the session LONDON" in said
    assert "closes at 16:30:00 in Europe/London, never at 08:00:00 and 16:00:00" in said
    assert sessions(database) == {}


@pytest.mark.parametrize(
    ("calendar", "said_of_it"),
    [
        ("null", "the session LONDON names no calendar of exchange_calendars"),
        ("'XNOWHERE'", "exchange_calendars has no calendar XNOWHERE"),
    ],
)
def test_a_calendar_that_the_library_has_not_is_an_error(capsys, database, calendar, said_of_it):
    execute(database, LONDON.format("'16:30'", calendar))
    status, said = run(capsys, "--session", "LONDON")
    assert status == 2
    assert said_of_it in said
    assert "dim_sessions" in said


def test_what_has_no_calendar_is_refused(capsys, database):
    status, said = run(capsys, "--session", "CRYPTO")
    assert (status, "CRYPTO is always open" in said) == (2, True)
    status, said = run(capsys, "--session", "equity")
    assert (status, "Known are CRYPTO, EQUITY" in said) == (2, True)


def test_without_the_library_it_says_what_to_install(capsys, database, monkeypatch):
    monkeypatch.setattr(exchange, "find_spec", lambda name: None)
    status, said = run(capsys)
    assert status == 2
    assert "pip install 'ta-lab2[calendars]'" in said


def test_nothing_else_brings_pandas_in(monkeypatch):
    """A newcomer's every command would wait for it."""
    import subprocess

    code = "import ta_lab2.cli, sys; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
