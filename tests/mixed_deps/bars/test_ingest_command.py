"""``ta-lab2 ingest`` and ``refresh`` as they are typed: what they print, and their exit status."""

from __future__ import annotations

import psycopg
import pytest

from ta_lab2 import cli
from ta_lab2.bars import formats
from ta_lab2.bars import ingest as prices_in
from ta_lab2.errors import Refused
from tests.support import prices
from tests.support.contract import DAILY

GOOD = "2020-01-01,BTC,1,3,0.5,2,10"


@pytest.fixture(autouse=True)
def database(own_db, means):
    """Let the settings mean this test's database."""
    means(own_db)
    return own_db


def run(capsys, *words):
    """Return the exit status, the standard output's lines as words, and the standard error."""
    capsys.readouterr()
    status = cli.run([str(word) for word in words])
    said = capsys.readouterr()
    return status, [line.split() for line in said.out.splitlines()], said.err


def candles(conninfo) -> int:
    with psycopg.connect(conninfo) as conn:
        return conn.execute("select count(*) from bars.cmc_price_histories7").fetchone()[0]


def test_it_ends_with_a_table_of_what_became_of_every_file(tmp_path, capsys):
    prices.daily(tmp_path, GOOD, "2020-01-02,BTC,1,1,1,x,1")
    prices.daily(tmp_path, GOOD.replace("BTC", "LTC"), name="2_litecoin.csv")
    status, out, err = run(capsys, "ingest", tmp_path)
    assert status == 0
    header = ["id", "symbol", "name", "loaded", "unchanged", "revised", "rejected", "forming"]
    assert ["other"] in out
    assert [*header, "source"] in out
    assert ["1", "BTC", "bitcoin", "1", "0", "0", "1", "0", "0"] in out
    assert ["2", "LTC", "litecoin", "1", "0", "0", "0", "0", "0"] in out
    assert ["all", "2", "0", "0", "1", "0", "0"] in out
    assert "1 of 2" in err
    assert f"{tmp_path / '1_bitcoin.csv'}:3: price unparsable" in err


def test_a_file_with_a_header_alone_refuses_the_command(tmp_path, capsys, database):
    prices.daily(tmp_path, GOOD)
    prices.daily(tmp_path, name="2_litecoin.csv")
    prices.daily(tmp_path, name="3_empty.csv")
    status, _, err = run(capsys, "ingest", tmp_path)
    assert status == 2
    assert "2_litecoin.csv has a header and no line below it, and so have 1 more files" in err
    assert candles(database) == 0
    with psycopg.connect(database) as conn:
        assert conn.execute("select count(*) from bars.dim_assets").fetchone() == (0,)


def test_standard_input_is_no_file(capsys):
    status, _, err = run(capsys, "ingest", "-")
    assert status == 2
    assert "prices cannot come from standard input" in err


def test_an_empty_word_is_not_the_folder_one_stands_in(tmp_path, capsys, monkeypatch, database):
    prices.daily(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, "ingest", "")
    assert status == 2
    assert "a file is named by nothing" in err
    assert candles(database) == 0


@pytest.mark.parametrize("how", ["written", "replaced"])
def test_a_file_that_changes_while_it_is_loaded_is_not_in(tmp_path, database, how):
    path = prices.daily(tmp_path, GOOD)
    found = formats.recognise(path)
    if how == "written":
        with path.open("a") as file:
            file.write("2020-01-02,BTC,1,3,0.5,2,10\n")
    else:
        prices.daily(tmp_path / "new", GOOD).replace(path)
    with (
        psycopg.connect(database) as conn,
        pytest.raises(Refused, match="changed while it was being loaded"),
    ):
        prices_in.load(conn, found)
    assert candles(database) == 0


def test_long_names_leave_the_numbers_readable(tmp_path, capsys):
    prices.daily(tmp_path, GOOD.replace("BTC", "T" * 90), name=f"1_{'n' * 90}.csv")
    status, out, _ = run(capsys, "ingest", tmp_path)
    assert status == 0
    row = next(words for words in out if words[:1] == ["1"])
    assert row[3:] == ["1", "0", "0", "0", "0", "0"]
    assert any("2020-01-01" in words for words in run(capsys, "assets", "list")[1])


def test_a_second_run_says_unchanged(tmp_path, capsys):
    prices.daily(tmp_path, GOOD)
    run(capsys, "ingest", tmp_path)
    status, out, _ = run(capsys, "ingest", tmp_path / "*.csv")
    assert status == 0
    assert ["1", "BTC", "bitcoin", "0", "1", "0", "0", "0", "0"] in out


def test_many_rejects_are_shown_in_part(tmp_path, capsys):
    prices.daily(tmp_path, *["x"] * 30)
    _, _, err = run(capsys, "ingest", tmp_path)
    assert err.count("1 columns instead of 7") == 5
    assert "select * from price_rejects" in err


