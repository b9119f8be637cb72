"""Refreshes that are killed, that meet candles on their way, and that meet each other."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.support import intraday
from tests.support.contract import broken, wait_for_sleep
from tests.support.intraday import LENGTH, as_naive, candle, digest, full, history, refresh, written

ROLL_UP = "functions/bars/roll_up_intraday.sql"


def test_a_killed_refresh_loses_nothing(connect):
    conn = connect()
    for asset in range(1, 5):
        intraday.put(conn, asset, history(LENGTH, asset))
    began = time.perf_counter()
    expected = full(conn)
    duration = time.perf_counter() - began
    chance = random.Random(1)
    stopped = 0
    for turn in range(6):
        salt = turn % 2 + 2
        for asset in range(1, 5):
            intraday.put(conn, asset, history(LENGTH, asset * salt))
        victim = connect()
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(refresh, victim)
            time.sleep(chance.uniform(0, duration))
            conn.execute("select pg_terminate_backend(%s)", (victim.info.backend_pid,))
            stopped += isinstance(run.exception(), psycopg.OperationalError)
        refresh(conn)
        found = digest(conn)
        assert found == full(conn)
    for asset in range(1, 5):
        intraday.put(conn, asset, history(LENGTH, asset))
    refresh(conn)
    assert digest(conn) == expected
    assert stopped, "no kill came while the refresh ran"


@pytest.mark.parametrize("step", ["    for v_span in\n", "    return next;"])
def test_a_roll_up_killed_before_a_step_loses_nothing(kept, connect, step):
    victim = connect()
    intraday.put(kept, 1, history())
    refresh(kept)
    intraday.put(kept, 1, {5: candle(5), 400: candle(401)})
    broken(kept, ROLL_UP, (step, f"    perform pg_sleep(60);\n{step}"))
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, victim)
        wait_for_sleep(kept, victim.info.backend_pid)
        assert refresh(kept) == "refresh_intraday: another session is at it, nothing was done"
        kept.execute("select pg_terminate_backend(%s)", (victim.info.backend_pid,))
        assert isinstance(run.exception(), psycopg.OperationalError)
    broken(kept, ROLL_UP)
    assert written(refresh(kept)) == 4
    found = digest(kept)
    assert found == full(kept)
    ended = kept.execute(
        """
        select w.status, count(*) from observability.workflow_state as w
        where w.type = 'refresh_intraday' group by w.status order by 1
        """
    ).fetchall()
    assert ended == [("abandoned", 1), ("done", 3)]


def test_candles_that_come_while_a_refresh_runs_are_not_overlooked(kept, connect):
    slow = connect()
    intraday.put(kept, 1, history())
    step = "    return next;"
    broken(kept, ROLL_UP, (step, f"    perform pg_sleep(1);\n{step}"))
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, slow)
        wait_for_sleep(kept, slow.info.backend_pid)
        intraday.put(kept, 1, {5: candle(5), 400: candle(401), LENGTH: candle(1)})
        run.result()
    broken(kept, ROLL_UP)
    refresh(kept)
    found = digest(kept)
    assert found == full(kept)


def wait_for_lock(conn, session, run) -> None:
    """Return when that session waits for another one, or when its run has ended without."""
    waiting = """
        select from pg_stat_activity as a where a.pid = %s and a.wait_event_type = 'Lock'
    """
    for _ in range(1500):
        if run.done() or conn.execute(waiting, (session.info.backend_pid,)).rowcount:
            return
        time.sleep(0.02)
    raise AssertionError("the session never came to where it waits")


def test_two_roll_ups_of_one_asset_follow_each_other(kept, connect):
    """The slower one must not put bars of older candles over newer ones."""
    slow, other = connect(), connect()
    intraday.put(kept, 1, history())
    # Between what the statement reads and what it writes: once, not for each bar.
    read = "            from wanted as w\n            where not exists ("
    held = read.replace("where", "where (select pg_advisory_xact_lock(1)) is not null and")
    broken(kept, ROLL_UP, (read, held))
    kept.execute("select pg_advisory_lock(1)")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(slow.execute, "select bars.roll_up_intraday(1)")
        wait_for_lock(kept, slow, first)
        assert not first.done()
        broken(kept, ROLL_UP)
        intraday.put(kept, 1, {400: candle(401)})
        second = pool.submit(other.execute, "select bars.roll_up_intraday(1)")
        wait_for_lock(kept, other, second)
        kept.execute("select pg_advisory_unlock(1)")
        first.result()
        second.result()
    found = digest(kept)
    assert found == full(kept)


def test_a_second_refresh_beside_a_running_one_does_nothing(conn, connect):
    other = connect()
    intraday.put(conn, 1, history())
    running = """
        do $$ begin
            perform observability.start_run('refresh_intraday'); commit; perform pg_sleep(60);
        end $$
    """
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(other.execute, running)
        wait_for_sleep(conn, other.info.backend_pid)
        assert refresh(conn) == "refresh_intraday: another session is at it, nothing was done"
        conn.execute("select pg_terminate_backend(%s)", (other.info.backend_pid,))
        assert isinstance(run.exception(), psycopg.OperationalError)
    refresh(conn)
    as_naive(conn, history())
