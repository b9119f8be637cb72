"""A run as one page of HTML: nothing is fetched, the same run always gives the same bytes.

The template escapes whatever it is given; only figures, which are drawn here, stand as they are.
jinja2 and matplotlib come with the extra ``charts``.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from psycopg import Connection

import ta_lab2
from ta_lab2 import charts
from ta_lab2.backtest import report_rows
from ta_lab2.backtest.report_rows import Month, Report
from ta_lab2.backtest.runs import Metric, Run
from ta_lab2.backtest.words import (
    bare,
    count,
    day,
    moment,
    money,
    percent,
    price,
    signed,
    tone,
    valued,
    words,
)
from ta_lab2.charts import performance
from ta_lab2.errors import Refused

if TYPE_CHECKING:
    from jinja2 import Environment

_SIZINGS: Final = {
    "all_in": "all in",
    "fixed_fraction": "fixed fraction",
    "volatility_target": "volatility target",
}
_FILLS: Final = {
    "next_open": "at the open of the bar after the signal's",
    "next_close": "at the close of the bar after the signal's",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """The same picture for two widths of the page."""

    wide: str
    narrow: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A key figure, and what stands beside it."""

    what: str
    value: str
    beside: str
    formula: str
    tone: str = ""


def require() -> None:
    """Refuse, before any work is done, when a package that draws is not installed."""
    charts.require()
    if find_spec("jinja2") is None:
        raise Refused(
            "a report needs jinja2, which is not installed", "Run `pip install 'ta-lab2[charts]'`."
        )


def html(conn: Connection, run_id: UUID) -> str:
    """Return the page of a run."""
    require()
    return render(report_rows.load(conn, run_id))


def render(report: Report) -> str:
    """Return the page that shows these rows."""
    run = report.run
    by_name = {each.metric: each for each in report.metrics}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            assets=report.symbols,
            universe=_universe(report.symbols),
            is_synthetic=report.is_synthetic,
            segments=report.segments,
            tiles=_tiles(by_name, report.benchmark_drawdown),
            performance=Figure(
                performance.performance("equity", report.curve),
                performance.performance("equity-n", report.curve, width=performance.NARROW),
            ),
            months=calendar.month_abbr[1:],
            years=_years(report.months),
            drawdowns=report.drawdowns,
            prices=[
                Figure(
                    performance.trades(f"price{at}", each),
                    performance.trades(f"price{at}-n", each, width=performance.NARROW),
                )
                for at, each in enumerate(report.prices)
            ],
            trades=report.trades,
            trade_count=report.trade_count,
            metrics=report.metrics,
            cautions=report.cautions,
            assumptions=_assumptions(run, report.symbols),
            version=ta_lab2.__version__,
        )
    )


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=PackageLoader("ta_lab2.backtest"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def figure(drawn: Figure) -> Markup:
        # matplotlib has escaped every text in it.
        return Markup(  # noqa: S704
            f'<figure><div class="wide">{drawn.wide}</div>'
            f'<div class="narrow">{drawn.narrow}</div></figure>'
        )

    made.globals["figure"] = figure
    made.filters |= {
        "bare": bare,
        "count": count,
        "day": day,
        "hex": bytes.hex,
        "moment": moment,
        "money": money,
        "percent": percent,
        "price": price,
        "signed": signed,
        "tone": tone,
        "valued": valued,
        "words": words,
    }
    return made


def _universe(symbols: list[str]) -> str:
    """Return the assets in a line; of many, the first ones."""
    if len(symbols) <= 6:
        return ", ".join(symbols)
    return f"{', '.join(symbols[:5])} and {len(symbols) - 5} more"


def _tiles(metrics: dict[str, Metric], benchmark_drawdown: float | None) -> list[Tile]:
    def tile(what: str, name: str, beside: str, *, tone_: str = "") -> Tile:
        each = metrics[name]
        return Tile(what, valued(each), beside, each.formula, tone_)

    def told(name: str) -> str:
        return valued(metrics[name])

    return [
        tile(
            "Total return",
            "total_return",
            f"buy and hold {told('benchmark_return')}",
            tone_=tone(metrics["total_return"].value),
        ),
        tile("CAGR", "cagr", f"volatility {told('volatility')}"),
        tile("Sharpe", "sharpe", f"Sortino {told('sortino')}"),
        tile(
            "Max drawdown",
            "max_drawdown",
            f"{told('max_drawdown_days')} days; buy and hold {percent(benchmark_drawdown, 1)}",
        ),
        tile(
            "Win rate",
            "win_rate",
            f"{told('trades')} closed trades, profit factor {told('profit_factor')}",
        ),
        tile("In the market", "time_in_market", f"beta {told('beta')}, alpha {told('alpha')}"),
    ]


def _years(months: list[Month]) -> list[dict[str, Any]]:
    """Return a line for each year: its twelve months, None where the run was not, and itself."""
    lines = []
    for year, group in groupby(months, key=lambda each: each.year):
        cells = {each.month: each for each in group}
        total = cells[0]
        lines.append(
            {
                "year": year,
                "cells": [cells.get(month) for month in range(1, 13)],
                "value": total.value,
                "shade": total.shade,
            }
        )
    return lines


def _assumptions(run: Run, symbols: list[str]) -> list[tuple[str, str]]:
    """Return what the run was told, a name and a text each."""
    asked = [
        f"from {day(run.from_ts)}" if run.from_ts else "",
        f"to {day(run.to_ts)}" if run.to_ts else "",
    ]
    sizing = f"{_SIZINGS[run.sizing]}: {percent(run.fraction, 0)} of cash"
    if run.sizing == "volatility_target":
        sizing += f", less where volatility is over {percent(run.vol_target, 0)} a year"
    return [
        ("Signal", f"{run.signal_name}: {run.signal_type}, version {run.signal_version}"),
        ("Parameters", ", ".join(f"{name} {value}" for name, value in sorted(run.params.items()))),
        ("Assets", ", ".join(symbols)),
        ("Range asked", " ".join(filter(None, asked)) or "all candles"),
        ("Capital", money(run.capital)),
        ("Sizing", sizing),
        ("Capital limit", f"positions of at most {percent(run.capital_limit, 0)} of equity"),
        ("Fill", _FILLS[run.fill]),
        (
            "Costs",
            f"{run.cost_model}: fee {run.fee_bps:g} and slippage {run.slippage_bps:g} bps a fill,"
            f" funding {run.funding_bps:g} bps a day",
        ),
        ("A year", f"{run.annualisation_days} bars"),
    ]
