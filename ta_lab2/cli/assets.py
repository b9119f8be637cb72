"""``ta-lab2 assets``: what has prices, under which name, from where."""

from __future__ import annotations

from typing import Annotated

import psycopg
import typer
from rich import box
from rich.table import Table

from ta_lab2.bars import queries
from ta_lab2.bars.names import asset_id
from ta_lab2.cli import console
from ta_lab2.counted import counted
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused

app = typer.Typer(
    no_args_is_help=True, help="The assets: list, show, rename, session, delete prices."
)

AssetName = Annotated[str, typer.Argument(metavar="ASSET", help="Its symbol, its name or its id.")]


def _connect() -> psycopg.Connection:
    return psycopg.connect(app_conninfo(), application_name="ta-lab2 assets")


def _one(conn: psycopg.Connection, asset: str) -> queries.Asset:
    """Return the asset that is meant; refuse a word that means none."""
    return queries.assets(conn, asset_id(conn, asset))[0]


@app.command("list")
def list_() -> None:
    """List every asset: names, source, and the range of its candles."""
    with _connect() as conn:
        found = queries.assets(conn)
    if not found:
        console.say("there is no asset yet: `ta-lab2 ingest FILE...` loads prices")
        return
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    for name in ("id", "symbol", "name", "source", "candles", "first", "last"):
        table.add_column(
            name,
            justify="right" if name in {"id", "candles"} else "left",
            overflow="fold",
            no_wrap=name not in {"symbol", "name", "source"},
        )
    for each in found:
        table.add_row(
            str(each.id),
            each.symbol,
            each.slug,
            each.source or "-",
            f"{each.candles:,}",
            str(each.first_day or "-"),
            str(each.last_day or "-"),
        )
    console.out.print(table)


@app.command()
def show(asset: AssetName) -> None:
    """Show one asset: its candles, where they come from, and when they last changed."""
    with _connect() as conn:
        found = _one(conn, asset)
    for name, value in (
        ("id", found.id),
        ("symbol", found.symbol),
        ("name", found.slug),
        ("session", found.session_id),
        ("source", found.source or "none yet"),
        ("candles", f"{found.candles:,}"),
        ("first", found.first_day or "-"),
        ("last", found.last_day or "-"),
        ("versions replaced", f"{found.revisions:,}"),
        ("loads", f"{found.loads:,}"),
        ("last change", found.recorded_at or "-"),
    ):
        console.out.print(f"{name:18} {value}", markup=False)


@app.command()
def rename(
    asset: AssetName,
    symbol: Annotated[str | None, typer.Option(metavar="TICKER", help="The new ticker.")] = None,
    name: Annotated[
        str | None, typer.Option(metavar="SLUG", help="The new slug, as in the names of its files.")
    ] = None,
) -> None:
    """Give an asset another ticker or another name; its prices stay."""
    if not symbol and not name:
        raise Refused("no new name is given", "Give --symbol, --name or both.")
    with _connect() as conn:
        known = asset_id(conn, asset)
        queries.rename(conn, known, symbol=symbol or None, slug=(name or "").lower() or None)
        found = _one(conn, str(known))
    console.say(f"asset {found.id} is {found.symbol}, {found.slug}")


@app.command()
def session(
    asset: AssetName,
    session_id: Annotated[
        str, typer.Argument(metavar="SESSION", help="A row of dim_sessions, such as EQUITY.")
    ],
) -> None:
    """Say when an asset's market is open. Only for an asset without prices: they go by it."""
    with _connect() as conn:
        queries.set_session(conn, asset_id(conn, asset), session_id)
        found = _one(conn, asset)
    console.say(f"asset {found.id}, {found.symbol}, is of session {found.session_id}")


@app.command()
def delete(
    asset: AssetName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
) -> None:
    """Delete an asset's prices. The revision log keeps daily ones; the next refresh follows."""
    with _connect() as conn:
        found = _one(conn, asset)
        intraday = queries.intraday_candles(conn, found.id)
        # Nothing is locked while somebody thinks.
        conn.rollback()
        of_which = f" and {counted(intraday, 'intraday candle')}" if intraday else ""
        name = f"{found.symbol} ({found.slug})"
        question = f"Delete {counted(found.candles, 'candle')}{of_which} of {name}?"
        if not console.confirm(question, yes=yes):
            raise typer.Exit(2)
        deleted = queries.delete_prices(conn, found.id)
    console.say(
        f"{counted(deleted, 'candle')} of {found.symbol} deleted; price_revisions keeps"
        f" {'the daily ones' if intraday else 'them'},"
        " `ta-lab2 refresh` removes what was computed from them"
    )
    if intraday:
        console.say("and of their bars of an hour and of a day: ta-lab2 refresh --intraday")
