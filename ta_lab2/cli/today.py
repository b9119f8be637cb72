"""``ta-lab2 today``: open positions, and what was entered and exited on the last closed bar."""

from __future__ import annotations

from typing import Annotated, Final

import psycopg
import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ta_lab2.bars.names import asset_ids
from ta_lab2.cli import console
from ta_lab2.counted import counted
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused
from ta_lab2.signals import queries

#: Of the assets whose data end before the others', so many are named.
NAMED: Final = 6


def today(
    assets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SYMBOL", help="Only these assets, by symbol, name or id; all by default."
        ),
    ] = None,
) -> None:
    """Show what the signals say: open positions, entries and exits of the last closed bar.

    Prices are closes, gains before costs. exit at: the close below which (for a short: above which)
    an atr_breakout would exit.
    """
    with psycopg.connect(app_conninfo(), autocommit=True, application_name="ta-lab2 today") as conn:
        ids = asset_ids(conn, assets)
        seen = queries.last_bars(conn, ids)
        found = queries.today(conn, ids)
    known = {each.id for each in seen}
    lacking = [word for word, id_ in zip(assets or (), ids or (), strict=True) if id_ not in known]
    if lacking or not seen:
        raise Refused(
            f"there are no signals of {', '.join(lacking) or 'any asset'} yet",
            "`ta-lab2 refresh` works them out; `ta-lab2 assets list` shows who has candles.",
        )
    if found:
        console.out.print(table(found))
    console.say(f"{counted(len(found), 'line')}; the last bar is of {seen[-1].day}")
    behind = [each for each in seen if each.day < seen[-1].day]
    if behind:
        console.say(f"not of that day, with the last bar that there is: {_listed(behind)}")


def table(rows: list[queries.Standing]) -> Table:
    """Return a line for each position and exit."""
    made = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    made.add_column("symbol", overflow="fold")
    made.add_column("signal", overflow="fold")
    for name in ("today", "since"):
        made.add_column(name, no_wrap=True)
    for name in ("entry", "close", "gain", "exit at"):
        made.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(
            escape(row.symbol),
            row.signal_name,
            f"{row.event} {row.direction}",
            str(row.entry_day),
            _price(row.entry_price),
            _price(row.close),
            f"{row.pnl_pct:+,.1%}" if abs(row.pnl_pct) < 10 else f"{row.pnl_pct:+,.0%}",
            "" if row.exit_level is None else _price(row.exit_level),
        )
    return made


def _listed(behind: list[queries.LastBar]) -> str:
    """Return the assets whose bars end earlier; of many, the first ones."""
    named = [f"{each.symbol} {each.day}" for each in behind[:NAMED]]
    more = [f"{len(behind) - NAMED:,} more"] if len(behind) > NAMED else []
    return ", ".join(named + more)


def _price(value: float) -> str:
    """Return a price in as few letters as tell it: all columns have to fit a terminal."""
    return f"{value:.{6 if value >= 1 else 5 if value >= 0.001 else 3}g}"
