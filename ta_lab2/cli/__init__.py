"""The command line: ``ta-lab2``. Commands live one group a file, without arithmetic or SQL."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final

import psycopg
import typer
from typer.core import TyperGroup
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
    plain_help,
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

#: What a session reads and writes times and text as, whatever the user's, the role's or the
#: database's settings are: a day is a day in UTC. libpq takes these before PGOPTIONS.
_SESSION: Final = {"PGTZ": "UTC", "PGDATESTYLE": "ISO", "PGCLIENTENCODING": "UTF8"}

plain_help.install()

db.app.command("doctor")(doctor.doctor)
prices = groups.with_default(ingest.ingest)
prices.command("ccxt")(ingest_ccxt.ccxt)

#: In the order in which one needs them.
COMMANDS: Final[Mapping[str, Mapping[str, typer.Typer | Callable[..., None]]]] = {
    "Begin": {"demo": demo.demo, "db": db.app},
    "Prices in": {"ingest": prices, "assets": assets.app, "calendar": calendar.app},
    "Up to date": {
        "refresh": refresh.refresh,
        "runs": runs.runs,
        "findings": findings.findings,
        "schedule": schedule.schedule,
        "unschedule": schedule.unschedule,
    },
    "Research": {
        "indicators": indicators.app,
        "regimes": regimes.regimes,
        "signals": signals.app,
        "today": today.today,
        "backtest": backtest.app,
        "report": report.report,
        "export": export.export,
    },
}


class _InOrder(TyperGroup):
    """Lists the commands as above; Typer puts those that have subcommands last."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - its caller's signature
        return [name for commands in COMMANDS.values() for name in commands]


app = typer.Typer(
    name="ta-lab2",
    cls=_InOrder,
    help=ta_lab2.__doc__,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _panel, _commands in COMMANDS.items():
    for _name, _command in _commands.items():
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name, rich_help_panel=_panel)
        else:
            app.command(_name, rich_help_panel=_panel)(_command)


@contextmanager
def _own_session() -> Iterator[None]:
    """Have connections begin as ``_SESSION`` says, and leave the environment as it was."""
    had = {name: os.environ.get(name) for name in _SESSION}
    os.environ.update(_SESSION)
    try:
        yield
    finally:
        for name, value in had.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ta-lab2 {ta_lab2.__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback has answered already
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and every statement.")
    ] = False,
) -> None:
    """Options that every command shares."""
    # psql, under db, is the user's own session.
    if context.invoked_subcommand != "db":
        context.with_resource(_own_session())
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
            console.error(f"the database does not answer: {first}", _why_no_answer(first))
            return 2
        case (
            psycopg.errors.AdminShutdown()
            | psycopg.errors.CrashShutdown()
            | psycopg.errors.CannotConnectNow()
        ):
            console.error(
                f"the database went away: {error.diag.message_primary}",
                "`ta-lab2 db status` says whether it is back. What was committed stays;"
                " the same command goes on from there.",
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


def _why_no_answer(said: str) -> str:
    """Return what to do about a connection that was refused, by what the server said."""
    if "password" in said:
        return "The login or its password is wrong; PGPASSWORD or ~/.pgpass may have the right one."
    if "does not exist" in said:
        return "`ta-lab2 db status` lists the databases; TA_LAB2_DATABASE names the one to ask."
    return "`ta-lab2 db status` says which database is meant; `ta-lab2 db up` starts ours."
