"""EMAs from candles over bars to rows: every timeframe, periods that come, and odd markets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import talib

from ta_lab2.features import queries
from tests.support import contract, naive, prices

PERIODS = [6, 9, 10, 12, 14, 17, 20, 21, 26, 30, 50, 52, 77, 100, 200, 252, 365]


def refresh(conn, asset=1) -> int:
    """Rows written."""
    conn.execute(
        "insert into features.refresh_state (id) values (%s) on conflict do nothing", [asset]
    )
    return conn.execute(
        "select c.rows_written from features.refresh_asset(%s) as c", (asset,)
    ).fetchone()[0]


def emas(conn, tf="1D", asset=1):
    """The arrays of one series, oldest first."""
    found = conn.execute(
        """
        select e.ema
        from features.cmc_ema_multi_tf as e
        join timemodel.dim_timeframe as t using (tf_id)
        where e.id = %s and t.tf = %s
        order by e.time_close
        """,
        (asset, tf),
    )
    return [row[0] for row in found]


def walk(days: int) -> dict[int, float]:
    """Closes of a random walk with gaps."""
    steps = np.random.default_rng(3).normal(0, 0.03, days).cumsum().tolist()
    return {n: 100 * math.exp(x) for n, x in enumerate(steps) if n % 97 != 7}


def test_every_timeframe_has_ta_lib_s_averages_of_its_bars(tx):
    contract.put(tx, 1, walk(1500))
    refresh(tx)
    series: dict[int, list[tuple[float, list[float | None]]]] = {}
    for tf_id, close, ema in tx.execute(
        """
        select tf_id, b.close, e.ema
        from bars.cmc_price_bars_multi_tf as b
        left join features.cmc_ema_multi_tf as e using (id, tf_id, time_close)
        order by tf_id, time_close
        """
    ):
        series.setdefault(tf_id, []).append((close, ema))
    assert len(series) == 199
    for rows in series.values():
        closes = np.array([close for close, _ in rows])
        found = np.array([ema for _, ema in rows], dtype=float)
        for slot, period in enumerate(PERIODS):
            expected = talib.EMA(closes, period) if len(closes) > 1 else np.full(1, np.nan)
            np.testing.assert_allclose(found[:, slot], expected, rtol=1e-12, atol=0)
    count = tx.execute("select count(*) from features.cmc_ema_multi_tf").fetchone()[0]
    assert count == sum(map(len, series.values()))


@pytest.mark.parametrize("scale", [1e-10, 1e12])
def test_prices_of_any_size_are_averaged(tx, scale):
    contract.only(tx, ["1D"])
    closes = [(100 + n % 7) * scale for n in range(40)]
    contract.put(tx, 1, dict(enumerate(closes)))
    refresh(tx)
    expected = naive.ema(closes, 9)
    assert [row[1] for row in emas(tx)] == [
        x if x is None else pytest.approx(x, rel=1e-14) for x in expected
    ]


def test_one_single_candle_has_a_row_and_no_average(tx):
    prices.put(tx, 1, {0: 5.0})
    refresh(tx)
    assert emas(tx) == [[None] * 17]
    prices.drop(tx, 1, [0])
    refresh(tx)
    assert emas(tx) == []


def test_one_asset_never_touches_another(tx):
    contract.only(tx, ["1D"])
    for asset in (1, 2):
        prices.put(tx, asset, dict.fromkeys(range(8), asset * 10.0))
    refresh(tx, 1)
    assert emas(tx, asset=2) == []
    refresh(tx, 2)
    assert emas(tx)[-1][0] == 10.0
    assert emas(tx, asset=2)[-1][0] == 20.0


def test_a_new_day_reads_what_it_needs(tx):
    """Timeframes go on from one row; only the mean that a period begins with is of earlier bars."""
    contract.only(tx, ["1D", "7D"])
    contract.put(tx, 1, contract.history(700, without=1000))
    refresh(tx)
    tx.execute("delete from bars.dirty_range")
    done = "select d.* from features.refresh_emas('{1}', %s) as d"
    columns = ("rows_read", "rows_written", "rows_unchanged")
    # A bar of 1D. Day 699 ends the hundredth week, with which the period 100 begins.
    for day, expected in (
        (691, (9 + 2 + 98, 0, 11)),
        (698, (2 + 1 + 99, 0, 3)),
        (699, (1 + 1 + 99, 0, 2)),
    ):
        row = tx.execute(done, ([prices.ts(day)],)).fetchone()
        assert row[1:4] == expected, columns


def test_a_period_that_is_inserted_fills_its_slot_and_keeps_the_other_bits(own_db, autocommit):
    conn = autocommit(own_db)
    contract.only(conn, ["1D", "1W_CAL_ISO"])
    for asset in (1, 2):
        contract.put(conn, asset, contract.history(120, asset))
    contract.refresh(conn)
    before = emas(conn)
    slot = conn.execute(
        "insert into features.dim_ema_periods (period) values (33) returning slot"
    ).fetchone()[0]
    assert slot == 18
    lines: list[str] = []
    queries.refresh(conn, dry_run=True, on_notice=lines.append)
    assert lines[-1].endswith("2 computations are due, nothing was written")
    count = conn.execute("select count(*) from features.cmc_ema_multi_tf").fetchone()[0]
    assert contract.written(contract.refresh(conn)) == count
    after = emas(conn)
    assert [row[:17] for row in after] == before
    closes = list(contract.history(120, 1).values())
    expected = naive.ema(closes, 33)
    assert [row[17] for row in after] == [
        x if x is None else pytest.approx(x, rel=1e-12) for x in expected
    ]
    assert contract.written(contract.refresh(conn)) == 0
    incremental = contract.digest(conn)
    assert incremental == contract.full(conn)


def test_a_slot_whose_period_goes_is_a_hole_that_stays(tx):
    contract.only(tx, ["1D"])
    contract.put(tx, 1, contract.history(60))
    refresh(tx)
    before = emas(tx)
    contract.unread(tx)
    tx.execute("delete from features.dim_ema_periods where slot = 2")
    # Rows of the EMAs, and as many of the store, which has that period too.
    assert refresh(tx) == 2 * sum(row[1] is not None for row in before)
    assert emas(tx) == [[row[0], None, *row[2:]] for row in before]
    # With it the series goes on, and a period that comes never takes its place.
    contract.put(tx, 1, {60: 70.0})
    (slot,) = tx.execute(
        "insert into features.dim_ema_periods (period) values (9) returning slot"
    ).fetchone()
    refresh(tx)
    assert emas(tx)[-1][1] is None
    assert [row[slot - 1] for row in emas(tx)[:-1]] == [row[1] for row in before]
    tx.execute("delete from features.dim_ema_periods")
    refresh(tx)
    assert emas(tx) == []


def test_a_timeframe_that_is_inserted_has_its_averages_at_the_next_refresh(tx):
    contract.only(tx, ["1D"])
    contract.put(tx, 1, contract.history(300, without=1000))
    refresh(tx)
    before = emas(tx)
    tx.execute(
        """
        insert into timemodel.dim_timeframe (
            tf, alignment, base_unit, tf_qty, tf_days, tf_days_min, tf_days_max
        )
        values ('33D', 'trading', 'D', 33, 33, 33, 33)
        """
    )
    # Bars and EMAs.
    assert refresh(tx) == 9 + 9
    assert emas(tx) == before
    closes = [contract.history(300, without=1000)[n] for n in range(32, 300, 33)]
    expected = naive.ema(closes, 6)
    assert [row[0] for row in emas(tx, "33D")] == [
        x if x is None else pytest.approx(x, rel=1e-12) for x in expected
    ]


def test_a_plan_made_for_an_empty_table_still_serves_a_full_one(own_db, autocommit):
    conn = autocommit(own_db)
    for asset in (1, 2, 3):
        contract.put(conn, asset, walk(800))
    conn.execute("vacuum analyze features.cmc_ema_multi_tf")
    queries.refresh(conn)
    conn.execute("select pg_stat_force_next_flush()")
    scans = conn.execute(
        """
        select t.seq_scan
        from pg_stat_user_tables as t
        where t.relid = 'features.cmc_ema_multi_tf'::regclass
        """
    ).fetchone()[0]
    assert conn.execute("select count(*) from features.cmc_ema_multi_tf").fetchone()[0] > 20_000
    # With such a plan each asset scans it 199 times, once for each timeframe.
    assert scans <= 10
