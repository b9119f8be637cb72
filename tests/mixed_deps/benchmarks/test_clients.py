"""The benchmarks' clients write what a refresh does, on markets so small that nothing is timed."""

from __future__ import annotations

import pytest

from benchmarks import ladder, ladder_clients, pipeline, pipeline_clients, qlib, rows
from tests.support import contract

ASSETS, DAYS = 2, 320


@pytest.fixture
def conn(own_db, autocommit):
    """A connection to a database of the test's own."""
    return autocommit(own_db)


@pytest.mark.parametrize("client", [pipeline_clients.usual, pipeline_clients.best])
def test_the_pipeline_s_clients_write_what_a_refresh_does(conn, client):
    pipeline.load(conn, ASSETS, DAYS)
    pipeline.refresh(conn)
    rows.keep(conn, pipeline_clients.TABLES)
    rows.empty(conn, pipeline_clients.TABLES)
    client(conn)
    assert rows.furthest(conn, pipeline_clients.TABLES) < pipeline.AGREEMENT


@pytest.mark.parametrize("client", [ladder_clients.usual, ladder_clients.best])
def test_the_ladder_s_clients_write_what_a_refresh_does(conn, client):
    ladder.load(conn, ASSETS, DAYS)
    contract.only(conn)
    ladder.refresh(conn)
    rows.keep(conn, ladder_clients.TABLES)
    rows.empty(conn, ladder_clients.TABLES)
    client(conn)
    assert rows.furthest(conn, ladder_clients.TABLES) < ladder.AGREEMENT


def test_a_client_that_finds_the_rows_there_writes_none(conn):
    pipeline.load(conn, ASSETS, DAYS)
    pipeline_clients.best(conn)
    versions = "select max(f.xmin::text::bigint) from features.cmc_daily_features as f"
    before = conn.execute(versions).fetchone()
    pipeline_clients.best(conn)
    assert conn.execute(versions).fetchone() == before


def test_the_floor_puts_the_same_rows_back(conn):
    pipeline.load(conn, ASSETS, 40)
    pipeline.refresh(conn)
    rows.keep(conn, pipeline_clients.TABLES)
    with rows.packed(conn, pipeline_clients.TABLES) as files:
        rows.empty(conn, pipeline_clients.TABLES)
        rows.floor(conn, files)
    assert rows.furthest(conn, pipeline_clients.TABLES) == 0


@pytest.mark.parametrize(
    "change",
    [
        "update kept.cmc_vol_daily set parkinson_20 = null where id = 1 and parkinson_20 > 0",
        "update kept.cmc_vol_daily set is_gap = true",
        "delete from kept.cmc_vol_daily where id = 2",
        "update kept.cmc_ema_multi_tf set ema[3] = null",
    ],
    ids=["a null", "a flag", "a row", "a null of an array"],
)
def test_rows_that_are_others_are_found(conn, change):
    pipeline.load(conn, ASSETS, 40)
    pipeline.refresh(conn)
    rows.keep(conn, pipeline_clients.TABLES)
    conn.execute(change)
    with pytest.raises(AssertionError, match="are others"):
        rows.furthest(conn, pipeline_clients.TABLES)


def test_a_number_that_is_another_is_found(conn):
    pipeline.load(conn, ASSETS, 40)
    pipeline.refresh(conn)
    rows.keep(conn, pipeline_clients.TABLES)
    conn.execute("update kept.cmc_daily_features set rsi_14 = rsi_14 * 1.01")
    assert rows.furthest(conn, pipeline_clients.TABLES) == pytest.approx(0.01, rel=0.02)


def test_the_factors_of_the_database_are_those_of_pandas(conn, monkeypatch):
    monkeypatch.setattr(qlib, "ASSETS", ASSETS)
    monkeypatch.setattr(qlib, "DAYS", DAYS)
    ladder.load(conn, ASSETS, DAYS)
    conn.execute(qlib.KERNEL)
    conn.execute("call public.refresh_features(p_steps => %s)", (qlib.STEPS,))
    factors = qlib.from_candles(conn)
    assert list(factors) == [*qlib.KEYS, *qlib.FACTORS]
    assert qlib.furthest(factors, qlib.one_by_one(conn)) < qlib.AGREEMENT
    assert qlib.furthest(qlib.with_pandas(conn), factors) < qlib.DRIFT
    assert qlib.stored(conn).shape == factors.shape