BAD = {
    "2020-01-02,BTC,1,3,0.5,two,10": "price unparsable",
    "2020-01-03,BTC,1,3,0,2,10": "price not positive",
    "2020-01-04,BTC,-1,3,0.5,2,10": "price not positive",
    "2020-01-05,BTC,1,0.4,0.5,1,10": "high is not the highest",
    "2020-01-06,BTC,1,3,0.5,NaN,10": "price not a number",
    "2999-01-01,BTC,1,3,0.5,2,10": "future date",
    "2020-01-07,BTC,1,3,0.5,2,10": "duplicate with other values",
    "2020-01-07,BTC,1,3,0.5,2,11": "duplicate with other values",
    "2020-01-08,BTC,1,3,0.5,2": "6 columns instead of 7",
    "2020-01-09,B\0C,1,3,0.5,2,10": "zero byte",
    f"2020-01-10,{'B' * 70_000},1,3,0.5,2,10": "longer than 65,536 bytes",
}


def test_bad_lines_are_kept_with_their_reasons_and_the_good_ones_are_in(tmp_path, capsys, database):
    path = prices.daily(tmp_path, GOOD, *BAD, GOOD)
    with path.open("ab") as file:
        file.write(b"\n2020-01-11,\xff,1,3,0.5,2,10\n")
    status, out, err = run(capsys, "ingest", path)
    assert status == 0
    assert ["1", "BTC", "bitcoin", "1", "1", "0", "12", "0", "0"] in out
    assert f"{path}:3: price unparsable" in err
    with psycopg.connect(database) as conn:
        kept = conn.execute(
            "select r.reason, length(r.raw) <= 2000 from bars.price_rejects as r order by r.line"
        ).fetchall()
    assert kept == [(reason, True) for reason in [*BAD.values(), "not UTF-8"]]


def test_a_session_belongs_to_a_new_asset_and_stays(tmp_path, capsys, database):
    path = prices.write(
        tmp_path, "spy.csv", [",date,open,high,low,close,volume", "0,2020-01-02,1,3,1,2,9"]
    )
    words = ["ingest", path, "--asset-id", 7]
    assert "there is no asset 7" in run(capsys, *words)[2]
    status, _, err = run(capsys, *words, "--symbol", "SPY", "--session", "MARS")
    assert (status, "no session is called MARS" in err) == (2, True)
    assert run(capsys, *words, "--symbol", "SPY")[0] == 0
    status, out, err = run(capsys, *words)
    assert ["7", "SPY", "spy", "0", "1", "0", "0", "0", "0"] in out
    status, _, err = run(capsys, *words, "--session", "EQUITY")
    assert (status, "asset 7 is of session CRYPTO and has candles" in err) == (2, True)
    status, _, err = run(capsys, *words, "--slug", "qqq")
    assert (status, "asset 7 is not qqq" in err) == (2, True)
    with psycopg.connect(database) as conn:
        assert conn.execute("select count(*) from bars.loads").fetchone() == (2,)


def test_a_day_that_is_no_utc_day_is_for_an_exchange_only(tmp_path, capsys, database):
    good = prices.daily(tmp_path, GOOD)
    lines = ["timestamp,open,high,low,close", "2020-01-02T21:00:00Z,1,3,1,2"]
    path = prices.write(tmp_path, "7_spy.csv", lines)
    words = ["ingest", good, path, "--source", "yahoo_equity"]
    _, out, _ = run(capsys, *words, "--dry-run")
    text = [" ".join(words) for words in out]
    assert "times 21:00:00 and such: the days of an exchange, not of crypto" in text
    status, _, err = run(capsys, *words)
    assert status == 2
    assert f"{path}: its bars do not begin or end with a UTC day: 2020-01-02 21:00:00" in err
    assert candles(database) == 0
    with psycopg.connect(database) as conn:
        conn.execute(
            "insert into bars.dim_assets (id, symbol, slug, session_id)"
            " values (7, 'SPY', 'spy', 'EQUITY')"
        )
    assert "no calendar yet" in run(capsys, "ingest", path, "--source", "yahoo_equity")[2]


def test_one_bad_file_stops_all_before_anything_is_loaded(tmp_path, capsys, database):
    prices.daily(tmp_path, GOOD)
    prices.write(tmp_path, "2_litecoin.csv", ["a,b"])
    status, _, err = run(capsys, "ingest", tmp_path)
    assert status == 2
    assert "2_litecoin.csv" in err
    assert "a,b" in err
    assert candles(database) == 0


def test_a_file_of_another_asset_stops_there_and_says_what_is_in(tmp_path, capsys, database):
    first = prices.daily(tmp_path, GOOD)
    second = prices.daily(tmp_path, GOOD, name="1_ether.csv")
    status, out, err = run(capsys, "ingest", first, second)
    assert status == 2
    assert "asset 1 is not ether" in err
    assert ["1", "BTC", "bitcoin", "1", "0", "0", "0", "0", "0"] in out
    assert candles(database) == 1


def test_nothing_to_load_is_one_clear_sentence(tmp_path, capsys):
    status, _, err = run(capsys, "ingest", tmp_path)
    assert status == 2
    assert f"{tmp_path}: the folder has no files that end in .csv" in err
    assert "Traceback" not in err


