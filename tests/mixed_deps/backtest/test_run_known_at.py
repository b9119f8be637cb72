"""``run_backtest(p_known_at => ...)``: a run on the data as they stood."""

from __future__ import annotations

import pytest

from ta_lab2.backtest import errors
from tests.support import markets, prices
from tests.support.runs import call, row

DIGESTS = ("inputs_digest", "machinery_digest", "result_digest")


@pytest.mark.parametrize("signal", ["ema_9_21_long", "rsi_30_70_mr", "atr_20_donchian"])
def test_a_run_can_be_repeated_on_the_data_as_they_stood(own_db, autocommit, signal):
    """Candles are revised, deleted and added since, and an asset comes to the universe."""
    markets.make(own_db)
    conn = autocommit(own_db)
    before = row(conn, call(conn, signal))
    conn.execute(
        "update bars.cmc_price_histories7 set open = open * 1.0001, close = low"
        " where id in (1, 4) and ts = any (%s)",
        ([prices.ts(100), prices.ts(200), prices.ts(420)],),
    )
    prices.drop(conn, 2, [150, 300])
    markets.put(conn, 5, 15, 0, 100)

    again = row(conn, call(conn, signal, known_at=before["data_at"]))
    markets.refresh(conn)
    once_more = row(conn, call(conn, signal, known_at=before["data_at"]))
    after = row(conn, call(conn, signal, asset_ids=before["asset_ids"]))

    assert again["data_at"] == again["known_at"] == before["data_at"]
    for repeat in (again, once_more):
        assert [repeat[name] for name in DIGESTS] == [before[name] for name in DIGESTS]
    assert after["data_at"] > before["data_at"]
    assert after["inputs_digest"] != before["inputs_digest"]
    assert after["result_digest"] != before["result_digest"]
    assert after["machinery_digest"] == before["machinery_digest"]


def test_what_is_stored_is_what_is_known_now(market):
    stored = row(market, call(market))
    known = row(market, call(market, known_at=stored["data_at"]))

    assert [known[name] for name in DIGESTS] == [stored[name] for name in DIGESTS]
    assert known["asset_ids"] == stored["asset_ids"]


def test_nothing_is_known_before_the_first_load(market):
    with pytest.raises(errors.NoAssetToTrade, match="no asset to trade") as raised:
        call(market, known_at=prices.ts(0))
    assert "No prices were known" in raised.value.detail
