"""Runs: to start one, find it, rank it, compare it with another and repeat it. No arithmetic."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import Connection, Rollback
from psycopg.errors import Diagnostic
from psycopg.rows import class_row, scalar_row
from psycopg.sql import SQL, Identifier, Placeholder

from ta_lab2.backtest import errors as errors  # the classes of the SQLSTATEs that are raised here
from ta_lab2.errors import Refused, translated

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
class Listed:
    """A run in a list, with the metrics that one looks at first."""

    run_id: UUID
    created_at: datetime
    label: str | None
    signal_name: str
    first_ts: datetime
    last_ts: datetime
    cost_model: str
    status: str
    symbols: list[str]
    total_return: float | None
    benchmark_return: float | None
    sharpe: float | None
    max_drawdown: float | None
    trades: float | None


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


def listed(conn: Connection, *, label: str | None = None, limit: int = 20) -> list[Listed]:
    """Return the latest runs, the last one first."""
    return _listed(
        conn,
        """
        select r.run_id, row_number() over (order by r.created_at desc, r.run_id) as place
        from backtest.runs as r
        where %(label)s::text is null or r.label = %(label)s
        order by place
        limit %(limit)s
        """,
        label=label,
        limit=limit,
    )


def ranked(
    conn: Connection,
    *,
    label: str | None = None,
    limit: int = 20,
    run_ids: Sequence[UUID] | None = None,
) -> list[Listed]:
    """Return the latest run of each strategy, the highest Sharpe ratio first; of some runs only."""
    return _listed(
        conn,
        """
        select k.run_id, k.place
        from backtest.ranking(%(label)s) as k
        where %(ids)s::uuid[] is null or k.run_id = any (%(ids)s)
        order by k.place
        limit %(limit)s
        """,
        label=label,
        limit=limit,
        ids=None if run_ids is None else list(run_ids),
    )


def _listed(conn: Connection, chosen: LiteralString, **given: Any) -> list[Listed]:
    """Return the runs that a query chooses, in the order of its places."""
    with conn.cursor(row_factory=class_row(Listed)) as cursor:
        return cursor.execute(
            SQL(
                """
                select
                    r.run_id, r.created_at, r.label, r.signal_name, r.first_ts, r.last_ts,
                    r.cost_model, r.status,
                    array(
                        select coalesce(a.symbol, u.id::text)
                        from unnest(r.asset_ids) with ordinality as u (id, place)
                        left join bars.dim_assets as a using (id)
                        order by u.place
                    ) as symbols,
                    m.total_return, m.benchmark_return, m.sharpe, m.max_drawdown, m.trades
                from ({}) as c
                join backtest.runs as r using (run_id)
                cross join lateral (
                    select
                        max(v.value) filter (where v.metric = 'total_return') as total_return,
                        max(v.value) filter (where v.metric = 'benchmark_return')
                            as benchmark_return,
                        max(v.value) filter (where v.metric = 'sharpe') as sharpe,
                        max(v.value) filter (where v.metric = 'max_drawdown') as max_drawdown,
                        max(v.value) filter (where v.metric = 'trades') as trades
                    from backtest.metrics as v
                    where v.run_id = r.run_id
                ) as m
                order by c.place
                """
            ).format(SQL(chosen)),
            given,
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


def cautions(conn: Connection, run_id: UUID) -> list[str]:
    """Return what to keep in mind before a run is believed, a sentence or two each."""
    with translated(), conn.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(
            """
            select c.detail
            from backtest.cautions(%s) with ordinality as c (caution, detail, place)
            order by c.place
            """,
            (run_id,),
        ).fetchall()


def signals(conn: Connection) -> list[str]:
    """Return the names of the signals that are worked out, by id."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(
            """
            select s.signal_name
            from signals.dim_signals as s
            where s.is_active
            order by s.signal_id
            """
        ).fetchall()


def start(conn: Connection, signal: str, **given: Any) -> UUID:
    """Run a backtest of a signal and return its id.

    Args:
        conn: where; the run is stored whole or not at all.
        signal: the signal's name.
        given: arguments of ``run_backtest`` without their ``p_``; what is None is its default.
    """
    run_id: UUID = _called(conn, "run_backtest", "p_run_id", signal=signal, **given)
    return run_id


