"""A panel of candles: the bars of one timeframe with their EMAs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from ta_lab2.charts.panels import FAINT, GRID, short
from ta_lab2.counted import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Up and down, told apart by colour-blind readers too; then the EMAs, the shortest first.
_UP: Final = "#009E73"
_DOWN: Final = "#D55E00"
_EMAS: Final = ("#0072B2", "#CC79A7", "#333333")
_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Candles:
    """Bars of one asset and timeframe in order of time: a row of ``ops.candles``, in US dollars.

    Args:
        days: the date of each bar's close.
        emas: per bar one value for each of ``periods``; None before the period has its bars.
    """

    symbol: str
    tf: str
    days: Sequence[date]
    opens: Sequence[float]
    highs: Sequence[float]
    lows: Sequence[float]
    closes: Sequence[float]
    periods: Sequence[int]
    emas: Sequence[Sequence[float | None]]


def draw_candles(axes: Axes, candles: Candles) -> None:
    """Draw the bars side by side on a log axis, each EMA as a line."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    places = range(len(candles.days))
    rising = [close >= start for start, close in zip(candles.opens, candles.closes, strict=True)]
    colours = [_UP if up else _DOWN for up in rising]
    # A body of at least a hair: one that opens where it closes would be invisible.
    body = max(1.0, 150 / len(candles.days))
    axes.vlines(places, candles.lows, candles.highs, colors=colours, linewidth=0.5)
    axes.vlines(
        places,
        candles.opens,
        candles.closes,
        colors=colours,
        linewidth=min(body, 6.0),
        capstyle="butt",
    )
    for at, period in enumerate(candles.periods):
        axes.plot(
            places,
            [math.nan if (value := row[at]) is None else value for row in candles.emas],
            color=_EMAS[at % len(_EMAS)],
            linewidth=0.9,
            label=f"EMA {period}",
        )
    axes.set_yscale("log")
    low, high = min(candles.lows), max(candles.highs)
    axes.yaxis.set_major_locator(
        LogLocator(subs=(1.0, 2.0, 5.0), numticks=9) if high > 4 * low else MaxNLocator(5)
    )
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    step = max(1, math.ceil(len(candles.days) / _TICKS))
    shown = range(0, len(candles.days), step)
    days = (candles.days[-1] - candles.days[0]).days
    form = "%d %b" if days < 300 else "%b %Y" if days < 3 * 365 else "%Y"
    axes.set_xticks(list(shown), [candles.days[at].strftime(form) for at in shown])
    axes.tick_params(labelsize=6.5)
    axes.set_xlim(-1, len(candles.days))
    bars = counted(len(candles.days), "bar")
    axes.set_title(f"{candles.symbol}  {candles.tf}, {bars}", color=FAINT)
