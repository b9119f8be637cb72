"""One asset's returns as they are stored: what the kernel's own tests can't see."""

from __future__ import annotations

import math

import psycopg
import pytest

from ta_lab2.features.tables import cmc_returns_daily
from tests.support import contract, naive, prices
from tests.support.contract import history

COLUMNS = [column.name for column in cmc_returns_daily.columns]


def bits(conn, asset):
    return dict(
        conn.execute(
            "select r.ts, record_send(r) from features.cmc_returns_daily as r where r.id = %s",
            (asset,),
        ).fetchall()
    )


def refresh(conn, asset=1) -> int:
    """Bring the asset up to date; how many rows came, went or changed."""
    contract.only(conn, ())
    before = bits(conn, asset)
    conn.execute(
        "insert into features.refresh_state (id) values (%s) on conflict do nothing", [asset]
    )
    conn.execute("select features.refresh_asset(%s)", (asset,))
    after = bits(conn, asset)
    return sum(before.get(ts) != after.get(ts) for ts in before.keys() | after.keys())


def returns(conn, asset=1):
    found = conn.execute(
        "select r.* from features.cmc_returns_daily as r where r.id = %s order by r.ts", (asset,)
    )
    return {row[1]: dict(zip(COLUMNS, row, strict=True)) for row in found}


def test_the_kernel_writes_the_columns_in_the_table_s_order(tx):
    columns = tx.execute("select * from features.cmc_returns_daily limit 0").description
    assert [column.name for column in columns] == COLUMNS


def test_returns_match_the_worked_example(tx):
    prices.put(tx, 1, {0: 100.0, 1: 110.0, 2: 99.0, 4: 99.0})
    assert refresh(tx) == 5
    found = returns(tx)
    assert [found[prices.ts(n)]["ret_pct_1"] for n in range(5)] == [
        None,
        pytest.approx(0.1),
        pytest.approx(-0.1),
        None,
        None,
    ]
    assert found[prices.ts(1)]["ret_log_1"] == pytest.approx(0.0953101798043249)
    assert found[prices.ts(4)]["ret_pct_3"] == pytest.approx(-0.1)
    assert [found[prices.ts(n)]["is_gap"] for n in range(5)] == [False, False, False, True, False]
    assert [found[prices.ts(n)]["gap_days"] for n in range(5)] == [None, 1, 1, None, 2]
    assert all(row["available_at"] == ts for ts, row in found.items())


def test_stored_rows_agree_with_the_slow_way(tx):
    closes = history(500)
    prices.put(tx, 1, closes)
    refresh(tx)
    expected = naive.returns(closes)
    found = returns(tx)
    assert found.keys() == {prices.ts(n) for n in expected}
    for number, row in expected.items():
        for name, value in row.items():
            got = found[prices.ts(number)][name]
            if isinstance(value, float):
                assert math.isclose(got, value, rel_tol=1e-9, abs_tol=1e-14), (number, name)
            else:
                assert got == value, (number, name)


def test_the_last_candle_takes_the_gap_before_it_along(tx):
    prices.put(tx, 1, {0: 1.0, 1: 2.0, 5: 3.0})
    assert refresh(tx) == 6
    prices.drop(tx, 1, [5])
    assert refresh(tx) == 4
    assert list(returns(tx)) == [prices.ts(0), prices.ts(1)]
    prices.drop(tx, 1, [0])
    # Its own row, and the next day has nothing to compare with.
    assert refresh(tx) == 2
    prices.drop(tx, 1, [1])
    assert refresh(tx) == 1
    assert returns(tx) == {}
    assert refresh(tx) == 0
    prices.put(tx, 1, {3: 1.0})
    assert refresh(tx) == 1


def test_the_session_time_zone_plays_no_part(tx):
    # 2021-03-14 has 23 hours in New York.
    prices.put(tx, 1, {number: 100.0 + number for number in range(120)})
    refresh(tx)
    tx.execute("set local timezone = 'America/New_York'")
    rebuilt = tx.execute("select c.rows_written from features.refresh_asset(1, true) as c")
    assert rebuilt.fetchone() == (0,)


def test_one_asset_never_touches_another(tx):
    prices.put(tx, 1, {0: 1.0, 1: 2.0})
    prices.put(tx, 2, {0: 5.0, 1: 4.0})
    refresh(tx, 1)
    assert returns(tx, 2) == {}
    refresh(tx, 2)
    assert returns(tx, 1)[prices.ts(1)]["ret_pct_1"] == 1.0
    assert returns(tx, 2)[prices.ts(1)]["ret_pct_1"] == pytest.approx(-0.2)


def test_another_arithmetic_works_everything_out_anew_and_says_so(tx):
    prices.put(tx, 1, history(300))
    rows = refresh(tx)
    tx.execute("update features.cmc_returns_daily set ret_pct_1 = 42 where ret_pct_1 is not null")
    assert refresh(tx) == 0
    heard = []
    tx.add_notice_handler(lambda diag: heard.append(diag.message_primary))
    tx.execute(
        "update features.feature_state set fingerprint = 'of another machine'"
        " where feature_type = 'returns'"
    )
    assert 0 < refresh(tx) < rows
    assert heard == [
        "refresh_features: asset 1: returns rebuilt, their arithmetic or configuration changed"
    ]
    assert refresh(tx) == 0


def test_a_candle_outside_the_sessions_is_refused_by_name(tx):
    prices.put(tx, 1, {0: 1.0, 1: 2.0})
    tx.execute("update bars.cmc_price_histories7 set ts = ts - interval '1 hour' where close = 2")
    with pytest.raises(psycopg.Error, match="belongs to no session") as caught:
        refresh(tx)
    assert caught.value.sqlstate == "TA404"
    assert "2020-12-09T22:59:59" in caught.value.diag.message_detail
