"""What a backtest did: its equity over its drawdown, and its trades on the price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from ta_lab2.charts.panels import FAINT, GRID, INK, short
from ta_lab2.charts.vector import sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Told apart by colour-blind readers too.
STRATEGY: Final = "#0072B2"
BENCHMARK: Final = "#8C8C8C"
WON: Final = "#009E73"
LOST: Final = "#D55E00"
#: A figure is drawn for a page of this width, in pixels: a desktop's, a phone's.
WIDE: Final = 1000
NARROW: Final = 360


@dataclass(frozen=True, slots=True)
class Curve:
    """A run's equity and that of buy-and-hold, day by day, and how far each is below its peak."""

    days: Sequence[date]
    equity: Sequence[float]
    benchmark: Sequence[float | None]
    drawdown: Sequence[float]
    benchmark_drawdown: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Position:
    """A trade from its fill to its fill; one that is still open ends with the last close."""

    entered: date
    entry_price: float
    left: date
    exit_price: float
    is_long: bool
    is_open: bool
    won: bool


@dataclass(frozen=True, slots=True)
class Priced:
    """The closes of one asset and the trades in it."""

    symbol: str
    days: Sequence[date]
    closes: Sequence[float]
    positions: Sequence[Position]


def performance(name: str, curve: Curve, *, width: int = WIDE) -> str:
    """Return an SVG of the equity beside buy-and-hold, over the drawdowns of both."""
    height = 470 if width >= WIDE else 400
    title = f"Equity and drawdown, {curve.days[0]} to {curve.days[-1]}"
    with sheet(name, width, height, title=title) as made:
        above, below = made.figure.subplots(
            2, 1, sharex=True,
            gridspec_kw={**_margins(width), "height_ratios": (2.5, 1), "hspace": 0.16},
        )  # fmt: skip
        places = _places(curve.days)
        held = _known(curve.benchmark)
        above.plot(places, held, color=BENCHMARK, linewidth=1.1, label="Buy and hold")
        above.plot(places, curve.equity, color=STRATEGY, linewidth=1.6, label="Strategy")
        values = [value for value in (*curve.equity, *held) if value > 0]
        notes = _show_money(above, values, "Equity")
        above.set_title(notes, pad=18 if width >= WIDE else 22)
        handles, labels = above.get_legend_handles_labels()
        above.legend(
            handles[::-1], labels[::-1], loc="lower left", bbox_to_anchor=(-0.01, 0.985),
            ncols=2, borderpad=0, handlelength=1.4, columnspacing=1.4,
        )  # fmt: skip
        below.fill_between(places, curve.drawdown, 0, color=STRATEGY, alpha=0.25, linewidth=0)
        below.plot(places, curve.drawdown, color=STRATEGY, linewidth=0.9)
        below.plot(places, _known(curve.benchmark_drawdown), color=BENCHMARK, linewidth=0.8)
        _show_percent(below)
        below.set_title("Below the highest close so far")
        _show_days(below, curve.days, width)
    return made.svg


def trades(name: str, priced: Priced, *, width: int = WIDE) -> str:
    """Return an SVG of an asset's closes with each trade from its entry to its exit."""
    from matplotlib.lines import Line2D

    height = 330 if width >= WIDE else 300
    with sheet(name, width, height, title=f"Trades on the price of {priced.symbol}") as made:
        axes = made.figure.subplots(gridspec_kw=_margins(width))
        axes.plot(_places(priced.days), priced.closes, color="#B5B5B5", linewidth=0.9, zorder=2)
        crowded = len(priced.positions) > width / 12
        for position in priced.positions:
            colour = WON if position.won else LOST
            axes.plot(
                _places((position.entered, position.left)),
                (position.entry_price, position.exit_price),
                color=colour, linewidth=1.4, zorder=3,
                linestyle=(0, (2, 1.5)) if position.is_open else "solid",
            )  # fmt: skip
            axes.plot(
                _places((position.entered,)), (position.entry_price,),
                marker="^" if position.is_long else "v", markersize=3.5 if crowded else 6,
                color=colour, markeredgecolor="white", markeredgewidth=0.4, zorder=4,
            )  # fmt: skip
            if not position.is_open:
                axes.plot(
                    _places((position.left,)), (position.exit_price,), marker="o",
                    markersize=2.5 if crowded else 4, color=colour,
                    markeredgecolor="white", markeredgewidth=0.4, zorder=4,
                )  # fmt: skip
        axes.set_title(_show_money(axes, priced.closes, f"{priced.symbol}, close in USD"), pad=20)
        marks = [
            Line2D([], [], color=WON, marker="^", markersize=5, label="won"),
            Line2D([], [], color=LOST, marker="^", markersize=5, label="lost"),
        ]
        if any(position.is_open for position in priced.positions):
            marks.append(Line2D([], [], color=INK, linestyle=(0, (2, 1.5)), label="still open"))
        axes.legend(
            handles=marks, loc="lower left", bbox_to_anchor=(-0.01, 0.985), ncols=3,
            borderpad=0, handlelength=1.6, columnspacing=1.4,
        )  # fmt: skip
        _show_days(axes, priced.days, width)
    return made.svg


def _margins(width: int) -> dict[str, float]:
    return {
        "left": 46 / width,
        "right": 1 - 12 / width,
        "top": 0.885,
        "bottom": 0.075,
    }


def _show_money(axes: Axes, values: Sequence[float], what: str) -> str:
    """Scale the axis of amounts, by logarithms where they span much; return what it is called."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = min(values), max(values)
    is_log = high > 4 * low
    if is_log:
        axes.set_yscale("log")
        subs = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0) if high < 12 * low else (1.0, 2.0, 5.0)
        axes.yaxis.set_major_locator(
            LogLocator(subs=subs if high < 500 * low else (1.0,), numticks=12)
        )
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    return f"{what} (log axis)" if is_log else what


def _show_percent(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:.0%}".replace("-", "\N{MINUS SIGN}"))
    )
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.axhline(0, color=FAINT, linewidth=0.7)


def _show_days(axes: Axes, days: Sequence[date], width: int) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    first, last = _places((days[0], days[-1]))
    if first < last:
        axes.set_xlim(first, last)
    locator = AutoDateLocator(minticks=3, maxticks=11 if width >= WIDE else 7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))


def _places(days: Sequence[date]) -> list[float]:
    from matplotlib.dates import date2num

    return [float(date2num(day)) for day in days]


def _known(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
