"""``ta-lab2 regimes``: the last regimes of the assets, and what they allow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ta_lab2 import charts
from ta_lab2.bars.names import asset_ids
from ta_lab2.cli import console
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused
from ta_lab2.regimes import queries


def regimes(
    assets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SYMBOL", help="Only these assets, by symbol, name or id; all by default."
        ),
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Draw one asset's trends into a .png file too."),
    ] = None,
) -> None:
    """Show the last regimes and what they allow together: months, weeks and days.

    A regime is trend-volatility-liquidity; docs/regimes.md says what the words mean.
    """
    if chart:
        if len(assets or ()) != 1:
            raise Refused("a chart shows one asset", "`ta-lab2 regimes BTC --chart btc.png`")
        charts.require()
        chart = charts.place(chart)
    with psycopg.connect(
        app_conninfo(), autocommit=True, application_name="ta-lab2 regimes"
    ) as conn:
        ids = asset_ids(conn, assets)
        found = queries.latest(conn, ids)
        drawn = queries.trends(conn, ids[0]) if chart and ids else None
    has = {row.id for row in found}
    lacking = [
        word for word, known in zip(assets or (), ids or (), strict=True) if known not in has
    ]
    if lacking or not found:
        raise Refused(
            f"there are no regimes of {', '.join(lacking) or 'any asset'} yet",
            "`ta-lab2 refresh` works them out; `ta-lab2 assets list` shows who has candles.",
        )
    console.out.print(table(found))
    if chart and drawn:
        charts.write(picture(drawn), chart)
        console.out.print(f"chart: {chart}", markup=False)


def picture(trends: queries.Trends) -> bytes:
    """Return the closes, coloured by the trend of each layer, as a PNG."""
    layers = [
        (name, charts.Labelled(trends.symbol, trends.days, trends.closes, labels))
        for name, labels in (
            ("L2: trend of the days", trends.daily),
            ("L1: trend of the weeks", trends.weeks),
            ("L0: trend of the months", trends.months),
        )
    ]
    return charts.regimes(
        layers,
        title=f"{trends.symbol}: close in USD and the trend that was known that day",
        source="Source: tables cmc_price_histories7 and cmc_regimes_daily.",
    )


def table(rows: list[queries.Regime]) -> Table:
    """Return a table of three lines an asset; the first says what they allow together."""
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    made.add_column("symbol", overflow="fold")
    for name in ("day", "layer", "regime"):
        made.add_column(name, no_wrap=True)
    for name in ("size", "stop"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("setups")
    for row in rows:
        allowed = "stand down" if row.stand_down else ", ".join(row.setups)
        first = (escape(row.symbol), str(row.day), "months", row.l0_key)
        made.add_row(*first, _number(row.size), _number(row.stop), allowed)
        made.add_row("", "", "weeks", row.l1_key, "", "", "")
        made.add_row("", "", "days", row.l2_key, "", "", "", end_section=True)
    return made


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
