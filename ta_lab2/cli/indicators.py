"""``ta-lab2 indicators``: which technical indicators refreshes work out."""

from __future__ import annotations

from typing import Annotated

import psycopg
import typer
from rich import box
from rich.table import Table

from ta_lab2.cli import console, typed
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused
from ta_lab2.features import queries

app = typer.Typer(
    no_args_is_help=True,
    help="The technical indicators: list, kinds, add, deactivate, activate.",
)

Name = Annotated[
    str, typer.Argument(metavar="COLUMN", help="One of its columns, or its id: `list` shows both.")
]


def _connect() -> psycopg.Connection:
    return psycopg.connect(app_conninfo(), application_name="ta-lab2 indicators")


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    for name in names:
        table.add_column(name, justify="right" if name == "id" else "left", overflow="fold")
    return table


@app.command("list")
def list_() -> None:
    """List the indicators that are configured, with their columns in cmc_ta_daily."""
    with _connect() as conn:
        found = queries.indicators(conn)
    table = _table("id", "indicator", "columns", "active")
    for each in found:
        table.add_row(
            str(each.indicator_id),
            _name(each),
            "\n".join(each.columns),
            "yes" if each.is_active else "no",
        )
    console.out.print(table)


@app.command()
def kinds() -> None:
    """List the kinds of indicators that can be added: parameters, their defaults and ranges."""
    with _connect() as conn:
        found = queries.indicator_kinds(conn)
    table = _table("kind", "parameters", "what it is")
    for each in found:
        rules = "\n".join(
            f"{name}={rule['default']} ({rule['min']} to {rule['max']})"
            for name, rule in each.parameters.items()
        )
        table.add_row(each.kind, rules, each.description)
    console.out.print(table)


@app.command()
def add(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Such as rsi; `kinds` lists them.")],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Such as period=28; others by default."),
    ] = None,
) -> None:
    """Add an indicator. The next refresh adds its columns and fills their history."""
    params = typed.parameters(parameters or [])
    with _connect() as conn:
        added = queries.add_indicator(conn, kind.lower(), params)
        standing = None if added else queries.indicator_with(conn, kind.lower(), params)
    if added:
        console.say(
            f"indicator {added.indicator_id}: {', '.join(added.columns)};"
            " `ta-lab2 refresh` fills its history"
        )
    elif standing and not standing.is_active:
        raise Refused(
            f"{_name(standing)} is there already, switched off",
            f"`ta-lab2 indicators activate {standing.indicator_id}` switches it on.",
        )
    elif standing:
        console.say(f"indicator {standing.indicator_id}: {_name(standing)} is there already")


@app.command()
def deactivate(name: Name) -> None:
    """Stop an indicator. Its columns stay, with the values that they have."""
    each = _switch(name, on=False)
    console.say(f"{_name(each)} is off: what is in {', '.join(each.columns)} stays as it is")


@app.command()
def activate(name: Name) -> None:
    """Switch an indicator on again. The next refresh fills what it missed."""
    each = _switch(name, on=True)
    console.say(f"{_name(each)} is on: `ta-lab2 refresh` fills what it missed")


def _switch(name: str, *, on: bool) -> queries.Indicator:
    """Switch one on or off; refuse a name that none has."""
    with _connect() as conn:
        found = queries.switch_indicator(conn, name, on=on)
    if found is None:
        raise Refused(f"there is no indicator {name}", "`ta-lab2 indicators list` lists them.")
    return found


def _name(each: queries.Indicator) -> str:
    """Return how an indicator is typed."""
    return " ".join([each.kind, *(f"{name}={value}" for name, value in each.params.items())])
