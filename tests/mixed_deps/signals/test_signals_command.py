"""``ta-lab2 signals`` and ``ta-lab2 today`` as they are typed."""

from __future__ import annotations

import pytest
from psycopg.conninfo import make_conninfo

from ta_lab2 import cli
from tests.support import contract


@pytest.fixture
def conn(own_db, autocommit, means):
    """An empty database, which the settings mean."""
    means(own_db)
    return autocommit(own_db)


def run(capsys, *words):
    """Return the exit status, the lines of the standard output, and the standard error."""
    capsys.readouterr()
    status = cli.run([*words])
    said = capsys.readouterr()
    return status, [line.split() for line in said.out.splitlines()], " ".join(said.err.split())


def test_list_and_kinds_show_what_there_is_and_what_can_be(conn, capsys):
    status, out, _ = run(capsys, "signals", "list")
    assert status == 0
    assert ["6", "atr_20_donchian", "atr_breakout", "1", "yes"] in out
    assert ["atr_multiplier=1.5"] in out
    status, out, _ = run(capsys, "signals", "kinds")
    assert status == 0
    words = [word for line in out for word in line]
    assert {"ema_crossover", "rsi_mean_revert", "atr_breakout", "cooldown_bars=0"} <= set(words)


def test_one_that_is_added_says_something_after_the_next_refresh(
    conn, capsys, own_db, means, monkeypatch
):
    contract.only(conn, ("1D",))
    contract.put(conn, 1, contract.history(120))
    conn.execute("update bars.dim_assets as a set symbol = 'ONE' where a.id = 1")
    kind = ("ema_crossover", "fast_period=6", "slow_period=10", "direction=both")
    status, _, err = run(capsys, "signals", "add", "quick", *kind, "use_regime=false")
    assert status == 0
    assert "quick; `ta-lab2 refresh` works out its history" in err
    assert run(capsys, "refresh")[0] == 0
    status, out, err = run(capsys, "today", "one")
    assert status == 0
    rows = [line for line in out if line[:2] == ["ONE", "quick"]]
    assert {row[2] for row in rows} & {"open", "entry"}
    assert max(len(" ".join(line)) for line in out) <= 80
    assert "the last bar is of 20" in err
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    assert run(capsys, "today", "one") == (0, out, err), "days are of UTC wherever the reader is"
    monkeypatch.delenv("PGTZ")
    means(make_conninfo(own_db, options="-c role=ta_lab2_reader"))
    assert run(capsys, "today", "one") == (0, out, err)
    means(own_db)
    assert run(capsys, "signals", "deactivate", "quick")[0] == 0
    assert not [line for line in run(capsys, "today")[1] if line[:2] == ["ONE", "quick"]]
    assert run(capsys, "signals", "activate", "quick")[0] == 0


def test_assets_whose_data_ended_are_told_apart_from_today(conn, capsys):
    contract.only(conn, ("1D",))
    for asset, days, symbol in ((1, 120, "ONE"), (2, 100, "GONE")):
        contract.put(conn, asset, contract.history(days, asset))
        conn.execute("update bars.dim_assets as a set symbol = %s where a.id = %s", (symbol, asset))
    assert run(capsys, "refresh")[0] == 0
    _, _, err = run(capsys, "today")
    last = dict(
        conn.execute("select s.id, max(s.last_ts)::date from cmc_signal_status as s group by s.id")
    )
    assert f"the last bar is of {last[1]}" in err
    assert f"not of that day, with the last bar that there is: GONE {last[2]}" in err
    assert "not of that day" not in run(capsys, "today", "gone")[2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("signals", "add", "a", "ema_cross"), "no signal is of the type ema_cross"),
        (("signals", "add", "My Cross", "ema_crossover"), "'My Cross' can't be a signal's name"),
        (("signals", "add", "a", "ema_crossover"), "lacks direction, fast_period, slow_period"),
        (("signals", "add", "a", "ema_crossover", "fast"), "'fast' is no parameter"),
        (
            ("signals", "add", "rsi_30_70_mr", "rsi_mean_revert", "rsi_period=14", "oversold=9"),
            "lacks",
        ),
        (
            (
                *("signals", "add", "rsi_30_70_mr", "rsi_mean_revert", "rsi_period=14"),
                *("oversold=9", "overbought=90", "direction=long"),
            ),
            "there is a signal rsi_30_70_mr already",
        ),
        (("signals", "deactivate", "nothing"), "there is no signal nothing"),
        (("signals", "activate", "nothing"), "there is no signal nothing"),
        (("today",), "there are no signals of any asset"),
        (("today", "XYZ"), "there is no asset XYZ"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(conn, capsys, words, says):
    status, _, err = run(capsys, *words)
    assert status == 2
    assert says in err
