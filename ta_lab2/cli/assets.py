"""``ta-lab2 assets``: what has prices, under which name, from where."""

from __future__ import annotations

from typing import Annotated

import psycopg
import typer
from rich import box
from rich.table import Table

from ta_lab2.bars import queries
from ta_lab2.cli import console
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused

app = typer.Typer(
    no_args_is_help=True, help="The assets: list, show, rename, session, delete prices."
)

AssetId = Annotated[int, typer.Argument(metavar="ID", help="CoinMarketCap's numeric id.")]


def _connect() -> psycopg.Connection:
    return psycopg.connect(app_conninfo(), application_name="ta-lab2 assets")


def _one(conn: psycopg.Connection, asset_id: int) -> queries.Asset:
    """Return an asset; refuse an id that none has."""
    found = queries.assets(conn, asset_id)
    if not found:
        raise Refused(f"there is no asset {asset_id}", "`ta-lab2 assets list` lists them.")
    return found[0]


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
            no_wrap=name not in {"name", "source"},
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
def show(asset_id: AssetId) -> None:
    """Show one asset: its candles, where they come from, and when they last changed."""
    with _connect() as conn:
        asset = _one(conn, asset_id)
    for name, value in (
        ("id", asset.id),
        ("symbol", asset.symbol),
        ("name", asset.slug),
        ("session", asset.session_id),
        ("source", asset.source or "none yet"),
        ("candles", f"{asset.candles:,}"),
        ("first", asset.first_day or "-"),
        ("last", asset.last_day or "-"),
        ("versions replaced", f"{asset.revisions:,}"),
        ("loads", f"{asset.loads:,}"),
        ("last change", asset.recorded_at or "-"),
    ):
        console.out.print(f"{name:18} {value}", markup=False)


@app.command()
def rename(
    asset_id: AssetId,
    symbol: Annotated[str | None, typer.Option(help="The new ticker.")] = None,
    name: Annotated[
        str | None, typer.Option(help="The new slug, as in the names of its files.")
    ] = None,
) -> None:
    """Give an asset another ticker or another name; its prices stay."""
    if not symbol and not name:
        raise Refused("no new name is given", "Give --symbol, --name or both.")
    with _connect() as conn:
        queries.rename(conn, asset_id, symbol=symbol or None, slug=(name or "").lower() or None)
        asset = _one(conn, asset_id)
    console.say(f"asset {asset.id} is {asset.symbol}, {asset.slug}")


@app.command()
def session(
    asset_id: AssetId,
    session_id: Annotated[
        str, typer.Argument(metavar="SESSION", help="A row of dim_sessions, such as EQUITY.")
    ],
) -> None:
    """Say when an asset's market is open. Only for an asset without prices: they go by it."""
    with _connect() as conn:
        queries.set_session(conn, asset_id, session_id)
        asset = _one(conn, asset_id)
    console.say(f"asset {asset.id}, {asset.symbol}, is of session {asset.session_id}")


@app.command()
def delete(
    asset_id: AssetId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
) -> None:
    """Delete an asset's prices. The revision log keeps daily ones; the next refresh follows."""
    with _connect() as conn:
        asset = _one(conn, asset_id)
        intraday = queries.intraday_candles(conn, asset_id)
        # Nothing is locked while somebody thinks.
        conn.rollback()
        of_which = f" and {intraday:,} intraday candles" if intraday else ""
        name = f"{asset.symbol} ({asset.slug})"
        question = f"Delete all {asset.candles:,} candles{of_which} of {name}?"
        if not console.confirm(question, yes=yes):
            raise typer.Exit(2)
        deleted = queries.delete_prices(conn, asset_id)
    console.say(
        f"{deleted:,} candles of {asset.symbol} are deleted; price_revisions keeps"
        f" {'the daily ones' if intraday else 'them'},"
        " `ta-lab2 refresh` removes what was computed from them"
    )
    if intraday:
        console.say("and of their bars of an hour and of a day: ta-lab2 refresh --intraday")
