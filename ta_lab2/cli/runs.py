"""``ta-lab2 runs``: what ran last, how it ended, and what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import psycopg
import typer
from rich.markup import escape
from rich.table import Table

from ta_lab2.cli import console
from ta_lab2.db.connect import app_conninfo
from ta_lab2.observability import queries
from ta_lab2.observability.queries import Run

MOST_PROBLEMS: Final = 20
WIDTH: Final = 100
_COLOURS: Final = {"done": "green", "running": "cyan", "partial": "yellow"}
_COUNTS: Final = ("assets", "failed", "rows_written")


def runs(
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that failed, in part or whole, or died.")
    ] = False,
    last: Annotated[int, typer.Option("--last", min=1, metavar="N", help="How many.")] = 20,
) -> None:
    """Show the last runs, and the problems that go on."""
    with psycopg.connect(app_conninfo(), autocommit=True, application_name="ta-lab2 runs") as conn:
        found = queries.recent_runs(conn, most=last, failed=failed)
        problems = queries.open_problems(conn)
    if found:
        # A narrow terminal wraps the line; a number cut short would be another number.
        console.out.print(table(found), width=max(console.out.width, WIDTH))
    else:
        console.say("no run failed" if failed else "nothing has run yet; try `ta-lab2 refresh`")
    for problem in problems[:MOST_PROBLEMS]:
        times = f" ({problem.occurrences} times)" if problem.occurrences > 1 else ""
        console.out.print(
            f"{problem.severity}: {problem.message}{times},"
            f" since {problem.created_at:%Y-%m-%d %H:%M} UTC",
            markup=False,
        )
    if len(problems) > MOST_PROBLEMS:
        console.out.print(f"and {len(problems) - MOST_PROBLEMS} more, see the table alerts")


def table(found: Sequence[Run]) -> Table:
    """Return the runs as a table, the newest first."""
    made = Table(box=None, pad_edge=False, title="Runs", title_justify="left")
    for name in ("began (UTC)", "run", "status"):
        made.add_column(name, no_wrap=True)
    for name in ("seconds", "assets", "failed", "written"):
        made.add_column(name, justify="right", no_wrap=True)
    for run in found:
        made.add_row(
            f"{run.started_at:%Y-%m-%d %H:%M}",
            escape(run.type),
            f"[{_COLOURS.get(run.status, 'red')}]{run.status}[/]",
            "" if run.seconds is None else f"{run.seconds:,.1f}",
            *(_count(run.metadata.get(name)) for name in _COUNTS),
        )
    return made


def _count(value: object) -> str:
    """Return a number with separators; a verb that doesn't count this has none."""
    return f"{value:,}" if isinstance(value, int) else ""