def start_all(
    conn: Connection,
    signals: Sequence[str] | None = None,
    *,
    on_notice: Callable[[str], None] = lambda _: None,
    **given: Any,
) -> list[UUID]:
    """Run backtests of signals, all active ones by default, and return the ids of the runs.

    Args:
        conn: where; in autocommit mode, because runs are committed as they are done.
        signals: the names of the signals.
        on_notice: told how far it came, and of each run that could not be made.
        given: arguments of ``run_backtests`` without their ``p_``; what is None is its default.
    """
    if not conn.autocommit:
        raise ValueError("start_all needs an autocommit connection")

    def heard(diag: Diagnostic) -> None:
        on_notice(". ".join(filter(None, [diag.message_primary, diag.message_detail])))

    conn.add_notice_handler(heard)
    try:
        chosen = None if signals is None else list(signals)
        run_ids: list[UUID] = _called(conn, "run_backtests", "p_run_ids", signals=chosen, **given)
    finally:
        conn.remove_notice_handler(heard)
    return run_ids


def _called(conn: Connection, verb: str, result: str, **given: Any) -> Any:
    """Call a verb with the arguments that are not None, and return its result."""
    named = {name: value for name, value in given.items() if value is not None}
    arguments = SQL("").join(
        SQL("{} => {}, ").format(Identifier(f"p_{name}"), Placeholder(name)) for name in named
    )
    statement = SQL("call public.{}({}{} => null)").format(
        Identifier(verb), arguments, Identifier(result)
    )
    with translated(), conn.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(statement, named).fetchone()


def once(conn: Connection, signal: str, *, label: str, **given: Any) -> UUID:
    """Return the run of this label that has these inputs and this machinery; run it if none has."""
    with conn.transaction() as attempt:
        made = start(conn, signal, label=label, **given)
        standing = conn.execute(
            """
            select o.run_id
            from backtest.runs as n
            join backtest.runs as o
                on o.label = n.label
                and o.signal_id = n.signal_id
                and o.inputs_digest = n.inputs_digest
                and o.machinery_digest = n.machinery_digest
                and o.run_id <> n.run_id
            where n.run_id = %s
            order by o.created_at, o.run_id
            limit 1
            """,
            (made,),
        ).fetchone()
        if standing:
            raise Rollback(attempt)
    return standing[0] if standing else made


def with_label(conn: Connection, label: str) -> dict[str, UUID]:
    """Return the latest run of each signal that has this label, by the signal's name."""
    found = conn.execute(
        """
        select distinct on (r.signal_name) r.signal_name, r.run_id
        from backtest.runs as r
        where r.label = %s
        order by r.signal_name, r.created_at desc, r.run_id
        """,
        (label,),
    )
    return dict(found.fetchall())


def compare(conn: Connection, a: UUID, b: UUID) -> list[Difference]:
    """Return in what two runs differ, from their digests down to the candle."""
    with translated(), conn.cursor(row_factory=class_row(Difference)) as cursor:
        return cursor.execute(
            """
            select c.level, c.id, s.symbol, c.ts, c.what, c.a, c.b, c.detail
            from backtest.compare_runs(%s, %s) with ordinality
                as c (level, id, ts, what, a, b, detail, place)
            left join bars.dim_assets as s on s.id = c.id
            order by c.place
            """,
            (a, b),
        ).fetchall()


def validate(
    conn: Connection,
    run_id: UUID,
    *,
    mode: str = "strict",
    tolerance: float = 0.0,
    known_at: datetime | None = None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> str:
    """Repeat a run without storing it and return the verdict; notices go to ``on_notice``.

    The connection must be in autocommit mode: an alert is committed before the error is raised.
    """
    if not conn.autocommit:
        raise ValueError("validate needs an autocommit connection")

    def heard(diag: Diagnostic) -> None:
        on_notice(diag.message_primary or "")

    conn.add_notice_handler(heard)
    try:
        with translated(), conn.cursor(row_factory=scalar_row) as cursor:
            cursor.execute(
                """
                call public.validate_backtest_reproducibility(
                    p_run_id => %s, p_mode => %s, p_tolerance => %s, p_known_at => %s
                )
                """,
                (run_id, mode, tolerance, known_at),
            )
            verdict: str | None = cursor.fetchone()
    finally:
        conn.remove_notice_handler(heard)
    assert verdict is not None
    return verdict
