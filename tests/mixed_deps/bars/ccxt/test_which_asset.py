"""Which asset and which source candles of a market are, and what cannot be meant."""

from __future__ import annotations

from datetime import timedelta

import psycopg

from ta_lab2 import cli
from tests.support import binance, prices
from tests.support.fetched import DAYS, NEW, back, counts, rows, stored, whole


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
