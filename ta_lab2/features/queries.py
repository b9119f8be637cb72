"""Calls into the ``features`` schema. No arithmetic lives here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.errors import Diagnostic
from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from ta_lab2.errors import translated
from ta_lab2.features import errors as errors  # the classes of the SQLSTATEs that are raised here
from ta_lab2.indicators import errors as indicator_errors  # noqa: F401 - and there


@dataclass(frozen=True, slots=True)
class Finding:
    """What looks wrong by a rule in an asset's features: on which sessions, and the worst value."""

    severity: str
    rule: str
    symbol: str
    sessions: int
    first_ts: datetime
    last_ts: datetime
    value: float | None


def finding_rules(conn: Connection) -> list[str]:
    """Return the names of the rules that there are."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        cursor.execute("select r.rule from features.dim_finding_rules as r order by r.rule")
        return cursor.fetchall()


def findings(
    conn: Connection,
    *,
    rule: str | None = None,
    asset: int | None = None,
    severity: str | None = None,
    by_session: bool = False,
) -> list[Finding]:
    """Return what was found by rule and asset, or by session too; the worst first, the latest."""
    with conn.cursor(row_factory=class_row(Finding)) as cursor:
        cursor.execute(
            """
            select
                f.severity, f.rule, a.symbol, count(*) as sessions,
                min(f.ts) as first_ts, max(f.ts) as last_ts,
                (array_agg(f.value order by abs(f.value) desc nulls last))[1] as value
            from features.findings as f
            join bars.dim_assets as a using (id)
            where f.rule = coalesce(%(rule)s, f.rule)
              and f.id = coalesce(%(asset)s, f.id)
              and f.severity = coalesce(%(severity)s, f.severity)
            group by
                f.severity, f.rule, f.id, a.symbol, case when %(by_session)s then f.ts end
            order by
                array_position('{critical,warning,info}', f.severity),
                max(f.ts) desc,
                f.id,
                f.rule
            """,
            {"rule": rule, "asset": asset, "severity": severity, "by_session": by_session},
        )
        return cursor.fetchall()


@dataclass(frozen=True, slots=True)
class Indicator:
    """One row of ``features.dim_indicators``."""

    indicator_id: int
    kind: str
    params: dict[str, Any]
    columns: list[str]
    is_active: bool


@dataclass(frozen=True, slots=True)
class IndicatorKind:
    """One row of ``indicators.kinds``."""

    kind: str
    parameters: dict[str, dict[str, Any]]
    columns: list[str]
    description: str


def refresh(
    conn: Connection,
    asset_ids: Sequence[int] | None = None,
    *,
    steps: Sequence[str] | None = None,
    indicators: Sequence[str] | None = None,
    rebuild: bool = False,
    dry_run: bool = False,
    on_notice: Callable[[str], None] = lambda _: None,
    verb: str = "refresh_features",
) -> None:
    """Run ``refresh_features``, or a verb like it, passing each progress line to ``on_notice``.

    The connection must be in autocommit mode: the procedure commits as it goes,
    which Postgres refuses inside an open transaction.
    """
    if not conn.autocommit:
        raise ValueError("refresh needs an autocommit connection")

    def heard(diag: Diagnostic) -> None:
        on_notice(diag.message_primary or "")

    conn.add_notice_handler(heard)
    try:
        with translated():
            conn.execute(
                """
                call public.refresh_features(
                    p_asset_ids => %(ids)s::integer[],
                    p_steps => %(steps)s::text[],
                    p_indicators => %(indicators)s::text[],
                    p_rebuild => %(rebuild)s,
                    p_dry_run => %(dry_run)s,
                    p_verb => %(verb)s
                )
                """,
                {
                    "ids": None if asset_ids is None else list(asset_ids),
                    "steps": None if steps is None else list(steps),
                    "indicators": None if indicators is None else list(indicators),
                    "rebuild": rebuild,
                    "verb": verb,
                    "dry_run": dry_run,
                },
            )
    finally:
        conn.remove_notice_handler(heard)


_INDICATORS = """
    select i.indicator_id, i.kind, i.params, i.columns, i.is_active
    from features.dim_indicators as i
"""


def indicators(conn: Connection) -> list[Indicator]:
    """Return every indicator that is configured, in the order of their ids."""
    with conn.cursor(row_factory=class_row(Indicator)) as cur:
        return cur.execute(f"{_INDICATORS} order by i.indicator_id").fetchall()


def indicator_kinds(conn: Connection) -> list[IndicatorKind]:
    """Return the kinds of indicators that there are, by name."""
    with conn.cursor(row_factory=class_row(IndicatorKind)) as cur:
        cur.execute(
            """
            select k.kind, k.parameters, k.columns, k.description
            from indicators.kinds() as k
            order by k.kind
            """
        )
        return cur.fetchall()


def add_indicator(conn: Connection, kind: str, params: Mapping[str, Any]) -> Indicator | None:
    """Insert an indicator; None when one with these parameters is there already."""
    with translated(), conn.cursor(row_factory=class_row(Indicator)) as cur:
        cur.execute(
            """
            insert into features.dim_indicators as i (kind, params)
            values (%s, %s)
            on conflict (kind, params) do nothing
            returning i.indicator_id, i.kind, i.params, i.columns, i.is_active
            """,
            (kind, Jsonb(dict(params))),
        )
        return cur.fetchone()


def indicator_with(conn: Connection, kind: str, params: Mapping[str, Any]) -> Indicator | None:
    """Return the indicator of a kind with these parameters and the defaults of the others."""
    with translated(), conn.cursor(row_factory=class_row(Indicator)) as cur:
        cur.execute(
            f"{_INDICATORS} where i.kind = %s and i.params = indicators.parameters(%s, %s)",
            (kind, kind, Jsonb(dict(params))),
        )
        return cur.fetchone()


def switch_indicator(conn: Connection, word: str, *, on: bool) -> Indicator | None:
    """Switch an indicator on or off, by its id or a column; None when there is none."""
    with translated(), conn.cursor(row_factory=class_row(Indicator)) as cur:
        cur.execute(
            """
            update features.dim_indicators as i
            set is_active = %s
            where %s = any (array[i.indicator_id::text] || i.columns)
            returning i.indicator_id, i.kind, i.params, i.columns, i.is_active
            """,
            (on, word.lower()),
        )
        return cur.fetchone()
