"""A price whose line and background take the colour of the label that stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Final

from ta_lab2.charts.panels import FAINT, GRID, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Told apart by colour-blind readers too.
_COLOURS: Final = {
    "Up": "#009E73",
    "Sideways": "#8C8C8C",
    "Down": "#D55E00",
    "Unknown": "#CFCFCF",
}
_PALE: Final = 0.16


@dataclass(frozen=True, slots=True)
class Labelled:
    """The closes of one asset in order of time, in US dollars, and the label of each day."""

    symbol: str
    days: Sequence[date]
    closes: Sequence[float]
    labels: Sequence[str]


def draw(axes: Axes, line: Labelled, *, title: str, legend: bool = True) -> None:
    """Draw the closes on a log axis, each stretch of a label in its colour."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter

    places = [float(date2num(day)) for day in line.days]
    axes.set_yscale("log")
    for label, stretch in groupby(range(len(places)), key=lambda at: line.labels[at]):
        at = list(stretch)
        # To the next stretch's first day, so that the line has no holes.
        until = min(at[-1] + 1, len(places) - 1)
        colour = _COLOURS[label]
        axes.plot(
            places[at[0] : until + 1],
            line.closes[at[0] : until + 1],
            color=colour,
            linewidth=0.9,
            zorder=3,
        )
        axes.axvspan(places[at[0]], places[until], color=colour, alpha=_PALE, linewidth=0, zorder=0)
    locator = AutoDateLocator(minticks=4, maxticks=18)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.set_xlim(places[0], places[-1])
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_title(title, color=FAINT)
    if not legend:
        return
    present = [label for label in _COLOURS if label in line.labels]
    axes.legend(
        handles=[Patch(color=_COLOURS[label], label=label) for label in present],
        loc="upper left",
        frameon=False,
        fontsize=8,
        ncols=len(present),
    )
