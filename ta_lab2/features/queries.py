"""Calls into the ``features`` schema. No arithmetic lives here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.errors import Diagnostic
from psycopg.rows import class_row, scalar_row

from ta_lab2.errors import translated
from ta_lab2.features import errors as errors  # the classes of the SQLSTATEs that are raised here
from ta_lab2.indicators import errors as indicator_errors  # noqa: F401 - and there


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the features that looks wrong."""

    severity: str
    rule: str
    symbol: str
    ts: datetime
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
) -> list[Finding]:
    """Return what was found, the worst first, then the latest."""
    with conn.cursor(row_factory=class_row(Finding)) as cursor:
        cursor.execute(
            """
            select f.severity, f.rule, a.symbol, f.ts, f.value
            from features.findings as f
            join bars.dim_assets as a using (id)
            where f.rule = coalesce(%(rule)s, f.rule)
              and f.id = coalesce(%(asset)s, f.id)
              and f.severity = coalesce(%(severity)s, f.severity)
            order by
                array_position('{critical,warning,info}', f.severity),
                f.ts desc,
                f.id,
                f.rule
            """,
            {"rule": rule, "asset": asset, "severity": severity},
        )
        return cursor.fetchall()


def refresh(
    conn: Connection,
    asset_ids: Sequence[int] | None = None,
    *,
    steps: Sequence[str] | None = None,
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
                    p_rebuild => %(rebuild)s,
                    p_dry_run => %(dry_run)s,
                    p_verb => %(verb)s
                )
                """,
                {
                    "ids": None if asset_ids is None else list(asset_ids),
                    "steps": None if steps is None else list(steps),
                    "rebuild": rebuild,
                    "verb": verb,
                    "dry_run": dry_run,
                },
            )
    finally:
        conn.remove_notice_handler(heard)
