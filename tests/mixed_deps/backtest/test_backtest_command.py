"""``ta-lab2 backtest`` and ``ta-lab2 report``: what they show, write and refuse."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from ta_lab2 import cli
from ta_lab2.backtest import runs
from tests.support import contract, servers


@pytest.fixture(scope="module")
def stored(server_url, template):
    """A database with two assets that have signals, as a conninfo."""
    with servers.copy(server_url, "backtests", template=template) as conninfo:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            contract.only(conn, ["1D"])
            for asset, symbol in ((1, "ONE"), (2, "<i>&")):
                contract.put(conn, asset, {n: 100 + 20 * ((n // 17) % 3) for n in range(300)})
                conn.execute(
                    "update bars.dim_assets set symbol = %s where id = %s", (symbol, asset)
                )
            for verb in ("features", "regimes", "signals"):
                conn.execute(sql.SQL("call {}()").format(sql.Identifier(f"refresh_{verb}")))
        servers.close_to_connections(server_url, conninfo_to_dict(conninfo)["dbname"])
        yield conninfo_to_dict(conninfo)["dbname"]


@pytest.fixture
def conn(server_url, stored, means):
    """A copy of it, which the commands are told of."""
    with servers.copy(server_url, "backtest", template=stored) as conninfo:
        means(conninfo)
        conn = psycopg.connect(conninfo, autocommit=True)
        yield conn
        conn.close()


def run(capsys, *words):
    """Return the exit status, the standard output and the standard error."""
    capsys.readouterr()
    status = cli.run([*map(str, words)])
    told = capsys.readouterr()
    return status, told.out, " ".join(told.err.split())


def test_a_run_is_made_shown_listed_and_reported(capsys, conn, tmp_path):
    status, out, _ = run(
        capsys, "backtest", "run", "ema_9_21_long", "--asset", "one", "--costs", "perp",
        "--from", "2021-01-01", "--to", "2021-06-30", "--capital", "500", "--label", "mine",
    )  # fmt: skip
    assert status == 0
    made = runs.one(conn, runs.find(conn, "last"))
    assert (made.asset_ids, made.cost_model, made.capital, made.label) == ([1], "perp", 500, "mine")
    assert (str(made.first_ts.date()), str(made.last_ts.date())) == ("2021-01-01", "2021-06-30")
    for what in (str(made.run_id), "Sharpe", "Max drawdown", made.result_digest.hex(), "mine"):
        assert what in out
    for word in ("mine", str(made.run_id), str(made.run_id)[:8], "last"):
        assert run(capsys, "backtest", "show", word)[1] == out

    status, out, _ = run(capsys, "backtest", "list")
    assert status == 0
    assert str(made.run_id)[:8] in out
    assert "ONE" in out
    assert max(map(len, out.splitlines())) <= 80

    path = tmp_path / "sub" / "page.html"
    status, out, _ = run(capsys, "report", "mine", "-o", path)
    assert (status, out.strip()) == (0, f"report: {path}")
    first = path.read_bytes()
    assert first.startswith(b"<!doctype html>")
    assert str(made.run_id).encode() in first
    assert run(capsys, "report", "mine", "-o", path)[0] == 0
    assert path.read_bytes() == first, "the same run gives the same page"
    assert [each.name for each in path.parent.iterdir()] == ["page.html"]


def test_a_portfolio_has_a_page_with_names_as_they_are(capsys, conn, tmp_path):
    words = ("backtest", "run", "ema_9_21_long", "--sizing", "fixed_fraction", "--fraction", "0.5")
    assert run(capsys, *words)[0] == 0
    path = tmp_path / "page.html"
    assert run(capsys, "report", "-o", path)[0] == 0
    page = path.read_text()
    assert "&lt;i&gt;&amp;" in page
    assert "<i>" not in page
    assert page.count("<svg ") == 6


def test_the_page_shows_the_prices_that_the_run_read(capsys, conn, tmp_path):
    """A later revision leaves the page of an earlier run as it was."""
    assert run(capsys, "backtest", "run", "ema_9_21_long", "--label", "before")[0] == 0
    path = tmp_path / "page.html"
    run(capsys, "report", "before", "-o", path)
    first = path.read_bytes()
    contract.put(conn, 1, {150: 500.0})
    run(capsys, "report", "before", "-o", path)
    assert path.read_bytes() == first


def test_the_best_come_first(capsys, conn):
    for signal in ("ema_9_21_long", "rsi_30_70_mr", "atr_20_donchian", "ema_9_21_long"):
        assert run(capsys, "backtest", "run", signal)[0] == 0
    assert len(runs.listed(conn)) == 4
    ranked = runs.ranked(conn)
    assert len(ranked) == 3, "of a strategy's repeats the latest counts"
    known = [each.sharpe for each in ranked if each.sharpe is not None]
    assert known == sorted(known, reverse=True)
    out = run(capsys, "backtest", "list", "--best")[1]
    places = [out.index(str(each.run_id)[:8]) for each in ranked]
    assert places == sorted(places)


def test_many_runs_are_made_at_once_and_the_best_shown(capsys, conn):
    status, out, err = run(capsys, "backtest", "run", "--all", "--each-asset", "--label", "each")
    assert status == 0
    made = runs.listed(conn, label="each", limit=100)
    assert len(made) == 2 * len(runs.signals(conn))
    assert {len(each.symbols) for each in made} == {1}
    assert f"{len(made)} of {len(made)} runs, 0 failed" in err
    assert f"the best 20 of {len(made)} runs" in out
    best = runs.ranked(conn, label="each")
    assert all(str(each.run_id)[:8] in out for each in best)

    words = ("backtest", "run", "ema_9_21_long", "rsi_30_70_mr", "--asset", "one", "--label", "two")
    assert run(capsys, *words)[0] == 0
    assert {each.signal_name for each in runs.listed(conn, label="two")} == {
        "ema_9_21_long",
        "rsi_30_70_mr",
    }


def test_two_runs_are_compared_in_text(capsys, conn):
    run(capsys, "backtest", "run", "ema_9_21_long", "--label", "a")
    run(capsys, "backtest", "run", "ema_9_21_long", "--label", "b", "--costs", "clean")
    status, out, _ = run(capsys, "backtest", "compare", "a", "b")
    assert status == 0
    assert "cost_model: realistic -> clean" in out
    assert "see --all" in out
    whole = run(capsys, "backtest", "compare", "a", "b", "--all")[1]
    assert "see --all" not in whole
    assert len(whole.splitlines()) > len(out.splitlines())
    same = run(capsys, "backtest", "compare", "a", "a")[1]
    assert "differs" not in same


def test_a_repeat_is_judged(capsys, conn):
    run(capsys, "backtest", "run", "ema_9_21_long", "--label", "a")
    status, out, _ = run(capsys, "backtest", "validate", "a")
    assert (status, out.split()[-1]) == (0, "equal")
    status, _, err = run(capsys, "backtest", "validate", "a", "--mode", "hope")
    assert status == 2
    assert "strict, warn or trust" in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["backtest", "show"], "there is no run 'last'"),
        (["backtest", "show", "0123"], "there is no run '0123'"),
        (["backtest", "compare", "a"], "there is no run 'a'"),
        (["report"], "there is no run 'last'"),
        (["report", "-o", "x.pdf"], "not called .html"),
        (["backtest", "run", "nope"], "nope"),
        (["backtest", "run"], "which signals"),
        (["backtest", "run", "ema_9_21_long", "--all"], "which signals"),
        (["backtest", "run", "ema_9_21_long", "nope"], "nope"),
        (["backtest", "run", "--all", "--from", "2030-01-01"], "no run could be made"),
        (["backtest", "run", "ema_9_21_long", "--asset", "nope"], "there is no asset nope"),
        (["backtest", "run", "ema_9_21_long", "--from", "soon"], "neither a day nor a moment"),
        (["backtest", "run", "ema_9_21_long", "--costs", "free"], "free"),
        (["backtest", "run", "ema_9_21_long", "--from", "2030-01-01"], "no candle"),
    ],
)
def test_bad_input_is_answered_in_a_sentence_and_leaves_nothing(
    capsys, conn, tmp_path, monkeypatch, words, sentence
):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
    assert runs.listed(conn) == []


def test_a_page_that_cannot_be_written_says_where(capsys, conn, tmp_path):
    run(capsys, "backtest", "run", "ema_9_21_long")
    (tmp_path / "file").touch()
    status, _, err = run(capsys, "report", "-o", tmp_path / "file" / "x.html")
    assert status == 2
    assert "can't be written" in err


def test_several_runs_of_one_beginning_are_refused(capsys, conn):
    for _ in range(2):
        run(capsys, "backtest", "run", "ema_9_21_long")
    conn.execute("set session_replication_role = replica")
    ids = [each.run_id for each in runs.listed(conn)]
    for at, run_id in enumerate(ids):
        conn.execute(
            "update backtest.runs set run_id = %s where run_id = %s",
            (f"abcd0000-0000-4000-8000-00000000000{at}", run_id),
        )
    status, _, err = run(capsys, "backtest", "show", "abcd")
    assert status == 2
    assert "several runs begin with abcd" in err
