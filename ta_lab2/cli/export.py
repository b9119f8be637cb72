"""``ta-lab2 export``: a published view as a CSV or Parquet file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from ta_lab2.cli import console, typed
from ta_lab2.counted import counted
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused
from ta_lab2.ops import export as exports


def export(
    view: Annotated[
        str | None, typer.Argument(metavar="VIEW", help="The view; without it they are listed.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A name that ends in .csv or .parquet."
        ),
    ] = None,
    asset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SYMBOL", help="Only this asset, by symbol, name or id; may be repeated."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="From this day or moment on, UTC.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Up to this day, which counts whole, or moment."),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Only these, in this order.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
) -> None:
    """Write a published view to a file. Times are UTC; numbers come back as the same numbers."""
    first, last = typed.moment("--from", since), typed.moment("--to", until)
    from_, to = typed.begin(first), typed.end(last)
    if from_ and to and from_ > to:
        raise Refused(f"--from {since} comes after --to {until}")
    wanted = exports.Wanted(
        columns=[name.strip() for name in columns.split(",")] if columns is not None else None,
        assets=asset or (),
        since=first,
        until=last,
    )
    with psycopg.connect(
        app_conninfo(login="reader"), autocommit=True, application_name="ta-lab2 export"
    ) as conn:
        if view is None:
            for name in exports.views(conn):
                console.out.print(name, markup=False)
            return
        if output is None:
            raise Refused(
                "no file is named", f"For example: ta-lab2 export {view} -o {view}.parquet"
            )
        name = view.removeprefix("published.")
        unit = "bytes" if output.suffix.lower() == ".csv" else "rows"
        with _progress(name, unit) as hear:
            rows = exports.write(conn, name, output, wanted, force=force, hear=hear)
    console.say(f"{counted(rows, 'row')} of {name} in {output} ({output.stat().st_size:,} bytes)")


@contextmanager
def _progress(view: str, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield what shows how far it came, on a terminal; elsewhere the last line is enough."""
    columns = (TextColumn(view), TextColumn("{task.completed:,}"), TextColumn(unit))
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console.err,
        transient=True,
        disable=not console.err.is_terminal,
    ) as bar:
        task = bar.add_task(view, total=None)

        def hear(done: int) -> None:
            bar.update(task, completed=done)

        yield hear
