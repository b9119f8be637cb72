"""Calls into the ``observability`` schema. No arithmetic lives here.

The caller owns the transaction: what is recorded in one that rolls back was never recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, scalar_row, tuple_row
from psycopg.types.json import Jsonb

from ta_lab2.errors import translated
from ta_lab2.observability import (
    errors as errors,  # the classes of the SQLSTATEs that are raised here
)

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One row of ``observability.recent_runs``; ``seconds`` is None for one that died unclosed."""

    run_id: UUID
    correlation_id: str
    type: str
    status: str
    started_at: datetime
    seconds: float | None
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """A problem that goes on."""

    severity: str
    message: str
    problem: str
    occurrences: int
    created_at: datetime


@contextmanager
def correlated(conn: Connection, correlation_id: str | None = None) -> Iterator[str]:
    """Record all that happens on this connection under one id, a new one by default; yield it.

    The connection must be in autocommit mode: the id shall outlast each transaction.
    """
    if not conn.autocommit:
        raise ValueError("correlated needs an autocommit connection")
    with conn.cursor(row_factory=tuple_row) as cursor, translated():
        row = cursor.execute(
            """
            select
                coalesce(current_setting('ta_lab2.correlation_id', true), ''),
                observability.correlation_id(
                    coalesce(%s, observability.new_correlation_id())
                )
            """,
            (correlation_id,),
        ).fetchone()
    assert row is not None
    before, taken = row
    _correlate(conn, taken)
    try:
        yield taken
    finally:
        if not conn.closed:
            _correlate(conn, before)


def record_metric(
    conn: Connection,
    metric_name: str,
    value: float,
    *,
    tags: Facts | None = None,
    correlation_id: str | None = None,
) -> UUID:
    """Record one measured number; return its id."""
    return _call(
        conn,
        """
        select observability.record_metric(
            %s, %s, %s, p_correlation_id => %s
        )
        """,
        (metric_name, value, Jsonb(dict(tags or {})), correlation_id),
    )


def record_trace(
    conn: Connection,
    operation: str,
    start_time: datetime,
    end_time: datetime,
    *,
    status: str = "done",
    metadata: Facts | None = None,
    parent_id: UUID | None = None,
    correlation_id: str | None = None,
) -> UUID:
    """Record something that ran and is over; return its id."""
    return _call(
        conn,
        "select observability.record_trace(%s, %s, %s, %s, %s, %s, %s)",
        (
            operation,
            start_time,
            end_time,
            status,
            Jsonb(dict(metadata or {})),
            parent_id,
            correlation_id,
        ),
    )


def record_alert(
    conn: Connection,
    alert_type: str,
    severity: str,
    message: str,
    *,
    problem: str | None = None,
    metadata: Facts | None = None,
    correlation_id: str | None = None,
) -> UUID:
    """Raise an alert; return its id, which is the old one for a problem that goes on."""
    return _call(
        conn,
        "select observability.record_alert(%s, %s, %s, %s, %s, %s)",
        (alert_type, severity, message, problem, Jsonb(dict(metadata or {})), correlation_id),
    )


def set_workflow_state(
    conn: Connection,
    workflow_type: str,
    phase: str,
    *,
    status: str = "running",
    metadata: Facts | None = None,
    workflow_id: UUID | None = None,
    correlation_id: str | None = None,
) -> UUID:
    """Begin a workflow, or move the one that is named; return its id."""
    return _call(
        conn,
        "select observability.set_workflow_state(%s, %s, %s, %s, %s, %s)",
        (
            workflow_type,
            phase,
            status,
            Jsonb(dict(metadata or {})),
            workflow_id,
            correlation_id,
        ),
    )


def recent_runs(conn: Connection, *, most: int = 20, failed: bool = False) -> list[Run]:
    """Return the last runs, newest first; ``failed`` leaves out those done or running."""
    with conn.cursor(row_factory=class_row(Run)) as cursor:
        cursor.execute(
            "select r.* from observability.recent_runs(p_most => %s, p_failed => %s) as r",
            (most, failed),
        )
        return cursor.fetchall()


def open_problems(conn: Connection) -> list[Alert]:
    """Return the alerts of problems that go on, the worst and latest first."""
    with conn.cursor(row_factory=class_row(Alert)) as cursor:
        cursor.execute(
            """
            select a.severity, a.message, a.problem, a.occurrences, a.created_at
            from observability.alerts as a
            where a.problem is not null and a.resolved_at is null
            order by
                array_position('{critical,warning,info}', a.severity),
                a.last_raised_at desc,
                a.problem
            """
        )
        return cursor.fetchall()


def _correlate(conn: Connection, correlation_id: str) -> None:
    conn.execute("select set_config('ta_lab2.correlation_id', %s, false)", (correlation_id,))


def _call(conn: Connection, statement: str, parameters: tuple[object, ...]) -> UUID:
    with conn.cursor(row_factory=scalar_row) as cursor, translated():
        cursor.execute(statement.encode(), parameters)
        found = cursor.fetchone()
    assert isinstance(found, UUID)
    return found
