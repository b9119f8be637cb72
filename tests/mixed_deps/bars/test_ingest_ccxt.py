"""``ta-lab2 ingest ccxt`` as it is typed, against a server that speaks Binance's protocol."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ta_lab2 import cli
from ta_lab2.settings import settings
from tests.support import binance, prices

#: Candles of the server: 40 whole ones and the one that forms.
DAYS = 40
NEW = ("--asset-id", "1", "--slug", "bitcoin")


def today() -> date:
    return datetime.now(UTC).date()


def back(days: int) -> date:
    return today() - timedelta(days=days)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with binance.serving() as server:
        server.trade(back(DAYS), today())
        server.most = 15
        yield server


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Let no time pass, and return how long each pause would have been."""
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture(autouse=True)
def database(own_db, monkeypatch):
    """Let the settings mean this test's database."""
    monkeypatch.setenv("TA_LAB2_DATABASE_URL", own_db)
    monkeypatch.setenv("COLUMNS", "80")
    settings.cache_clear()
    yield own_db
    settings.cache_clear()


@pytest.fixture
def ingest(server, capsys):
    """What runs the command: exit status, standard output, standard error."""

    def run(*words, market="BTC/USDT"):
        capsys.readouterr()
        status = cli.run(["ingest", "ccxt", "binance", market, "--url", server.url, *words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return status, said.out, said.err

    return run


def rows(conninfo, statement, *values):
    with psycopg.connect(conninfo) as conn:
        return conn.execute(statement, values).fetchall()


def stored(conninfo, asset=1) -> list[date]:
    """The days that have a candle."""
    return [
        day
        for (day,) in rows(
            conninfo,
            "select (p.ts at time zone 'UTC')::date from bars.cmc_price_histories7 as p"
            " where p.id = %s order by p.ts",
            asset,
        )
    ]


def whole() -> list[date]:
    """The days that the server has whole candles of."""
    return [back(days) for days in range(DAYS, 0, -1)]


def counts(loaded=0, unchanged=0, revised=0, rejected=0, forming=0, other=0):
    return (
        f"{loaded:,} loaded, {unchanged:,} unchanged, {revised:,} revised, {rejected:,} rejected,"
        f" {forming:,} forming, {other:,} other source\n"
    )


def test_the_whole_history_is_loaded_page_by_page_without_the_forming_candle(
    ingest, server, database
):
    with psycopg.connect(database) as conn:
        conn.execute("delete from bars.dim_sources where source = 'binance'")
    status, out, err = ingest(*NEW)
    assert status == 0
    assert out == "binance BTC/USDT, asset 1 bitcoin: " + counts(loaded=DAYS, forming=1)
    assert stored(database) == whole()
    assert server.starts() == ["2010-01-01", str(back(DAYS - 15)), str(back(DAYS - 30))]
    assert f"binance BTC/USDT: to {back(DAYS - 14)}, 15 candles loaded" in err
    assert "its prices in USDT are taken as US dollars" in err
    assert "binance is a new row of dim_sources" in err
    assert f"its history begins on {back(DAYS)}" in err
    assert rows(database, "select symbol, slug from bars.dim_assets") == [("BTC", "bitcoin")]
    assert rows(database, "select * from bars.dim_sources where source = 'binance'") == [
        ("binance", "base", "The exchange binance: trades there, by ccxt.")
    ]
    assert rows(
        database, "select file, source, loaded, forming, sha256 from bars.loads order by started_at"
    ) == [
        (f"ccxt:binance:BTC/USDT via {server.url}", "binance", 15, 0, None),
        (f"ccxt:binance:BTC/USDT via {server.url}", "binance", 15, 0, None),
        (f"ccxt:binance:BTC/USDT via {server.url}", "binance", 10, 1, None),
    ]


def test_what_is_stored_is_what_was_sent(ingest, server, database):
    ingest(*NEW)
    day = back(DAYS - 7)
    sent = [float(each) for each in server.candles[binance.milliseconds(day)][1:6]]
    assert rows(
        database,
        "select open, high, low, close, volume from bars.cmc_price_histories7"
        " where (ts at time zone 'UTC')::date = %s",
        day,
    ) == [tuple(sent)]


def test_a_second_run_loads_nothing_and_reads_the_last_candles_again(ingest, server, database):
    ingest(*NEW)
    server.asked.clear()
    status, out, err = ingest()
    assert status == 0
    assert out.endswith(counts(unchanged=5, forming=1))
    assert server.starts() == [str(back(5))]
    assert f"stored to {back(1)}, reading on from there" in err
    assert "--undo" not in err


def test_a_revised_candle_is_seen(ingest, server, database):
    ingest(*NEW)
    for days in (2, 20):
        row = server.candles[binance.milliseconds(back(days))]
        row[4] = row[1]
    _, out, _ = ingest()
    assert out.endswith(counts(unchanged=4, revised=1, forming=1))
    _, out, _ = ingest("--again")
    assert out.endswith(counts(unchanged=DAYS - 1, revised=1, forming=1))
    assert rows(database, "select count(*) from bars.price_revisions") == [(2,)]


def test_since_begins_there_and_an_earlier_one_fetches_the_rest_newest_first(
    ingest, server, database, monkeypatch
):
    ingest(*NEW, "--since", str(back(10)))
    assert stored(database) == whole()[-10:]
    server.asked.clear()
    status, out, _ = ingest("--since", "2015-01-01")
    assert status == 0
    assert out.endswith(counts(loaded=DAYS - 10, unchanged=5, forming=1))
    assert stored(database) == whole()
    server.asked.clear()
    ingest("--since", "2015-01-01")
    # One to see that there is nothing earlier, one for what is new.
    assert server.starts() == ["2015-01-01", str(back(5))]


def test_an_earlier_history_that_was_interrupted_leaves_no_hole(ingest, server, database):
    # Windows of a thousand days: three of them are missing.
    server.most = 1000
    server.trade(back(3000), today())
    ingest(*NEW, "--since", str(back(10)))
    server.next.extend([None, None, (451, {}, binance.RESTRICTED)])
    status, out, err = ingest("--since", "2010-01-01")
    assert status == 2
    assert "does not serve this machine's address" in err
    assert out.endswith(counts(loaded=1000))
    assert stored(database) == [back(days) for days in range(1010, 0, -1)]
    status, _, _ = ingest("--since", "2010-01-01")
    assert status == 0
    assert stored(database) == [back(days) for days in range(3000, 0, -1)]


def test_a_gap_of_the_exchange_stays_a_gap(ingest, server, database):
    for days in range(30, 12, -1):
        del server.candles[binance.milliseconds(back(days))]
    ingest(*NEW)
    assert stored(database) == [day for day in whole() if not back(30) <= day < back(12)]
    _, out, _ = ingest()
    assert out.endswith(counts(unchanged=5, forming=1))


def test_an_outage_in_the_middle_is_waited_for(ingest, server, database, pauses):
    server.next.extend([None, (503, {}, "<html>"), (429, {"Retry-After": "9"}, "{}")])
    status, _, err = ingest(*NEW)
    assert status == 0
    assert [each for each in pauses if each >= 1] == [1, 9]
    assert "HTTP 503" in err
    assert "asking again in 9 s (2 of 5)" in err
    assert stored(database) == whole()


def test_an_exchange_that_stays_away_leaves_what_was_stored(ingest, server, database):
    server.next.extend([None, *[(503, {}, "<html>")] * 6])
    status, out, err = ingest(*NEW)
    assert status == 1
    assert "error: binance is not working: HTTP 503" in err
    assert "what was loaded stays" in err
    assert out.endswith(counts(loaded=15))
    status, _, _ = ingest()
    assert status == 0
    assert stored(database) == whole()


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_goes_on_where_it_ended(ingest, server, database, sent):
    command = [sys.executable, "-m", "ta_lab2", "ingest", "ccxt", "binance", "BTC/USDT"]
    with subprocess.Popen(
        [*command, "--url", server.url, *NEW],
        env=os.environ | {"TA_LAB2_DATABASE_URL": database},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def kill(number):
            if number == 3:
                process.send_signal(sent)
                process.wait(60)

        server.before_answer = kill
        out, err = process.communicate(timeout=120)
    server.before_answer = lambda number: None
    assert stored(database) == whole()[:30]
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert out.endswith(counts(loaded=30))
        assert "interrupted; the same command goes on from here" in err
    server.asked.clear()
    status, out, _ = ingest(*NEW)
    assert status == 0
    assert server.starts()[0] == str(back(DAYS - 25))
    assert out.endswith(counts(loaded=10, unchanged=5, forming=1))
    assert stored(database) == whole()


def test_a_database_that_goes_away_leaves_what_was_stored(ingest, server, database):
    def end_sessions(number):
        if number == 3:
            rows(
                database,
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name = 'ta-lab2 ingest ccxt'",
            )

    server.before_answer = end_sessions
    status, out, err = ingest(*NEW)
    assert status != 0
    assert "terminating connection" in err
    assert out.endswith(counts(loaded=30))
    server.before_answer = lambda number: None
    assert ingest()[0] == 0
    assert stored(database) == whole()


def test_the_apps_role_may_do_all_of_it(ingest, server, database, monkeypatch):
    url = make_conninfo(database, options="-c role=ta_lab2_app")
    monkeypatch.setenv("TA_LAB2_DATABASE_URL", url)
    settings.cache_clear()
    assert ingest(*NEW)[0] == 0
    assert ingest("--again")[0] == 0


def test_a_bad_candle_is_kept_once_with_its_reason_and_stops_nothing(ingest, server, database):
    start = binance.milliseconds(back(3))
    server.candles[start] = [start, "1", "0.5", "0.4", "0.45", "1"]
    server.candles[binance.milliseconds(back(2))] = "garbage"
    ingest(*NEW, "--since", str(back(8)))
    status, out, err = ingest()
    assert status == 0
    assert out.endswith(counts(unchanged=5, rejected=2, forming=1))
    assert f"binance BTC/USDT {back(3)}: high is not the highest" in err
    assert "binance BTC/USDT without a date: candle unreadable" in err
    assert rows(database, "select raw, reason from bars.price_rejects order by reason") == [
        ('"garbage"', "candle unreadable"),
        (json.dumps(server.candles[start], separators=(",", ":")), "high is not the highest"),
    ]
    server.set(back(3))
    server.set(back(2))
    _, out, _ = ingest()
    assert out.endswith(counts(loaded=2, unchanged=5, forming=1))
    assert stored(database) == whole()[-8:]


def test_a_candle_given_twice_is_one_and_with_other_values_none(ingest, server, database):
    same, other = (binance.milliseconds(back(days)) for days in (20, 10))
    server.candles[same + 1] = server.candles[same]
    server.candles[other + 1] = [*server.candles[other][:5], "7"]
    server.candles[other + 2] = "nothing"
    server.candles[other + 3] = "nothing"
    status, out, err = ingest(*NEW)
    assert status == 0
    assert out.endswith(counts(loaded=DAYS - 1, unchanged=1, rejected=4, forming=1))
    assert f"{back(10)}: duplicate with other values" in err
    assert stored(database) == [day for day in whole() if day != back(10)]


def test_a_load_is_taken_back_and_read_again(ingest, server, database, capsys):
    server.most = 1000
    _, _, err = ingest(*NEW)
    load = err.split("--undo ")[1].split()[0]
    assert cli.run(["ingest", "--undo", load]) == 0
    assert stored(database) == []
    # The asset stays known, the history begins anew.
    status, out, _ = ingest()
    assert status == 0
    assert out.endswith(counts(loaded=DAYS, forming=1))


def test_another_sources_candles_are_compared_extended_or_switched(
    ingest, server, database, tmp_path, capsys
):
    day = back(DAYS - 1)
    prices.daily(tmp_path, f"{day},BTC,1,3,0.5,2,10")
    assert cli.run(["ingest", str(tmp_path)]) == 0
    status, out, err = ingest()
    assert status == 0
    assert out.endswith(counts(forming=1, other=DAYS))
    assert "come from coinmarketcap, these are binance's" in err
    _, out, _ = ingest("--extend")
    assert out.endswith(counts(loaded=DAYS - 1, forming=1, other=1))
    server.asked.clear()
    # What it stored of this source is where the next one goes on.
    ingest("--extend")
    assert server.starts() == [str(back(5))]
    _, out, _ = ingest("--switch", "--again")
    # Volumes too: what was added to coinmarketcap's candles got none.
    assert out.endswith(counts(revised=DAYS, forming=1))
    assert rows(database, "select source from bars.price_state") == [("binance",)]
    assert stored(database) == whole()


def test_a_ticker_that_one_asset_has_needs_no_id(ingest, server, database):
    with psycopg.connect(database) as conn:
        conn.execute("insert into bars.dim_assets (id, symbol, slug) values (7, 'btc', 'bitcoin')")
    status, out, _ = ingest()
    assert status == 0
    assert "asset 7 bitcoin" in out
    assert rows(database, "select symbol from bars.dim_assets") == [("btc",)]


def test_a_ticker_that_two_assets_have_needs_the_id_once(ingest, server, database):
    with psycopg.connect(database) as conn:
        conn.execute(
            "insert into bars.dim_assets (id, symbol, slug)"
            " values (7, 'BTC', 'bitcoin'), (8, 'BTC', 'other')"
        )
    status, _, err = ingest()
    assert status == 2
    assert "could be asset 7 (bitcoin) or 8 (other)" in err
    assert ingest("--asset-id", "7")[0] == 0
    assert ingest()[0] == 0
    assert stored(database, 8) == []


def test_another_market_of_the_asset_needs_a_switch(ingest, server, database):
    ingest(*NEW)
    server.symbols.append(binance.symbol("BTC", "USDC"))
    before = stored(database)
    status, _, err = ingest("--asset-id", "1", market="BTC/USDC")
    assert status == 2
    assert f"asset 1 has candles of ccxt:binance:BTC/USDT via {server.url}" in err
    assert "--switch" in err
    assert stored(database) == before
    assert ingest("--asset-id", "1", "--switch", market="BTC/USDC")[0] == 0


def test_what_cannot_be_meant_is_one_sentence_and_loads_nothing(ingest, database):
    with psycopg.connect(database) as conn:
        conn.execute("insert into bars.dim_assets (id, symbol, slug) values (9, 'R', 'right')")
    for words, said in (
        ((), "no asset is called BTC"),
        (("--asset-id", "1"), "there is no asset 1 yet, so it needs a name"),
        (("--asset-id", "1", "--slug", "Bit Coin"), "Bit Coin is no slug"),
        (("--asset-id", "1", "--slug", "right"), "asset 1 is not right"),
        (("--asset-id", "9", "--slug", "wrong"), "asset 9 is right, not wrong"),
        ((*NEW, "--since", "yesterday"), "--since yesterday is no date"),
        ((*NEW, "--since", "20200101"), "--since 20200101 is no date"),
        ((*NEW, "--since", "2020-02-30"), "--since 2020-02-30 is no date"),
        ((*NEW, "--since", "2999-01-01"), "--since 2999-01-01 lies in the future"),
        ((*NEW, "--extend", "--switch"), "--extend and --switch exclude each other"),
        ((*NEW, "--source", "binanc"), "there is no source binanc"),
        ((*NEW, "--source", "coinmarketcap"), "the volumes of coinmarketcap count US dollars"),
    ):
        status, out, err = ingest(*words)
        assert (status, out) == (2, ""), words
        assert f"error: {said}" in err
    status, _, err = ingest("--asset-id", "0")
    assert status == 2
    for table in ("loads", "price_staging", "cmc_price_histories7"):
        assert rows(database, f"select count(*) from bars.{table}") == [(0,)]


def test_an_exchange_without_a_candle_says_so(ingest, server, database):
    server.candles.clear()
    status, _, err = ingest(*NEW)
    assert status == 2
    assert "error: binance BTC/USDT: the exchange has no candle\n" in err
    status, _, err = ingest(*NEW, "--since", str(back(3)))
    assert status == 2
    assert rows(database, "select count(*) from bars.dim_assets") == [(0,)]
    assert f"no candle from {back(3)} on" in err


def test_clocks_that_differ_are_refused(ingest, server, database):
    for hours in (-3, 3):
        server.clock_is_off = timedelta(hours=hours)
        status, _, err = ingest(*NEW)
        assert status == 2
        assert "error: binance says it is" in err
        assert "the database says" in err
    assert stored(database) == []


def test_a_candle_that_begins_just_after_the_databases_now_is_no_reject(ingest, server, database):
    server.set(today() + timedelta(days=1))
    status, out, _ = ingest(*NEW)
    assert status == 0
    assert out.endswith(counts(loaded=DAYS, forming=1))


def test_a_candle_of_a_later_year_is_rejected_and_hides_nothing(ingest, server, database):
    start = binance.milliseconds(back(DAYS))
    far = binance.milliseconds(date(2999, 1, 1))
    server.candles[start] = [far, *server.candles[start][1:]]
    status, out, err = ingest(*NEW)
    assert status == 0
    assert out.endswith(counts(loaded=DAYS - 1, rejected=1, forming=1))
    assert "2999-01-01: future date" in err


def hours(conninfo) -> list[tuple[datetime, float]]:
    return rows(
        conninfo,
        "select c.ts, c.close from bars.intraday_candles as c"
        " where c.id = 1 and c.resolution = '1 hour' order by c.ts",
    )


def test_hourly_candles_are_loaded_beside_the_daily_ones_and_go_on_where_they_ended(
    ingest, server, database
):
    server.trade_hours(back(3), 48)
    status, out, err = ingest(*NEW, "--timeframe", "1h", "--since", str(back(3)))
    assert status == 0, err
    assert out.endswith(counts(loaded=48))
    assert [start for start, _ in hours(database)] == [
        datetime.combine(back(3), datetime.min.time(), UTC) + timedelta(hours=n) for n in range(48)
    ]
    begun = int(datetime.now(UTC).timestamp()) // 3600 * binance.HOUR
    for start in range(binance.milliseconds(back(1)), begun + 1, binance.HOUR):
        server.set_hour(start)
    asked = len(server.asked)
    status, out, err = ingest("--timeframe", "1h")
    assert status == 0, err
    new = (begun - binance.milliseconds(back(1))) // binance.HOUR
    # The last five are read again; the one that began last forms.
    assert out.endswith(counts(loaded=new, unchanged=5, forming=1))
    assert f"stored to {back(2)} 23:00" in err
    since = [
        int(given["startTime"]) for _, _, given in server.asked[asked:] if "startTime" in given
    ]
    assert min(since) == binance.milliseconds(back(1)) - 5 * binance.HOUR
    assert rows(database, "select s.source from bars.intraday_state as s") == [("binance",)]

    status, out, _ = ingest("--since", str(back(4)))
    assert out.endswith(counts(loaded=4, forming=1)), "the daily series begins by itself"
    assert len(hours(database)) == 48 + new
    assert len(stored(database)) == 4


def test_a_first_load_of_short_candles_says_where_to_begin(ingest, server):
    server.trade_hours(back(3), 48)
    status, _, err = ingest(*NEW, "--timeframe", "1h")
    assert status == 2
    assert "--since" in err
    assert not any(path.endswith("/klines") for _, path, _ in server.asked)


def test_a_length_that_is_not_kept_is_refused_before_anybody_is_asked(ingest, server):
    status, _, err = ingest(*NEW, "--timeframe", "4h")
    assert status == 2
    assert "1d, 1h, 30m" in err
    assert server.asked == []


def test_a_load_of_hourly_candles_is_taken_back(ingest, server, database):
    server.trade_hours(back(3), 10)
    _, _, err = ingest(*NEW, "--timeframe", "1h", "--since", str(back(3)))
    load = re.search(r"--undo (\S+)", err)[1]
    assert cli.run(["ingest", "--undo", load]) == 0
    assert hours(database) == []
    assert rows(database, "select s.source from bars.intraday_state as s") == [(None,)]
