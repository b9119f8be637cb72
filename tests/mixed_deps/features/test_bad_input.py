"""Odd input, from the candles or the file to every table: a defined value or null, never NaN."""

from __future__ import annotations

import math
import re
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ta_lab2 import cli
from ta_lab2.features import queries
from tests.support import contract, prices
from tests.support.contract import EVERY

#: Twenty-seven centuries of days, and what one back-end may take for them.
BARS = 1_000_000
GIGABYTES = 8


@pytest.fixture
def conn(own_db, autocommit):
    """A database of the test's own, with an indicator of every kind."""
    conn = autocommit(own_db)
    contract.only(conn)
    conn.execute(
        """
        insert into features.dim_indicators (kind)
        select k.kind from indicators.kinds() as k
        on conflict do nothing
        """
    )
    return conn


def all_numbers_are_finite(conn):
    """Look at every number of every table, also those in arrays."""
    counted = 0
    for computation in EVERY:
        for row in conn.execute(f"select t.* from {computation.table} as t"):
            numbers = [x for x in row if isinstance(x, float)]
            numbers += [x for each in row if isinstance(each, list) for x in each if x is not None]
            assert all(map(math.isfinite, numbers)), (computation.table, row)
            counted += len(numbers)
    assert (
        conn.execute(
            "select count(*) from features.cmc_daily_features as f where f.extra::text ~* 'nan|inf'"
        ).fetchone()[0]
        == 0
    )
    return counted


def last(conn, columns):
    """Columns of the last row of the store."""
    return conn.execute(
        f"select {columns} from features.cmc_daily_features as f order by f.ts desc limit 1"
    ).fetchone()


def store_agrees(conn):
    """An increment ends in the bits of a full build here too."""
    found = contract.digest(conn)
    assert found == contract.full(conn)


@pytest.mark.parametrize("volume", [None, 0.0, 1e150])
def test_prices_that_never_move(conn, volume):
    contract.put(conn, 1, dict.fromkeys(range(300), 0.1), shape=0)
    conn.execute("update bars.cmc_price_histories7 set volume = %s", (volume,))
    contract.refresh(conn)
    assert all_numbers_are_finite(conn) > 300 * 50
    found = last(conn, "f.ret_pct_1, f.parkinson_20, f.z_parkinson_20, f.rsi_14, f.macd_12_26_9")
    assert found == pytest.approx((0, 0, None, 0, 0), abs=1e-15)
    assert last(conn, "f.stoch_k_14_3, f.bb_width_20_2, f.adx_14, f.ema_50") == pytest.approx(
        (0, 0, 0, 0.1), rel=1e-14
    )
    liquidity = "select distinct r.l2_liquidity from regimes.cmc_regimes_daily as r"
    if not volume:
        # A volume that nobody reported, or none at all, is not a low one.
        assert conn.execute(liquidity).fetchall() == [("Unknown",)]
    store_agrees(conn)


def test_volumes_of_nothing_in_a_market_that_moves(conn):
    contract.put(conn, 1, contract.history(200))
    conn.execute("update bars.cmc_price_histories7 set volume = 0")
    contract.refresh(conn)
    assert all_numbers_are_finite(conn) > 200 * 50
    (extra,) = last(conn, "f.extra")
    assert extra["obv"] == 0
    # Nothing was traded, so no price weighs anything.
    assert "vwap_20" not in extra
    store_agrees(conn)


def test_one_candle(conn):
    contract.put(conn, 1, {5: 50.0})
    contract.refresh(conn)
    all_numbers_are_finite(conn)
    for computation in contract.DAILY:
        assert len(contract.rows(conn, computation)) == 1
    assert last(conn, "f.close, f.is_gap, f.is_filled, f.rsi_14, f.parkinson_20") == (
        *(50, False, False, None, None),
    )
    store_agrees(conn)