def test_a_database_that_was_never_migrated_says_what_to_do(tmp_path, capsys, empty_db, means):
    means(empty_db)
    status, _, err = run(capsys, "ingest", prices.daily(tmp_path, GOOD))
    assert status == 2
    assert "ta-lab2 db migrate" in err


def test_refresh_prints_its_progress_and_its_total(tmp_path, capsys):
    prices.daily(tmp_path, GOOD, "2020-01-02,BTC,1,3,0.5,2.5,10")
    run(capsys, "ingest", tmp_path)
    status, _, err = run(capsys, "refresh", "--assets", "btc")
    assert status == 0
    assert "1 more asset done, 1 of 1" in err
    # A row a day of every daily table, and of either day's bars with their EMAs 28.
    assert f"refresh_features: 1 asset, {2 * len(DAILY) + 28} rows," in err
    assert "refresh_regimes: 1 asset, 2 rows," in err
    assert "refresh_signals: 1 asset, 0 rows," in err.splitlines()[-1]
    assert " 0 rows," in run(capsys, "refresh")[2].splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("999", "there is no asset 999"),
        ("x,1", "there is no asset x"),
        ("1;2", "there is no asset 1;2"),
        ("99999999999", "there is no asset 99999999999"),
        ("", "an asset is named by nothing"),
    ],
)
def test_a_refresh_of_what_is_no_asset_is_refused(capsys, words, says):
    status, _, err = run(capsys, "refresh", "--assets", words)
    assert status == 2
    assert says in err


def test_it_says_how_to_take_a_load_back_and_that_works(tmp_path, capsys, database):
    _, _, err = run(capsys, "ingest", prices.daily(tmp_path, GOOD))
    (line,) = [line for line in err.splitlines() if "--undo" in line]
    words = line.partition("ta-lab2 ")[2].split()
    status, _, err = run(capsys, *words)
    assert status == 0
    assert "1 candle removed, 0 as they were before" in err
    assert candles(database) == 0
    status, _, err = run(capsys, *words)
    assert status == 2
    assert "was taken back before" in err


def test_lines_of_another_source_are_counted_and_explained(tmp_path, capsys, database):
    with psycopg.connect(database) as conn:
        conn.execute("insert into bars.dim_sources values ('exchange', 'base', 'Of this test.')")
    run(capsys, "ingest", prices.daily(tmp_path, GOOD))
    more = prices.daily(tmp_path, GOOD, "2020-01-02,BTC,1,3,0.5,2,10")
    status, out, err = run(capsys, "ingest", "--source", "exchange", more)
    assert status == 0
    assert ["1", "BTC", "bitcoin", "0", "0", "0", "0", "0", "2"] in out
    assert "BTC comes from coinmarketcap, this is exchange: 2 lines left out" in err
    assert "0 with other prices, 1 of sessions without a candle" in err
    _, out, _ = run(capsys, "ingest", "--source", "exchange", "--extend", more)
    assert ["1", "BTC", "bitcoin", "1", "0", "0", "0", "0", "1"] in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--undo", "x"], "should be a valid UUID"),
        (["--undo", "6f1c0d6e-9d4a-4b0e-8f3e-2b8a4c1d7e55"], "there is no load"),
        (["--undo", "6f1c0d6e-9d4a-4b0e-8f3e-2b8a4c1d7e55", "--extend"], "nothing else"),
        (["--undo", "6f1c0d6e-9d4a-4b0e-8f3e-2b8a4c1d7e55", "--dry-run"], "nothing else"),
        (["--extend", "--switch", "."], "exclude each other"),
        ([], "no file is named"),
    ],
)
def test_words_that_do_not_go_together_are_refused(capsys, words, told):
    status, _, err = run(capsys, "ingest", *words)
    assert status == 2
    assert told in " ".join(err.replace("│", " ").split())


def test_a_dry_run_shows_what_the_files_hold_and_loads_nothing(tmp_path, capsys, database):
    prices.export(tmp_path, *(prices.export_row(f"2020-01-0{day}") for day in (5, 4, 3, 2)), "x;y")
    prices.daily(tmp_path, name="2_litecoin.csv")
    status, out, err = run(capsys, "ingest", "--dry-run", tmp_path)
    assert (status, err) == (0, "")
    text = [" ".join(words) for words in out]
    assert text[:2] == [str(tmp_path / "1_bitcoin.csv"), "asset 1 bitcoin"]
    assert "format cmc-export: CoinMarketCap's export" in text
    assert "source coinmarketcap" in text
    assert any("timeOpen as day" in line and "marketCap as market_cap" in line for line in text)
    assert "lines 5 from 2020-01-02 to 2020-01-05, 1 that cannot be split" in text
    assert prices.export_row("2020-01-03") in text
    assert prices.export_row("2020-01-02") not in text
    assert "lines 0 without a date, 0 that cannot be split" in text
    assert candles(database) == 0


def test_a_dry_run_needs_no_database(tmp_path, capsys, means):
    means("postgresql://nobody@127.0.0.1:1/none")
    assert run(capsys, "ingest", "--dry-run", prices.daily(tmp_path, GOOD))[0] == 0
