"""``ta-lab2 findings``: what looks wrong in the features."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from enum import StrEnum
from typing import Annotated, Final

import psycopg
import typer
from rich.markup import escape
from rich.table import Table

from ta_lab2.bars.names import asset_id
from ta_lab2.cli import console
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused
from ta_lab2.features import queries

_COLOURS: Final = {"critical": "red", "warning": "yellow"}


class Severity(StrEnum):
    """How bad a finding is."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


def findings(
    rule: Annotated[
        str | None, typer.Option(metavar="RULE", help="Only of this rule of dim_finding_rules.")
    ] = None,
    asset: Annotated[
        str | None,
        typer.Option(metavar="SYMBOL", help="Only of this asset, by symbol, name or id."),
    ] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only these.")] = None,
    each: Annotated[
        bool, typer.Option("--each", help="A line for each session, not for rule and asset.")
    ] = False,
    last: Annotated[int, typer.Option("--last", min=1, metavar="N", help="How many.")] = 20,
) -> None:
    """Show what looks wrong by rule and asset, the worst and latest first; value is the worst."""
    with psycopg.connect(
        app_conninfo(), autocommit=True, application_name="ta-lab2 findings"
    ) as conn:
        rules = queries.finding_rules(conn)
        if rule is not None and rule not in rules:
            raise Refused(f"there is no rule {rule}", f"There are: {', '.join(rules)}.")
        of = asset_id(conn, asset) if asset is not None else None
        found = queries.findings(conn, rule=rule, asset=of, severity=severity, by_session=each)
    if not found:
        console.say("nothing was found")
        return
    console.out.print(table(found[:last]))
    if len(found) > last:
        console.out.print(f"and {len(found) - last:,} more, see the table findings")


def table(found: Sequence[queries.Finding]) -> Table:
    """Return findings as a table; value is that of the worst session."""
    made = Table(
        box=None, padding=(0, 1, 0, 0), pad_edge=False, title="Findings", title_justify="left"
    )
    for name in ("severity", "rule"):
        made.add_column(name, no_wrap=True)
    made.add_column("asset", overflow="fold")
    made.add_column("times", justify="right", no_wrap=True)
    for name in ("first", "last"):
        made.add_column(name, no_wrap=True)
    made.add_column("value", justify="right", no_wrap=True)
    for each in found:
        made.add_row(
            f"[{_COLOURS.get(each.severity, 'default')}]{each.severity}[/]",
            each.rule,
            escape(each.symbol),
            f"{each.sessions:,}",
            f"{each.first_ts.astimezone(UTC):%Y-%m-%d}",
            f"{each.last_ts.astimezone(UTC):%Y-%m-%d}",
            "" if each.value is None else f"{each.value:.4g}",
        )
    return made
