"""Candles shorter than a day, from an exchange."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ta_lab2 import cli
from tests.support import binance
from tests.support.fetched import NEW, back, counts, rows, stored


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
