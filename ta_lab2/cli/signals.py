"""``ta-lab2 signals``: which signals refreshes work out."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import psycopg
import typer
from rich import box
from rich.table import Table

from ta_lab2.cli import console, typed
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused
from ta_lab2.signals import queries

app = typer.Typer(
    no_args_is_help=True,
    help="The signals: list, kinds, add, deactivate, activate. `today` shows what they say.",
)

#: As dim_signals has it.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, as `list` shows it.")]


def _connect() -> psycopg.Connection:
    return psycopg.connect(app_conninfo(), application_name="ta-lab2 signals")


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(
            name, justify="right" if name in {"id", "version"} else "left", overflow="fold"
        )
    return table


@app.command("list")
def list_() -> None:
    """List the signals that are configured."""
    with _connect() as conn:
        found = queries.signals(conn)
    table = _table("id", "signal", "type and parameters", "version", "active")
    for each in found:
        table.add_row(
            str(each.signal_id),
            each.signal_name,
            "\n".join([each.signal_type, *_typed(each.params)]),
            str(each.signal_version),
            "yes" if each.is_active else "no",
        )
    console.out.print(table)


@app.command()
def kinds() -> None:
    """List the types of signals that can be added: parameters, their defaults and ranges."""
    with _connect() as conn:
        found = queries.kinds(conn)
    table = _table("type", "parameters", "what it is")
    for each in found:
        # What has to be given comes first.
        known = sorted(each.parameters.items(), key=lambda known: "default" in known[1])
        rules = "\n".join(f"{name}{_rule(rule)}" for name, rule in known)
        table.add_row(each.signal_type, rules, each.description)
    console.out.print(table)


@app.command()
def add(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What to call it: small letters, digits and _.")
    ],
    kind: Annotated[
        str, typer.Argument(metavar="TYPE", help="Such as ema_crossover; `kinds` lists them.")
    ],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Such as fast_period=12 direction=both."),
    ] = None,
    description: Annotated[
        str, typer.Option(metavar="TEXT", help="What it does, in a sentence.")
    ] = "",
) -> None:
    """Add a signal. The next refresh works out its history, and nothing else."""
    if not _NAME.fullmatch(name):
        raise Refused(
            f"{name!r} can't be a signal's name",
            "It has small letters, digits and _, a letter first: ema_12_26_both.",
        )
    params = typed.parameters(parameters or [])
    with _connect() as conn:
        added = queries.add(conn, name, kind.lower(), params, description=description)
    if added is None:
        raise Refused(
            f"there is a signal {name} already",
            "`ta-lab2 signals list` shows it; name this otherwise.",
        )
    console.say(f"signal {added.signal_id}: {name}; `ta-lab2 refresh` works out its history")


@app.command()
def deactivate(name: Name) -> None:
    """Stop a signal. Its rows stay as they are."""
    _switch(name, on=False)
    console.say(f"{name} is off: its rows stay as they are")


@app.command()
def activate(name: Name) -> None:
    """Switch a signal on again. The next refresh works out what it missed."""
    _switch(name, on=True)
    console.say(f"{name} is on: `ta-lab2 refresh` works out what it missed")


def _switch(name: str, *, on: bool) -> None:
    """Switch one on or off; refuse a name that none has."""
    with _connect() as conn:
        found = queries.switch(conn, name, on=on)
    if found is None:
        raise Refused(f"there is no signal {name}", "`ta-lab2 signals list` lists them.")


def _typed(params: dict[str, Any]) -> list[str]:
    """Return parameters as they are typed."""
    return [f"{name}={str(value).lower()}" for name, value in params.items()]


def _rule(rule: dict[str, Any]) -> str:
    """Return what a parameter may be."""
    span = {"boolean": "true, false", "direction": "long, short, both"}.get(
        rule["kind"], f"{rule.get('min')} to {rule.get('max')}"
    )
    if "default" not in rule:
        return f" ({span})"
    default = rule["default"]
    return f"={'none' if default is None else str(default).lower()} ({span})"
