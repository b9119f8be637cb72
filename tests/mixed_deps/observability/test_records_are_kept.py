"""Who may record, read and prune what, what pruning leaves, and what the tables refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ta_lab2.observability import errors
from tests.support.records import HEX, TABLES, call, counts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def age(conn, days):
    """Let everything recorded so far be that much older."""
    for statement in (
        "metrics set recorded_at = recorded_at - %(by)s",
        "traces set start_time = start_time - %(by)s, end_time = end_time - %(by)s",
        "alerts set created_at = created_at - %(by)s, resolved_at = resolved_at - %(by)s",
        "workflow_state set updated_at = updated_at - %(by)s",
    ):
        conn.execute(f"update observability.{statement}", {"by": timedelta(days=days)})


def record_some(conn):
    call(conn, "record_metric", "a", 1)
    with conn.transaction():
        root = call(conn, "start_trace", "over")
        call(conn, "start_trace", "over.child", p_parent_id=root)
    call(conn, "end_trace", root)
    call(conn, "record_alert", "a", "info", "event")
    call(conn, "record_alert", "a", "info", "solved", "solved")
    call(conn, "resolve_alert", "solved")
    call(conn, "set_workflow_state", "a", "b", "done")


def test_pruning_removes_what_is_over_and_old_and_keeps_the_rest(own_db, autocommit):
    conn = autocommit(own_db)
    record_some(conn)
    call(conn, "record_alert", "a", "info", "goes on", "open")
    call(conn, "start_trace", "running")
    call(conn, "set_workflow_state", "a", "b")
    # An update may not move a row from one chunk to another.
    conn.execute("delete from observability.metrics")
    age(conn, 10)
    call(conn, "record_metric", "a", 1, None, datetime.now(UTC) - timedelta(days=10))
    record_some(conn)
    prune = "select * from observability.prune(%s)"
    assert conn.execute(prune, ("30 days",)).fetchone() == (0, 0, 0, 0)
    assert conn.execute(prune, ("9 days",)).fetchone() == (1, 1, 2, 1)
    assert counts(conn) == [1, 3, 3, 2]
    assert conn.execute(prune, ("9 days",)).fetchone() == (0, 0, 0, 0)


def test_pruning_keeps_the_old_parts_of_a_tree_that_still_runs(tx):
    root = call(tx, "start_trace", "runs")
    call(tx, "end_trace", call(tx, "start_trace", "runs.part", p_parent_id=root))
    age(tx, 10)
    assert tx.execute("select * from observability.prune('9 days')").fetchone() == (0, 0, 0, 0)
    assert counts(tx) == [0, 2, 0, 0]


@pytest.mark.parametrize("bad", [None, "0", "23 hours", "-1 day"])
def test_the_last_day_is_never_pruned(tx, bad):
    with pytest.raises(errors.KeepTooShort):
        call(tx, "prune", bad)


def test_research_may_record_but_neither_read_nor_change(tx):
    tx.execute("set local role ta_lab2_research")
    parent = call(tx, "start_trace", "a")
    call(tx, "record_metric", "a", 1, {"id": 1})
    call(tx, "record_trace", "a", NOON, NOON, p_parent_id=parent)
    call(tx, "record_alert", "a", "info", "m")
    call(tx, "set_workflow_state", "a", "b")
    attempts = [f"select from observability.{table}" for table in TABLES]
    attempts += [f"delete from observability.{table}" for table in TABLES]
    attempts += [f"select from published.{table}" for table in TABLES]
    attempts += [
        f"select observability.end_trace('{parent}')",
        "update observability.alerts set severity = 'info'",
        "select observability.resolve_alert('p')",
        "select observability.prune('9 days')",
        "select * from observability.recent_runs()",
        "select observability.record_alert('a', 'info', 'm', 'a problem')",
    ]
    for attempt in attempts:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), tx.transaction():
            tx.execute(attempt)
    tx.execute("reset role")
    assert counts(tx) == [1, 2, 1, 1]


def test_the_app_may_record_and_prune_but_not_rewrite_what_happened(tx):
    tx.execute("set local role ta_lab2_app")
    record_some(tx)
    call(tx, "record_alert", "a", "info", "goes on", "open")
    call(tx, "record_alert", "a", "info", "goes on", "open")
    flow = call(tx, "set_workflow_state", "a", "b")
    call(tx, "set_workflow_state", "a", "b", "done", p_workflow_id=flow)
    tx.execute("select * from observability.prune('9 days')")
    for attempt in (
        "update observability.metrics set value = 0",
        "update observability.traces set start_time = now()",
        "update observability.traces set operation = 'b'",
        "update observability.alerts set created_at = now()",
        "update observability.workflow_state set created_at = now()",
        "truncate observability.metrics",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), tx.transaction():
            tx.execute(attempt)


def test_the_reader_reads_the_published_views_and_nothing_else(tx):
    record_some(tx)
    expected = counts(tx)
    tx.execute("set local role ta_lab2_reader")
    assert counts(tx, "published") == expected
    for attempt in (
        "select from observability.metrics",
        "select observability.record_metric('a', 1)",
        "delete from published.alerts",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), tx.transaction():
            tx.execute(attempt)


@pytest.mark.parametrize(
    ("table", "columns", "values"),
    [
        ("metrics", "correlation_id, metric_name, value", "'x', 'a', 1"),
        ("metrics", "correlation_id, metric_name, value", f"'{HEX}', 'A', 1"),
        ("metrics", "correlation_id, metric_name, value", f"'{HEX}', 'a', 'nan'"),
        ("metrics", "correlation_id, metric_name, value, tags", f"'{HEX}', 'a', 1, '[]'"),
        ("traces", "correlation_id, operation, status", f"'{HEX}', 'a', 'done'"),
        ("traces", "correlation_id, operation, end_time", f"'{HEX}', 'a', now()"),
        ("traces", "correlation_id, operation, status, end_time", f"'{HEX}', 'a', 'ok', now()"),
        (
            "traces",
            "correlation_id, operation, status, end_time",
            f"'{HEX}', 'a', 'done', '-infinity'",
        ),
        ("alerts", "correlation_id, alert_type, severity, message", f"'{HEX}', 'a', 'x', 'm'"),
        (
            "alerts",
            "correlation_id, alert_type, severity, message, resolved_at",
            f"'{HEX}', 'a', 'info', 'm', now()",
        ),
        ("workflow_state", "correlation_id, type, phase, status", f"'{HEX}', 'a', 'b', 'c'"),
    ],
)
def test_the_tables_refuse_what_comes_past_the_functions(tx, table, columns, values):
    with pytest.raises(psycopg.errors.CheckViolation):
        tx.execute(f"insert into observability.{table} ({columns}) values ({values})")
