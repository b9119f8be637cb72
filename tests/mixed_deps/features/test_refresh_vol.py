"""One asset's volatilities as they are stored: what the kernel's own tests can't see."""

from __future__ import annotations

import math

import psycopg
import pytest

from ta_lab2.features.tables import cmc_vol_daily
from tests.support import contract, naive, prices

COLUMNS = [column.name for column in cmc_vol_daily.columns]


def refresh(conn, asset=1):
    conn.execute(
        "insert into features.refresh_state (id) values (%s) on conflict do nothing", [asset]
    )
    conn.execute("select features.refresh_asset(%s)", (asset,))


def volatilities(conn, asset=1):
    found = conn.execute(
        "select v.* from features.cmc_vol_daily as v where v.id = %s order by v.ts", (asset,)
    )
    return {row[1]: dict(zip(COLUMNS, row, strict=True)) for row in found}


def test_the_kernel_writes_the_columns_in_the_table_s_order(tx):
    columns = tx.execute("select * from features.cmc_vol_daily limit 0").description
    assert [column.name for column in columns] == COLUMNS


def test_stored_rows_agree_with_the_slow_way(tx):
    closes = contract.history(330)
    contract.put(tx, 1, closes)
    refresh(tx)
    candles = {n: contract.candle(1, n, close, 1)[2:6] for n, close in closes.items()}
    expected = naive.volatilities(candles)
    found = volatilities(tx)
    assert found.keys() == {prices.ts(n) for n in expected}
    for number, row in expected.items():
        got = found[prices.ts(number)]
        assert got["available_at"] == prices.ts(number)
        for name, value in row.items():
            if isinstance(value, float):
                assert math.isclose(got[name], value, rel_tol=1e-9, abs_tol=1e-14), (number, name)
            else:
                assert got[name] == value, (number, name)


def test_volatilities_match_the_worked_example(tx):
    # Every candle doubles and halves: the logarithms are those of 4, of 2 and of 1/2.
    prices.put(tx, 1, {})
    for n in range(21):
        tx.execute(
            """
            insert into bars.cmc_price_histories7 (id, ts, open, high, low, close)
            values (1, %s, 100, 200, 50, 100)
            """,
            (prices.ts(n),),
        )
    refresh(tx)
    last = volatilities(tx)[prices.ts(20)]
    two = math.log(2)
    assert last["parkinson_20"] == pytest.approx(math.sqrt(365 * two))
    assert last["garman_klass_20"] == pytest.approx(math.sqrt(365 * 2) * two)
    assert last["rogers_satchell_20"] == pytest.approx(math.sqrt(365 * 2) * two)
    assert last["close_to_close_20"] == 0
    assert last["atr_14"] == 150
    assert last["parkinson_63"] is None


def test_the_last_candle_takes_the_gap_before_it_along(tx):
    contract.put(tx, 1, {n: 5.0 + n for n in range(20)} | {24: 7.0})
    refresh(tx)
    found = volatilities(tx)
    assert list(found) == [prices.ts(n) for n in range(25)]
    gap = {"is_gap": True, "is_filled": True}
    for n in range(20, 24):
        moment = {"ts": prices.ts(n), "available_at": prices.ts(n)}
        assert found[prices.ts(n)] == found[prices.ts(19)] | moment | gap
    prices.drop(tx, 1, [24])
    refresh(tx)
    assert volatilities(tx) == {ts: row for ts, row in found.items() if ts <= prices.ts(19)}


def test_another_year_works_out_every_asset_of_the_session_anew(tx):
    contract.put(tx, 1, contract.history(40))
    refresh(tx)
    before = volatilities(tx)
    due = "select count(*) from bars.dirty_range as d where d.consumer = 'volatility'"
    tx.execute("update timemodel.dim_sessions set annualisation_days = annualisation_days")
    assert tx.execute(due).fetchone() == (0,)
    tx.execute(
        "update timemodel.dim_sessions set annualisation_days = 91 where session_id = 'CRYPTO'"
    )
    refresh(tx)
    for ts, row in volatilities(tx).items():
        assert row["atr_14"] == before[ts]["atr_14"]
        for name in ("parkinson_20", "close_to_close_20"):
            expected = before[ts][name] and before[ts][name] * math.sqrt(91 / 365)
            assert row[name] == (expected and pytest.approx(expected))


def test_rows_that_somebody_deleted_are_no_state_to_go_on_from(tx):
    closes = contract.history(400)
    contract.put(tx, 1, closes)
    refresh(tx)
    before = volatilities(tx)
    last = max(closes)
    prices.drop(tx, 1, [last])
    refresh(tx)
    tx.execute("delete from features.cmc_vol_daily as v where v.ts >= %s", (prices.ts(last - 1),))
    contract.put(tx, 1, {last: closes[last]})
    refresh(tx)
    assert volatilities(tx)[prices.ts(last)] == before[prices.ts(last)]


def test_prices_beyond_numbers_are_refused_by_name(tx):
    contract.put(tx, 1, contract.history(30))
    tx.execute(
        """
        update bars.cmc_price_histories7 set open = 1e-300, high = 1e300, low = 1e-300 where ts = %s
        """,
        (prices.ts(3),),
    )
    with pytest.raises(psycopg.Error, match="beyond what a number can hold") as caught:
        refresh(tx)
    assert caught.value.sqlstate == "TA409"
    assert "2020-12-11" in caught.value.diag.message_detail
