"""``ta-lab2 regimes``: the table, the chart, and what it says when there is nothing."""

from __future__ import annotations

import pytest

from ta_lab2 import cli
from ta_lab2.features import queries as features
from ta_lab2.regimes import queries
from tests.support import contract

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def database(own_db, autocommit, means):
    """A database with one asset, the one that the command is told of."""
    conn = autocommit(own_db)
    contract.only(conn)
    contract.put(conn, 1, contract.history(400))
    conn.execute("update bars.dim_assets as a set symbol = 'ONE' where a.id = 1")
    means(own_db)
    return conn


@pytest.fixture
def refreshed(database):
    """The same with its regimes."""
    features.refresh(database)
    queries.refresh(database)
    return database


def run(capsys, *words):
    """Return the exit status, the standard output and the standard error."""
    capsys.readouterr()
    status = cli.run(["regimes", *map(str, words)])
    told = capsys.readouterr()
    return status, told.out, " ".join(told.err.split())


@pytest.mark.parametrize("words", [(), ("one",), ("1",)])
def test_it_shows_the_last_regimes_and_what_they_allow(capsys, refreshed, words):
    status, out, _ = run(capsys, *words)
    assert status == 0
    (row,) = queries.latest(refreshed)
    assert row.symbol == "ONE"
    for what in (row.l0_key, row.l1_key, row.l2_key, str(row.day)):
        assert what in out
    assert ("stand down" in out) == row.stand_down
    assert max(map(len, out.splitlines())) <= 80


def test_days_are_of_utc_wherever_the_reader_is(capsys, refreshed, monkeypatch):
    shown = run(capsys)
    drawn = queries.trends(refreshed, 1)
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    assert run(capsys) == shown
    refreshed.execute("set timezone = 'Asia/Tokyo'")
    assert queries.trends(refreshed, 1) == drawn


def test_it_draws_one_asset(capsys, refreshed, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "one.png"
    assert run(capsys, "ONE", "--chart", path)[0] == 0
    first = path.read_bytes()
    assert first.startswith(PNG)
    assert run(capsys, "ONE", "--chart", path)[0] == 0
    assert path.read_bytes() == first, "the same rows give the same picture"


def test_a_chart_of_several_assets_is_refused(capsys, refreshed, tmp_path):
    status, _, err = run(capsys, "--chart", tmp_path / "all.png")
    assert status == 2
    assert "a chart shows one asset" in err


def test_an_asset_without_regimes_is_refused(capsys, database):
    status, _, err = run(capsys)
    assert status == 2
    assert "there are no regimes of any asset" in err
    assert "ta-lab2 refresh" in err
    assert "there are no regimes of ONE yet" in run(capsys, "ONE")[2]
    assert "there is no asset TWO" in run(capsys, "ONE", "TWO")[2]
