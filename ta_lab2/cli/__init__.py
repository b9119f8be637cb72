"""The command line: ``ta-lab2``. Subcommands live one group a file, imported when they are used."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import psycopg
import typer
from typer.exceptions import TyperException

import ta_lab2
from ta_lab2.cli import (
    assets,
    backtest,
    calendar,
    console,
    db,
    demo,
    doctor,
    export,
    findings,
    groups,
    indicators,
    ingest,
    ingest_ccxt,
    refresh,
    regimes,
    report,
    runs,
    schedule,
    signals,
    today,
)
from ta_lab2.errors import DatabaseRaised, TaLabError

INTERRUPTED = 130

app = typer.Typer(
    name="ta-lab2",
    help=ta_lab2.__doc__,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
db.app.command("doctor")(doctor.doctor)
app.add_typer(db.app, name="db")
app.add_typer(calendar.app, name="calendar")
app.add_typer(assets.app, name="assets")
app.add_typer(backtest.app, name="backtest")
app.command("demo")(demo.demo)
prices = groups.with_default(ingest.ingest)
prices.command("ccxt")(ingest_ccxt.ccxt)
app.add_typer(prices, name="ingest")
app.add_typer(indicators.app, name="indicators")
app.command("refresh")(refresh.refresh)
app.command("regimes")(regimes.regimes)
app.add_typer(signals.app, name="signals")
app.command("today")(today.today)
app.command("report")(report.report)
app.command("runs")(runs.runs)
app.command("export")(export.export)
app.command("findings")(findings.findings)
app.command("schedule")(schedule.schedule)
app.command("unschedule")(schedule.unschedule)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ta-lab2 {ta_lab2.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[  # noqa: ARG001 - its callback has answered already
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and every statement.")
    ] = False,
) -> None:
    """Options that every command shares."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, stream=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 the user can mend it, 1 we are at fault."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; one clear sentence instead of a traceback."""
    try:
        status = app(args=list(arguments), standalone_mode=False)
    except TyperException as error:
        # The subclass for wrong usage prints the usage line too.
        show = getattr(error, "show", None)
        if show:
            show()
        else:
            console.error(error.format_message())
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if "--debug" in arguments:
            raise
        return _explain(error)
    if status == INTERRUPTED:
        # Typer turns Ctrl-C into this status without a word.
        console.error("interrupted; the same command goes on from here")
    return status if isinstance(status, int) else 0


def _explain(error: Exception) -> int:
    """Print what happened, where, and what to do; return the exit status."""
    match error:
        case DatabaseRaised():
            console.error(error.what, error.detail, error.hint)
            return error.exit_code
        case TaLabError():
            console.error(error.what, error.hint)
            return error.exit_code
        case psycopg.OperationalError() if error.sqlstate is None:
            first = str(error).strip().splitlines()[0] if str(error).strip() else "no answer"
            console.error(
                f"the database does not answer: {first}",
                "`ta-lab2 db status` says which database is meant; `ta-lab2 db up` starts ours.",
            )
            return 2
        case (
            psycopg.errors.InvalidSchemaName()
            | psycopg.errors.UndefinedTable()
            | psycopg.errors.UndefinedFunction()
        ):
            console.error(
                f"the database is not what this version needs: {error.diag.message_primary}",
                "Run `ta-lab2 db migrate`.",
                f"The demo's market is in another one: TA_LAB2_DATABASE={demo.DATABASE}.",
            )
            return 2
        case psycopg.Error():
            diag = error.diag
            console.error(
                diag.message_primary or str(error).strip(),
                diag.message_detail or "",
                diag.message_hint or "",
            )
            return 1
        case BrokenPipeError():
            # The reader of our output has gone; a second flush at exit must not complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        case OSError() if error.filename:
            console.error(f"{error.filename}: {error.strerror}")
            return 2
        case _:
            console.error(
                f"{type(error).__name__}: {error}", "This is our fault; --debug shows where."
            )
            return 1
