"""``ta-lab2 assets`` as it is typed: what it prints, what it changes, its exit status."""

from __future__ import annotations

import psycopg
import pytest

from ta_lab2 import cli
from ta_lab2.bars import formats, ingest
from tests.support import intraday, prices


@pytest.fixture(autouse=True)
def database(own_db, means, tmp_path):
    """Let the settings mean this test's database, which has two candles of one asset."""
    means(own_db)
    path = prices.daily(tmp_path, "2020-01-01,BTC,1,3,0.5,2,10", "2020-01-05,BTC,1,3,0.5,2,10")
    with psycopg.connect(own_db) as conn:
        ingest.load(conn, formats.recognise(path))
        conn.execute("insert into bars.dim_assets (id, symbol, slug) values (2, 'LTC', 'litecoin')")
    return own_db


def run(capsys, *words):
    """Return the exit status, the standard output's lines as words, and the standard error."""
    capsys.readouterr()
    status = cli.run(["assets", *words])
    said = capsys.readouterr()
    return status, [line.split() for line in said.out.splitlines()], said.err


def one(conninfo, query):
    with psycopg.connect(conninfo) as conn:
        return conn.execute(query).fetchone()


def test_list_shows_every_asset_with_its_source_and_range(capsys):
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert ["1", "BTC", "bitcoin", "coinmarketcap", "2", "2020-01-01", "2020-01-05"] in out
    assert ["2", "LTC", "litecoin", "-", "0", "-", "-"] in out


def test_show_tells_how_often_the_prices_changed(capsys, database):
    with psycopg.connect(database) as conn:
        conn.execute("update bars.cmc_price_histories7 set close = 1")
    status, out, _ = run(capsys, "show", "1")
    assert status == 0
    assert run(capsys, "show", "btc")[1] == run(capsys, "show", "bitcoin")[1] == out
    assert ["source", "coinmarketcap"] in out
    assert ["versions", "replaced", "2"] in out
    assert ["loads", "1"] in out


def test_rename_changes_the_names_that_are_given(capsys, database):
    status, _, err = run(capsys, "rename", "1", "--symbol", "XBT")
    assert (status, err.strip()) == (0, "asset 1 is XBT, bitcoin")
    run(capsys, "rename", "1", "--name", "Digital-Gold")
    assert one(database, "select symbol, slug from bars.dim_assets where id = 1") == (
        "XBT",
        "digital-gold",
    )


def test_session_is_said_before_there_are_prices_and_shown(capsys, database):
    status, _, err = run(capsys, "session", "2", "EQUITY")
    assert (status, err.strip()) == (0, "asset 2, LTC, is of session EQUITY")
    assert ["session", "EQUITY"] in run(capsys, "show", "2")[1]
    status, _, err = run(capsys, "session", "1", "EQUITY")
    assert status == 2
    assert "asset 1 is of session CRYPTO and has candles" in err
    assert "`ta-lab2 assets delete 1`, then `ta-lab2 assets session 1 EQUITY`" in err
    assert run(capsys, "session", "1", "CRYPTO")[0] == 0
    assert ["session", "CRYPTO"] in run(capsys, "show", "1")[1]


def test_delete_asks_and_without_an_answer_nothing_is_deleted(capsys, database):
    status, _, err = run(capsys, "delete", "1")
    assert status == 2
    assert "Delete 2 candles of BTC (bitcoin)?" in err
    assert one(database, "select count(*) from bars.cmc_price_histories7") == (2,)


def test_what_is_deleted_stays_in_the_log_and_can_be_loaded_again(capsys, database, tmp_path):
    status, _, err = run(capsys, "delete", "1", "--yes")
    assert status == 0
    assert "2 candles of BTC deleted" in err
    assert one(database, "select count(*) from bars.cmc_price_histories7") == (0,)
    assert one(
        database, "select count(*), min(replaced_by) from bars.price_revisions where id = 1"
    ) == (2, "deleted")
    assert one(database, "select source from bars.price_state where id = 1") == (None,)
    with psycopg.connect(database) as conn:
        file = formats.recognise(tmp_path / "1_bitcoin.csv")
        assert ingest.load(conn, file).counts.loaded == 2


def test_deleting_counts_and_takes_intraday_candles_too(capsys, database):
    with psycopg.connect(database) as conn:
        intraday.put(conn, 1, {number: intraday.candle(number) for number in range(3)})
        conn.execute("update bars.intraday_state set source = 'coinmarketcap'")
    status, _, err = run(capsys, "delete", "1", "--yes")
    assert status == 0
    assert "5 candles of" in err
    assert "refresh --intraday" in err
    assert one(database, "select count(*) from bars.intraday_candles") == (0,)
    assert one(database, "select distinct s.source from bars.intraday_state as s") == (None,)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", "9"], "there is no asset 9"),
        (["rename", "9", "--symbol", "X"], "there is no asset 9"),
        (["delete", "9", "--yes"], "there is no asset 9"),
        (["session", "9", "EQUITY"], "there is no asset 9"),
        (["session", "2", "NASDAQ"], "no session is called NASDAQ"),
        (["rename", "1"], "no new name is given"),
        (["rename", "1", "--name", "litecoin"], "the slug litecoin is taken"),
        (["rename", "1", "--symbol", "  "], '"  " is no name'),
        (["rename", "1", "--symbol", "A\nB"], '"A\\nB" is no name'),
        (["rename", "1", "--name", "n" * 101], "It has 101 letters."),
    ],
)
def test_what_cannot_be_is_refused(capsys, words, told):
    status, _, err = run(capsys, *words)
    assert status == 2
    assert told in err


def test_deleting_an_unknown_asset_is_refused_by_the_database_too(database):
    with (
        psycopg.connect(database) as conn,
        pytest.raises(psycopg.DatabaseError, match="no asset 9") as refused,
    ):
        conn.execute("select bars.delete_prices(9)")
    assert refused.value.sqlstate == "TA210"


def test_an_empty_database_says_how_to_begin(capsys, database):
    with psycopg.connect(database) as conn:
        for table in ("cmc_price_histories7", "price_revisions", "dirty_range", "loads"):
            conn.execute(f"delete from bars.{table}")
        conn.execute("delete from bars.price_revisions")
        conn.execute("delete from bars.dirty_range")
        conn.execute("delete from bars.price_state")
        conn.execute("delete from bars.dim_assets")
    status, _, err = run(capsys, "list")
    assert status == 0
    assert "ta-lab2 ingest" in err
