"""What a refresh that was killed leaves behind, and how the next one closes its run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from ta_lab2.observability import queries
from tests.support.contract import slow_down, wait_for_sleep
from tests.support.recorded import ASSETS, ROWS, allow, digest, refresh, refuse, rows, runs


def make_slow(conn, asset: int | None) -> None:
    """Let every row of an asset's returns take a while; of None, every metric."""
    rows = (
        "observability.metrics for each row"
        if asset is None
        else f"features.cmc_returns_daily for each row when (new.id = {asset})"
    )
    slow_down(conn, f"insert on {rows}", 0.05)


def interrupt(conn, victim, how) -> None:
    """Start a refresh on another connection and end it in the slow asset."""
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, victim)
        wait_for_sleep(conn, victim.info.backend_pid)
        conn.execute(f"select {how}(%s)", (victim.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            run.result()


@pytest.mark.parametrize("how", ["pg_terminate_backend", "pg_cancel_backend"])
def test_the_next_run_closes_one_that_was_killed_and_nothing_is_lost(
    conn, own_db, autocommit, undisturbed, how
):
    refuse(conn, 2)
    make_slow(conn, 52)
    victim = autocommit(own_db)
    interrupt(conn, victim, how)
    killed = runs(conn)[-1]
    assert killed["status"] == "running"
    assert queries.recent_runs(conn)[0].status == "abandoned"
    conn.execute("drop trigger dawdle on features.cmc_returns_daily")
    allow(conn, 2)
    refresh(conn)
    assert digest(conn) == undisturbed
    killed, last = runs(conn)
    assert (killed["status"], last["status"]) == ("abandoned", "done")
    assert (killed["metadata"]["assets"], killed["metadata"]["failed"]) == (3, 1)
    root, *children = rows(
        conn,
        "traces",
        "t.correlation_id = %s order by t.start_time",
        killed["correlation_id"],
    )
    assert root["status"] == "abandoned"
    assert [(each["metadata"]["id"], each["status"]) for each in children] == [
        (1, "done"),
        (2, "failed"),
        (3, "done"),
    ]
    assert all(root["start_time"] <= each["start_time"] for each in children)
    assert root["end_time"] == children[-1]["end_time"]
    alerts = rows(conn, "alerts", "true order by t.alert_type")
    assert [each["alert_type"] for each in alerts] == [
        "refresh_features.abandoned",
        "refresh_features.asset_failed",
    ]
    assert all(each["resolved_at"] for each in alerts)
    assert conn.execute("select count(*) from features.refresh_events").fetchone() == (0,)
    refresh(conn)
    assert len(rows(conn, "alerts")) == 2


def test_a_run_that_died_before_its_first_asset_ends_where_it_began(conn, own_db, autocommit):
    make_slow(conn, 1)
    interrupt(conn, autocommit(own_db), "pg_terminate_backend")
    conn.execute("drop trigger dawdle on features.cmc_returns_daily")
    refresh(conn)
    (killed,) = rows(conn, "traces", "t.status = 'abandoned'")
    assert killed["start_time"] == killed["end_time"]


def test_a_run_that_was_killed_while_it_was_closed_is_closed_once(conn, own_db, autocommit):
    make_slow(conn, None)
    interrupt(conn, autocommit(own_db), "pg_terminate_backend")
    assert len(rows(conn, "traces")) == 1
    conn.execute("drop trigger dawdle on observability.metrics")
    refresh(conn)
    killed, last = runs(conn)
    assert (killed["status"], last["status"]) == ("abandoned", "done")
    # It had done all of its assets; the next one found nothing to do.
    assert killed["metadata"]["rows_written"] == len(ASSETS) * ROWS
    children = rows(conn, "traces", "t.parent_id is not null")
    assert sorted(each["metadata"]["id"] for each in children) == sorted(ASSETS)
    assert {each["parent_id"] for each in children} == {killed["workflow_id"]}


def test_two_runs_that_begin_at_once_close_a_dead_one_once(conn, own_db, autocommit):
    make_slow(conn, 1)
    interrupt(conn, autocommit(own_db), "pg_terminate_backend")
    look = "select r from observability.abandoned_runs('refresh_features') as r"
    other = autocommit(own_db)
    with conn.transaction():
        (dead,) = conn.execute(look).fetchall()
        assert other.execute(look).fetchall() == []
    assert other.execute(look).fetchall() == [dead]


def test_a_session_that_was_cancelled_closes_its_own_run_at_the_next(conn, own_db, autocommit):
    make_slow(conn, 1)
    victim = autocommit(own_db)
    interrupt(conn, victim, "pg_cancel_backend")
    conn.execute("drop trigger dawdle on features.cmc_returns_daily")
    refresh(victim)
    assert [run["status"] for run in runs(conn)] == ["abandoned", "done"]


@pytest.mark.parametrize("role", ["postgres", "ta_lab2_app"])
def test_a_run_that_is_alive_is_left_alone_whoever_looks(conn, own_db, autocommit, role):
    make_slow(conn, 1)
    slow, fast = autocommit(own_db), autocommit(own_db)
    if role != "postgres":
        # Of another role's session the app sees no more than that it is there.
        fast.execute(f"set role {role}")
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, slow)
        wait_for_sleep(conn, slow.info.backend_pid)
        refresh(fast)
        assert [each.status for each in queries.recent_runs(fast)] == ["done", "running"]
        run.result()
    first, second = runs(conn)
    assert (first["status"], second["status"]) == ("done", "done")
    assert second["metadata"]["left_to_others"] == 1
    assert first["metadata"]["left_to_others"] == 4
    assert first["correlation_id"] != second["correlation_id"]
    of_slow = rows(conn, "traces", "t.parent_id = %s", first["workflow_id"])
    assert [each["metadata"]["id"] for each in of_slow] == [1]
    of_fast = rows(conn, "traces", "t.parent_id = %s", second["workflow_id"])
    assert sorted(each["metadata"]["id"] for each in of_fast) == [2, 3, 52, 1027]


def test_a_dead_run_that_cannot_be_closed_stops_nobody(conn, own_db, autocommit):
    make_slow(conn, 52)
    interrupt(conn, autocommit(own_db), "pg_terminate_backend")
    conn.execute("drop trigger dawdle on features.cmc_returns_daily")
    conn.execute(
        "alter table observability.traces add constraint no_end check (status <> 'abandoned')"
    )
    lines = refresh(conn)
    assert any("could not be closed" in line and "no_end" in line for line in lines)
    assert [run["status"] for run in runs(conn)] == ["running", "done"]
    conn.execute("alter table observability.traces drop constraint no_end")
    refresh(conn)
    assert [run["status"] for run in runs(conn)] == ["abandoned", "done", "done"]


def test_an_asset_that_another_run_has_mended_since_raises_no_alert(conn):
    """Two runs at once: the one that failed is closed after the one that succeeded."""
    refresh(conn)
    run = conn.execute("select observability.start_run('refresh_features')").fetchone()[0]
    conn.execute(
        "select features.record_refresh_event(%s, 3, clock_timestamp(), %s, %s)",
        (run, "23514", "a failure of before"),
    )
    assert conn.execute("select features.close_refresh(%s)", (run,)).fetchone() == ("failed",)
    assert rows(conn, "alerts", "t.alert_type = 'refresh_features.asset_failed'") == []


def test_an_asset_that_another_run_has_broken_since_keeps_its_alert(conn):
    refuse(conn, 3)
    refresh(conn)
    run = conn.execute("select observability.start_run('refresh_features')").fetchone()[0]
    conn.execute(
        "select features.record_refresh_event(%s, '{3}', clock_timestamp(), '{1}', '{1}', '{0}')",
        (run,),
    )
    conn.execute("select features.close_refresh(%s)", (run,))
    (alert,) = rows(conn, "alerts")
    assert alert["resolved_at"] is None
