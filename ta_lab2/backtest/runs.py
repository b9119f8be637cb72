"""Runs: to start one, find it, rank it, compare it with another and repeat it. No arithmetic."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, scalar_row
from psycopg.sql import SQL, Identifier

from ta_lab2.backtest import errors as errors  # the classes of the SQLSTATEs that are raised here
from ta_lab2.errors import Refused

_PREFIX: Final = re.compile(r"[0-9a-f-]{4,36}")


@dataclass(frozen=True, slots=True)
class Run:
    """One row of ``backtest.runs``."""

    run_id: UUID
    created_at: datetime
    label: str | None
    signal_name: str
    signal_type: str
    signal_version: int
    params: dict[str, Any]
    asset_ids: list[int]
    from_ts: datetime | None
    to_ts: datetime | None
    first_ts: datetime
    last_ts: datetime
    known_at: datetime | None
    data_at: datetime
    cost_model: str
    fee_bps: float
    slippage_bps: float
    funding_bps: float
    capital: float
    sizing: str
    fraction: float
    vol_target: float
    fill: str
    capital_limit: float
    annualisation_days: int
    status: str
    inputs_digest: bytes
    machinery_digest: bytes
    result_digest: bytes
    bars: int


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of ``backtest.metrics`` with its definition; None is undefined."""

    metric: str
    value: float | None
    unit: str
    formula: str
    description: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of ``backtest.compare_runs``: something in which two runs are not the same."""

    level: str
    id: int | None
    symbol: str | None
    ts: datetime | None
    what: str
    a: str | None
    b: str | None
    detail: str | None


_RUN: Final = SQL(", ").join(Identifier("r", field.name) for field in fields(Run))


def one(conn: Connection, run_id: UUID) -> Run:
    """Return a run by its id."""
    with conn.cursor(row_factory=class_row(Run)) as cursor:
        cursor.execute(
            SQL("select {} from backtest.runs as r where r.run_id = %s").format(_RUN), (run_id,)
        )
        found = cursor.fetchone()
    if found is None:
        raise _unknown(str(run_id))
    return found


def find(conn: Connection, word: str) -> UUID:
    """Return the id of the run that a word names: ``last``, an id or its beginning, or a label.

    Several runs may have one label: the latest is meant.
    """
    with conn.cursor(row_factory=scalar_row) as cursor:
        ids: list[UUID] = (
            cursor.execute(
                """
            select r.run_id
            from backtest.runs as r
            where r.run_id::text like %(prefix)s::text || '%%'
            limit 2
            """,
                {"prefix": word.lower() if _PREFIX.fullmatch(word.lower()) else None},
            ).fetchall()
            or cursor.execute(
                """
            select r.run_id
            from backtest.runs as r
            where %(word)s = 'last' or r.label = %(word)s
            order by r.created_at desc, r.run_id
            limit 1
            """,
                {"word": word},
            ).fetchall()
        )
    if not ids:
        raise _unknown(word)
    if len(ids) > 1:
        raise Refused(f"several runs begin with {word}", "Give more letters of the id.")
    return ids[0]


def _unknown(word: str) -> Refused:
    return Refused(
        f"there is no run {word!r}",
        "`ta-lab2 backtest list` lists them; a run is named by its id, the id's beginning, its"
        " label, or `last`.",
    )


def listed(conn: Connection, limit: int) -> list[Run]:
    """Return the latest runs, the last one first."""
    with conn.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            SQL(
                "select {} from backtest.runs as r order by r.created_at desc, r.run_id limit %s"
            ).format(_RUN),
            (limit,),
        ).fetchall()


def metrics(conn: Connection, run_id: UUID) -> list[Metric]:
    """Return all metrics of a run, in their order."""
    with conn.cursor(row_factory=class_row(Metric)) as cursor:
        return cursor.execute(
            """
            select d.metric, m.value, d.unit, d.formula, d.description
            from backtest.dim_metrics as d
            join backtest.metrics as m using (metric)
            where m.run_id = %s
            order by d.place
            """,
            (run_id,),
        ).fetchall()
