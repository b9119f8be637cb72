"""``ta-lab2 report``: a backtest as one page of HTML."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from ta_lab2.backtest import report as reports
from ta_lab2.backtest import runs
from ta_lab2.cli import console
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused


def report(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Its id, the beginning of it, its label, or `last`."),
    ] = "last",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .html file; report-RUN.html by default.",
        ),
    ] = None,
) -> None:
    """Write the report of a backtest: one file of HTML that needs nothing else."""
    reports.require()
    if output:
        place(output)
    with psycopg.connect(
        app_conninfo(), autocommit=True, application_name="ta-lab2 report"
    ) as conn:
        run_id = runs.find(conn, run)
        path = place(output or Path(f"report-{str(run_id)[:8]}.html"))
        write(reports.html(conn, run_id), path)
    console.out.print(f"report: {path}", markup=False)


def place(path: Path) -> Path:
    """Return the full path of a report, or refuse it before any work is done."""
    path = path.expanduser().resolve()
    if path.suffix.lower() not in {".html", ".htm"}:
        raise Refused(f"a report is HTML, and {path} is not called .html", "Add .html to the name.")
    if path.exists() and not path.is_file():
        raise Refused(f"{path} is there and is not a file", "Name another place with -o FILE.")
    return path


def write(page: str, path: Path) -> None:
    """Write a page beside its place and rename it there: it is never half written."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_text(page, encoding="utf-8")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise Refused(
            f"the report can't be written to {path}: {error.strerror}",
            "Name another place with -o FILE.",
        ) from error