def test_a_hole_of_48_days(conn):
    contract.put(conn, 1, {n: 50 + n % 9 for n in range(400) if not 300 <= n < 348})
    contract.refresh(conn)
    all_numbers_are_finite(conn)
    rows = conn.execute(
        """
        select
            count(*), count(f.close), count(f.ret_pct_1), count(f.ema_9), count(f.parkinson_20),
            count(f.rsi_14), bool_and(f.is_filled), min(f.available_at), max(f.available_at)
        from features.cmc_daily_features as f
        where f.is_gap
        """
    ).fetchone()
    assert rows == (48, 0, 0, 0, 48, 48, True, prices.ts(348), prices.ts(348))
    store_agrees(conn)


def test_numbers_of_a_file_that_are_none_reach_no_table(own_db, autocommit, tmp_path, means):
    means(own_db)
    conn = autocommit(own_db)
    contract.only(conn)
    odd = ("NaN", "Infinity", "-inf", "1e400", "nan", "")
    lines = [f"2020-01-{n:02},BTC,1,3,0.5,2,10" for n in range(1, 29)]
    lines += [f"2020-02-{n:02},BTC,1,{word},0.5,2,10" for n, word in enumerate(odd, 1)]
    lines += [f"2020-03-{n:02},BTC,1,3,0.5,2,{word}" for n, word in enumerate(odd[:5], 1)]
    path = prices.daily(tmp_path, *lines)
    assert cli.run(["ingest", str(path)]) == 0
    stored = conn.execute("select count(*) from bars.cmc_price_histories7").fetchone()
    rejected = conn.execute("select count(*) from bars.price_rejects").fetchone()
    assert (stored, rejected) == ((28,), (11,))
    contract.refresh(conn)
    assert all_numbers_are_finite(conn) > 28 * 10


def test_a_parameter_that_cannot_be_is_refused_for_every_kind(tx):
    tried = 0
    for kind, parameters in tx.execute("select k.kind, k.parameters from indicators.kinds() as k"):
        for name, rule in parameters.items():
            # A displacement of 0 is one.
            least = () if rule["min"] == 0 else (0,)
            for value in (*least, -1, 10000, "28", "text", None, [14], math.nan, 1e308):
                given = Jsonb({name: value}) if value == value else f'{{"{name}": NaN}}'
                with (
                    tx.transaction(force_rollback=True),
                    pytest.raises(psycopg.Error) as caught,
                ):
                    tx.execute(
                        "insert into features.dim_indicators (kind, params) values (%s, %s)",
                        (kind, given),
                    )
                # NaN is no JSON, and refused before it is looked at.
                assert caught.value.sqlstate in ("TA304", "TA305", "22P02"), (kind, name, value)
                tried += 1
    assert tried > 150
    assert tx.execute("select count(*) from features.dim_indicators").fetchone() == (9,)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_an_asset_of_a_million_candles_is_worked_out_in_bounded_memory(own_db, autocommit):
    conn = autocommit(own_db)
    contract.only(conn, ())
    prices.put(conn, 1, {})
    conn.execute(
        """
        insert into bars.cmc_price_histories7 (id, ts, open, high, low, close, volume)
        select
            1,
            timestamptz '0002-01-01 23:59:59.999+00' + n * interval '24 hours',
            100 + n %% 7, 110 + n %% 7, 50 - n %% 5, 100 + n %% 1000 * 7919 %% 101 / 10.0, n %% 13
        from generate_series(1, %s) as n
        """,
        (BARS,),
    )
    worker = autocommit(own_db)
    queries.refresh(worker)
    for computation in contract.DAILY:
        (rows,) = conn.execute(f"select count(*) from {computation.table}").fetchone()
        assert rows == BARS
    assert conn.execute(
        """
        select count(*)
        from features.cmc_daily_features as f
        where 'NaN' in (f.ret_pct_1, f.z_parkinson_20, f.rsi_14, f.adx_14, f.macd_hist_12_26_9)
        """
    ).fetchone() == (0,)
    status = Path(f"/proc/{worker.info.backend_pid}/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert found
        assert int(found[1]) < GIGABYTES * 2**20
