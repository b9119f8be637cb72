"""``ta-lab2 ingest``: price files into the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import psycopg
import typer
from rich import box
from rich.table import Table

from ta_lab2.bars import ingest as prices
from ta_lab2.bars import queries
from ta_lab2.bars.formats import PriceFile
from ta_lab2.cli import console
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused

_SHOWN_REJECTS = 5


def ingest(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE...", help="Files, folders or quoted patterns; <id>_<slug>.csv each."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Where the prices come from: a row of dim_sources. [default: its layout]"
        ),
    ] = None,
    extend: Annotated[
        bool,
        typer.Option("--extend", help="Store sessions that the asset's own source does not have."),
    ] = False,
    switch: Annotated[
        bool, typer.Option("--switch", help="Make this the source of its assets from now on.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what the files hold; load nothing, ask no database."),
    ] = False,
    undo: Annotated[
        UUID | None,
        typer.Option(metavar="LOAD", help="Take a load back; `select * from loads` lists them."),
    ] = None,
) -> None:
    """Load daily prices. Every file is a transaction; loading a file again changes nothing.

    If one of the files cannot be read or its layout is not known, nothing is loaded.
    Candles of an exchange: `ta-lab2 ingest ccxt --help`.
    """
    if undo is not None:
        if files or source or extend or switch or dry_run:
            raise Refused("--undo takes a load back and goes with nothing else")
        _undo(undo)
        return
    if not files:
        raise Refused("no file is named", "Name files or folders, or --undo LOAD.")
    if extend and switch:
        raise Refused(
            "--extend and --switch exclude each other",
            "--extend keeps the assets' own source, --switch gives them another.",
        )
    found = prices.find(files)
    if dry_run:
        for file in found:
            _show_preview(file, source)
        return
    done: list[prices.Loaded] = []
    with psycopg.connect(app_conninfo(), application_name="ta-lab2 ingest") as conn:
        try:
            for number, file in enumerate(found, start=1):
                console.say(f"{number} of {len(found)}: {file.path}")
                done.append(prices.load(conn, file, source=source, extend=extend, switch=switch))
        finally:
            if done:
                console.out.print(_table(done))
        for loaded in done:
            _show_rejects(conn, loaded)
            _show_other_source(conn, loaded)
    which = str(done[0].load) if len(done) == 1 else "LOAD"
    console.say(f"to take it back: ta-lab2 ingest --undo {which}")
    if len(done) > 1:
        console.say("which LOAD: select load, file from loads order by started_at")


def _show_preview(file: PriceFile, source: str | None) -> None:
    """Print a file's layout, which of its columns go where, its range and its first lines."""
    seen = prices.preview(file)
    columns = ", ".join(f"{name} as {column}" for name, column in file.format.staged.items())
    days = f"from {seen.first_day} to {seen.last_day}" if seen.first_day else "without a date"
    for line in (
        str(file.path),
        f"  asset    {file.asset_id} {file.slug}",
        f"  format   {file.format.name}, source {source or file.format.source}",
        f"  columns  {columns}",
        f"  lines    {seen.lines:,} {days}, {seen.faulty:,} that cannot be split",
        *(f"  {text}" for text in seen.start),
    ):
        console.out.print(line, markup=False)


def _undo(load: UUID) -> None:
    """Take a load back and say what that did."""
    with psycopg.connect(app_conninfo(), application_name="ta-lab2 ingest") as conn:
        undone = queries.undo(conn, load)
    console.say(
        f"load {load} is taken back: {undone.removed:,} candles removed,"
        f" {undone.restored:,} as they were before"
    )


def _table(done: Sequence[prices.Loaded]) -> Table:
    """Return what became of each file's lines, and of all of them."""
    table = Table(box=box.SIMPLE_HEAD, show_footer=len(done) > 1, padding=0)
    table.add_column("id", footer="all", justify="right", no_wrap=True)
    table.add_column("symbol", no_wrap=True)
    # The one that gives way on a narrow terminal.
    table.add_column("name", overflow="fold")
    names = ("loaded", "unchanged", "revised", "rejected", "forming", "other_source")
    columns = {name: [getattr(each.counts, name) for each in done] for name in names}
    for name, numbers in columns.items():
        table.add_column(
            name.replace("_", "\n"), footer=f"{sum(numbers):,}", justify="right", no_wrap=True
        )
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


def _show_other_source(conn: psycopg.Connection, loaded: prices.Loaded) -> None:
    """Print how lines of another source compare with what is stored, and what can be done."""
    counts = loaded.counts
    if not counts.other_source:
        return
    own = queries.source(conn, loaded.file.asset_id)
    console.say(
        f"{loaded.file.path}: {loaded.symbol} comes from {own}, this is {loaded.source}:"
        f" {counts.other_source:,} lines left out, of them {counts.other_differing:,} with other"
        f" prices, {counts.other_new:,} of sessions without a candle"
    )
    console.say("--extend stores the latter, --switch makes this the source")
