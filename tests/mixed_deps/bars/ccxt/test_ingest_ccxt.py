"""``ta-lab2 ingest ccxt`` as it is typed, against a server that speaks Binance's protocol."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import date, timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ta_lab2 import cli
from tests.support import binance
from tests.support.fetched import DAYS, NEW, back, counts, rows, stored, today, whole


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


def test_the_apps_role_may_do_all_of_it(ingest, server, database, means):
    means(make_conninfo(database, options="-c role=ta_lab2_app"))
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
