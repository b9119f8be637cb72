"""A run is there whole or not at all: deleted, beside another, killed."""

from __future__ import annotations

import threading
import time
import uuid

import psycopg
import pytest

from tests.support.runs import EMA, call, row


def test_a_deleted_run_takes_all_of_it_along(market):
    gone, kept = call(market), call(market)
    market.execute("delete from backtest.runs where run_id = %s", (gone,))
    market.execute("set constraints all immediate")

    for table in ("trades", "equity", "metrics", "run_segments"):
        found = market.execute(f"select distinct run_id from backtest.{table}").fetchall()
        assert found == [(kept,)], table


def test_two_runs_at_once_are_both_whole(market_db, autocommit):
    first, second = autocommit(market_db), autocommit(market_db)
    found = []
    threads = [
        threading.Thread(target=lambda conn=conn: found.append(call(conn)))
        for conn in (first, second)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    digests = {row(first, run)["result_digest"] for run in found}
    first.execute("delete from backtest.runs where run_id = any (%s)", (found,))
    assert len(found) == 2
    assert len(digests) == 1


@pytest.mark.parametrize("table", ["equity", "trades", "run_segments", "metrics", "runs"])
def test_a_killed_run_leaves_nothing(market_db, autocommit, table):
    """It is killed while it waits to write that table."""
    holder, victim, witness = (autocommit(market_db) for _ in range(3))
    run = uuid.uuid4()
    failures = []

    def work():
        try:
            victim.execute("call run_backtest(%s, p_run_id => %s)", (EMA, run))
        except psycopg.OperationalError as error:
            failures.append(error)

    with holder.transaction():
        holder.execute(f"lock table backtest.{table} in share mode")
        thread = threading.Thread(target=work)
        thread.start()
        pid = victim.info.backend_pid
        for _ in range(300):
            (waits,) = witness.execute(
                "select exists (select from pg_locks as l where l.pid = %s and not l.granted)",
                (pid,),
            ).fetchone()
            if waits:
                break
            time.sleep(0.1)
        assert waits
        witness.execute("select pg_terminate_backend(%s)", (pid,))
        thread.join()

    assert len(failures) == 1
    for each in ("runs", "trades", "equity", "metrics", "run_segments"):
        left = witness.execute(
            f"select count(*) from backtest.{each} where run_id = %s", (run,)
        ).fetchone()
        assert left == (0,), each
