"""``ta-lab2 indicators`` as it is typed: what it prints, what it changes, its exit status."""

from __future__ import annotations

import psycopg
import pytest

from ta_lab2 import cli
from tests.support import contract


@pytest.fixture(autouse=True)
def database(own_db, means):
    """Let the settings mean this test's database."""
    means(own_db, columns=100)
    return own_db


def run(capsys, *words):
    """Return the exit status, the standard output's lines as words, and the standard error."""
    capsys.readouterr()
    status = cli.run(["indicators", *words])
    said = capsys.readouterr()
    return status, [line.split() for line in said.out.splitlines()], said.err


def test_list_shows_every_indicator_with_its_columns(capsys):
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert ["1", "rsi", "period=7", "rsi_7", "yes"] in out
    assert ["macd_signal_8_17_9"] in out


def test_kinds_shows_what_can_be_added(capsys):
    status, out, _ = run(capsys, "kinds")
    assert status == 0
    assert any(line[:4] == ["rsi", "period=14", "(2", "to"] for line in out)


def test_what_is_added_is_filled_by_the_next_refresh(capsys, database):
    with psycopg.connect(database, autocommit=True) as conn:
        contract.only(conn, ())
        contract.put(conn, 1, contract.history(60))
        contract.refresh(conn)
        status, _, err = run(capsys, "add", "RSI", "period=28")
        assert (status, err.split(":")[1].split(";")[0].strip()) == (0, "rsi_28")
        contract.refresh(conn)
        found = conn.execute("select count(t.rsi_28) from features.cmc_ta_daily as t").fetchone()
    assert found is not None
    assert found[0] > 20


def test_what_is_there_already_is_said(capsys):
    status, _, err = run(capsys, "add", "rsi", "period=14")
    assert (status, err.strip()) == (0, "indicator 2: rsi period=14 is there already")


def test_one_that_a_signal_reads_stays_on(capsys):
    status, _, err = run(capsys, "deactivate", "2")
    assert status == 2
    assert "rsi_14 is read by the signal rsi_30_70_mr, rsi_25_75_mr" in " ".join(err.split())
    assert ["2", "rsi", "period=14", "rsi_14", "yes"] in run(capsys, "list")[1]


def test_it_is_switched_off_and_on(capsys, database):
    with psycopg.connect(database) as conn:
        contract.unread(conn)
    status, _, err = run(capsys, "deactivate", "rsi_14")
    assert (status, err.strip()) == (0, "rsi period=14 is off: what is in rsi_14 stays as it is")
    assert ["2", "rsi", "period=14", "rsi_14", "no"] in run(capsys, "list")[1]
    status, _, err = run(capsys, "add", "rsi")
    assert status == 2
    assert "`ta-lab2 indicators activate 2` switches it on" in err
    assert run(capsys, "activate", "2")[0] == 0
    with psycopg.connect(database) as conn:
        active = conn.execute(
            "select i.is_active from features.dim_indicators as i where i.indicator_id = 2"
        ).fetchone()
    assert active == (True,)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", "rsx"), 'there is no indicator "rsx"'),
        (("add", "rsi", "period=0"), "period must be a whole number from 2 to 1000 for rsi"),
        (("add", "rsi", "period=10000"), "period must be a whole number from 2 to 1000 for rsi"),
        (("add", "rsi", "period=much"), "period must be a whole number from 2 to 1000 for rsi"),
        (("add", "rsi", "period=2.5"), "period must be a whole number from 2 to 1000 for rsi"),
        (("add", "rsi", "length=5"), 'rsi has no parameter "length"'),
        (("add", "rsi", "28"), "'28' is no parameter"),
        (("add", "rsi", "period=5", "period=6"), "period is given twice"),
        (("add", "macd", "fast=30"), "fast must be less than slow for macd"),
        (("deactivate", "99"), "there is no indicator 99"),
        (("activate", "99"), "there is no indicator 99"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(capsys, words, says):
    status, _, err = run(capsys, *words)
    assert status == 2
    assert says in err
