"""``ta-lab2 refresh`` as it is typed: sessions, progress, dry runs."""

from __future__ import annotations

import io
import re

import psycopg
import pytest
from rich.console import Console

from ta_lab2 import cli
from ta_lab2.cli import console
from tests.support import contract
from tests.support.contract import EVERY

ASSETS = range(1, 7)


@pytest.fixture(autouse=True)
def database(own_db, means):
    """Let the settings mean this test's database, with six assets."""
    means(own_db)
    with psycopg.connect(own_db) as conn:
        contract.only(conn, ())
        for asset in ASSETS:
            contract.put(conn, asset, contract.history(100, asset))
    return own_db


def run(capsys, *words):
    """Return the exit status and the standard error."""
    capsys.readouterr()
    status = cli.run(["refresh", *words])
    return status, capsys.readouterr().err


def stored(conninfo) -> int:
    with psycopg.connect(conninfo) as conn:
        return conn.execute("select count(*) from features.cmc_returns_daily").fetchone()[0]


def test_sessions_share_the_assets(capsys, database):
    status, err = run(capsys, "--sessions", "3")
    assert status == 0
    done = {
        verb: sum(map(int, re.findall(rf"{verb}: (\d+) assets?, \d+ rows?", err)))
        for verb in ("refresh_features", "refresh_regimes")
    }
    assert done["refresh_features"] == len(ASSETS)
    # An asset takes so little that a session that begins late looks again at what is done.
    assert done["refresh_regimes"] >= len(ASSETS)
    assert stored(database) == 6 * 100


def test_a_dry_run_writes_nothing(capsys, database):
    status, err = run(capsys, "--dry-run", "--sessions", "3", "--assets", "1,2")
    assert status == 0
    assert err.count("candles are due") == 2 * len(EVERY)
    assert stored(database) == 0


def test_a_rebuild_puts_back_what_was_lost(capsys, database):
    run(capsys)
    with psycopg.connect(database) as conn:
        conn.execute("delete from features.cmc_returns_daily")
    assert " 0 rows," in run(capsys)[1]
    assert " 600 rows," in run(capsys, "--rebuild")[1]


def test_steps_are_run_by_name(capsys, database):
    assert run(capsys, "--steps", "returns, volatility")[0] == 0
    with psycopg.connect(database) as conn:
        steps = conn.execute("select distinct s.feature_type from features.feature_state as s")
        assert {step for (step,) in steps} == {"returns", "volatility"}
    status, err = run(capsys, "--steps", "returns,nonsense")
    assert status == 2
    assert "no step is called nonsense" in err
    assert "bars, ema" in err


def test_a_terminal_shows_a_bar_and_what_is_left_to_say(capsys, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(
        console, "err", Console(file=screen, force_terminal=True, color_system=None, width=80)
    )
    assert cli.run(["refresh", "--sessions", "2"]) == 0
    shown = screen.getvalue()
    assert "6/6 assets" in shown
    assert " done, " not in shown
    assert len(re.findall(r"refresh_features: \d assets?, \d+ rows", shown)) == 2


def test_an_error_of_one_session_is_the_command_s(capsys):
    status, err = run(capsys, "--sessions", "2", "--steps", "nonsense")
    assert status == 2
    assert err.count("no step is called nonsense") == 1


def test_a_server_that_stops_on_the_way_is_told_with_what_goes_on(capsys, database):
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(
            """
            create function public.stop() returns trigger language plpgsql security definer as $$
            begin
                perform pg_terminate_backend(pg_backend_pid());
                return new;
            end $$
            """
        )
        conn.execute(
            "create trigger stop before insert on features.cmc_returns_daily"
            " for each row execute function public.stop()"
        )
        status, err = run(capsys, "--sessions", "2")
        assert status == 2, err
        assert "the database went away: terminating connection" in err
        assert "the same command goes on from there" in " ".join(err.split())
        conn.execute("drop trigger stop on features.cmc_returns_daily")
    assert run(capsys)[0] == 0


def test_indicators_are_refreshed_by_kind_and_column(capsys, database):
    assert run(capsys, "--indicators", "RSI, macd_12_26_9", "--sessions", "2")[0] == 0
    with psycopg.connect(database) as conn:
        assert conn.execute(
            "select count(t.rsi_14) > 0, count(t.macd_hist_12_26_9) > 0, count(t.adx_14)"
            " from features.cmc_ta_daily as t"
        ).fetchone() == (True, True, 0)
        assert conn.execute("select count(*) from features.feature_state").fetchone() == (0,)
    status, err = run(capsys, "--indicators", "rsi,nonsense")
    assert status == 2
    assert "no active indicator is called nonsense" in err
    assert "stochastic" in err
    assert run(capsys, "--indicators", "rsi", "--steps", "returns")[0] == 2
