"""``ta-lab2 ingest``: price files into the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import psycopg
import typer
from rich import box
from rich.table import Table

from ta_lab2.bars import ingest as prices
from ta_lab2.bars import queries
from ta_lab2.cli import console
from ta_lab2.db.connect import app_conninfo

_SHOWN_REJECTS = 5


def ingest(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Files, folders or quoted patterns; <id>_<slug>.csv each."
        ),
    ],
) -> None:
    """Load daily prices. Every file is a transaction; loading a file again changes nothing.

    If one of the files cannot be read or its layout is not known, nothing is loaded.
    """
    found = prices.find(files)
    done: list[prices.Loaded] = []
    with psycopg.connect(app_conninfo(), application_name="ta-lab2 ingest") as conn:
        try:
            for number, file in enumerate(found, start=1):
                console.say(f"{number} of {len(found)}: {file.path}")
                done.append(prices.load(conn, file))
        finally:
            if done:
                console.out.print(_table(done))
        for loaded in done:
            _show_rejects(conn, loaded)


def _table(done: Sequence[prices.Loaded]) -> Table:
    """Return what became of each file's lines, and of all of them."""
    table = Table(box=box.SIMPLE_HEAD, show_footer=len(done) > 1, padding=(0, 1, 0, 0))
    table.add_column("id", footer="all", justify="right", no_wrap=True)
    table.add_column("symbol", no_wrap=True)
    # The one that gives way on a narrow terminal.
    table.add_column("name", overflow="fold")
    names = ("loaded", "unchanged", "revised", "rejected", "forming")
    columns = {name: [getattr(each.counts, name) for each in done] for name in names}
    for name, numbers in columns.items():
        table.add_column(name, footer=f"{sum(numbers):,}", justify="right", no_wrap=True)
    for at, each in enumerate(done):
        table.add_row(
            str(each.file.asset_id),
            each.symbol,
            each.file.slug,
            *(f"{columns[name][at]:,}" for name in names),
        )
    return table


def _show_rejects(conn: psycopg.Connection, loaded: prices.Loaded) -> None:
    """Print the first lines of a file that were rejected, and where all of them are."""
    if not loaded.counts.rejected:
        return
    for reject in queries.rejects(conn, loaded.file.path, limit=_SHOWN_REJECTS):
        console.say(f"{loaded.file.path}:{reject.line}: {reject.reason}")
    if loaded.counts.rejected > _SHOWN_REJECTS:
        console.say("the others: select * from price_rejects")
