"""The two panels of a chart of prices: the index above, the returns below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from ta_lab2.charts.line import Line, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe and Ito's colours, which colour-blind readers can tell apart, without the yellow, too
#: pale for a line; then three of Paul Tol's. Dashes tell the second and third round.
COLOURS: Final = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333",
    "#882255", "#999933", "#6655BB",
)  # fmt: skip
DASHES: Final = ("solid", (0, (4, 1.5)), (0, (1.2, 1.2)))
INK: Final = "#222222"
FAINT: Final = "#6B6B6B"
GRID: Final = "#E3E3E3"
DPI: Final = 160


def draw_index(axes: Axes, lines: Sequence[Line]) -> None:
    """Draw every asset's index on a log axis, its name at the end of its line."""
    from matplotlib.ticker import AutoLocator, FuncFormatter, LogLocator, NullLocator

    first, last = span(lines)
    three_quarters = first + 3 * (last - first) / 4
    for at, line in enumerate(lines):
        lone = line.lone_candles()
        axes.plot(
            [_position(day) for day in line.days],
            [math.nan if value is None else value for value in line.index],
            color=_colour(at),
            linestyle=_dash(at),
            linewidth=1.1 if len(lines) <= 8 else 0.85,
            # A candle between two gaps is no line; as a point it can be seen.
            marker="o" if lone else None,
            markevery=lone or None,
            markersize=2.2,
        )
        if None in line.index:
            # Under the line: only in a gap is it seen.
            axes.plot(
                [_position(day) for day, _ in line.candles()],
                [value for _, value in line.candles()],
                color=_colour(at),
                linestyle=":",
                linewidth=0.8,
            )
        if line.ends_early:
            _mark_end(axes, line, _colour(at), with_date=line.days[-1] < three_quarters)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(
        LogLocator(subs=(1.0, 2.0, 5.0) if high < 2000 * low else (1.0,), numticks=14)
        if high > 4 * low
        else AutoLocator()
    )
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.axhline(100, color=FAINT, linewidth=0.6, zorder=0.5)
    axes.grid(color=GRID, linewidth=0.6)
    _show_days(axes, first, last)
    notes = ["log axis"]
    if any(None in line.index for line in lines):
        notes.append("dotted: no candles")
    if any(line.ends_early for line in lines):
        notes.append("cross: the history ends")
    axes.set_title(f"Close, each asset's first close = 100 ({'; '.join(notes)})", color=FAINT)
    _label_ends(axes, lines)


def _mark_end(axes: Axes, line: Line, colour: str, *, with_date: bool) -> None:
    """Mark where a history ends while others go on; at the right there is no room for a date."""
    from matplotlib.patheffects import withStroke

    day, value = line.end()
    axes.plot(
        [_position(day)],
        [value],
        marker="X",
        markersize=6,
        markeredgecolor="white",
        markeredgewidth=0.6,
        color=colour,
        zorder=5,
    )
    if not with_date:
        return
    axes.annotate(
        f"ends {day}",
        xy=(_position(day), value),
        xytext=(7, 3),
        textcoords="offset points",
        color=colour,
        fontsize=6.5,
        path_effects=[withStroke(linewidth=2, foreground="white")],
        zorder=6,
    )


def _show_days(axes: Axes, first: date, last: date) -> None:
    """Let the x axis run over these days."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if first < last:
        axes.set_xlim(_position(first), _position(last))
    locator = AutoDateLocator(minticks=4, maxticks=10)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _label_ends(axes: Axes, lines: Sequence[Line]) -> None:
    """Write each asset's name and last index beside its line's end, none over another."""
    to_axes = axes.transScale + axes.transLimits
    ends = []
    for at, line in enumerate(lines):
        day, value = line.end()
        x, y = to_axes.transform((_position(day), value))
        ends.append((y, x, at, line, value))
    ends.sort(key=lambda end: end[:3])
    size = 8.0 if len(lines) <= 16 else 6.5
    height_in_points = axes.get_window_extent().height * 72 / DPI
    places = _spread([end[0] for end in ends], room=1.35 * size / height_in_points)
    for place, (y, x, at, line, value) in zip(places, ends, strict=True):
        axes.annotate(
            "",
            xy=(x, y),
            xytext=(1.018, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            arrowprops={
                "arrowstyle": "-",
                "color": _colour(at),
                "linewidth": 0.6,
                "linestyle": (0, (1, 2)) if line.ends_early else "solid",
                "alpha": 0.75,
                "shrinkA": 0,
                "shrinkB": 0,
            },
            annotation_clip=False,
        )
        axes.annotate(
            f"{_cut(line.symbol, 11)}  {short(value)}",
            xy=(1.022, place),
            xycoords="axes fraction",
            verticalalignment="center",
            color=_colour(at),
            fontsize=size,
            annotation_clip=False,
        )


def _spread(wanted: Sequence[float], *, room: float) -> list[float]:
    """Return places within 0 and 1, ``room`` apart and near the wanted ones, which ascend.

    Neighbours that are too near form a block round their mean, until no two blocks touch.
    """
    if len(wanted) > 1:
        room = min(room, 1 / (len(wanted) - 1))
    blocks: list[tuple[float, int]] = []
    for place in wanted:
        blocks.append((place, 1))
        while len(blocks) > 1:
            (below, n_below), (above, n_above) = blocks[-2:]
            if above - below >= room * (n_below + n_above) / 2:
                break
            n = n_below + n_above
            blocks[-2:] = [((below * n_below + above * n_above) / n, n)]
    places = [middle + room * (at - (n - 1) / 2) for middle, n in blocks for at in range(n)]
    # Both rims push inwards, each place as far as it must and no further.
    for at, place in enumerate(places):
        places[at] = max(place, room * at)
    for at, place in enumerate(places):
        places[at] = min(place, 1 - room * (len(places) - 1 - at))
    return places


def draw_returns_over_time(axes: Axes, line: Line) -> None:
    """Draw one asset's returns, day by day."""
    known = [
        (_position(day), value)
        for day, value in zip(line.days, line.returns, strict=True)
        if value is not None
    ]
    if known:
        days, values = zip(*known, strict=True)
        axes.vlines(days, 0, values, color=_colour(0), linewidth=0.7)
        _show_days(axes, line.days[0], line.days[-1])
    _finish_returns(axes, "One-session returns", empty=not known)


def draw_returns_by_asset(axes: Axes, lines: Sequence[Line]) -> None:
    """Draw how each asset's returns are distributed: a box of quantiles for each."""
    drawn = False
    for at, line in enumerate(lines):
        if line.quantiles is None:
            continue
        p01, p25, p50, p75, p99 = line.quantiles
        axes.vlines(at, p01, p99, color=_colour(at), linewidth=1.4)
        axes.fill_between((at - 0.11, at + 0.11), p25, p75, color=_colour(at), linewidth=0)
        axes.hlines(p50, at - 0.17, at + 0.17, color=INK, linewidth=0.9, zorder=5)
        drawn = True
    axes.set_xticks(range(len(lines)), [_cut(line.symbol, 9) for line in lines])
    axes.tick_params(axis="x", length=0, labelsize=8 if len(lines) <= 16 else 6)
    for at, label in enumerate(axes.get_xticklabels()):
        label.set_color(_colour(at))
    axes.set_xlim(-0.6, len(lines) - 0.4)
    _finish_returns(
        axes,
        "One-session returns: box = middle half of all days, tick = median,"
        " whiskers = 1st to 99th percentile",
        empty=not drawn,
    )


def _finish_returns(axes: Axes, title: str, *, empty: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0.5)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _percent(value)))
    axes.set_title(title, color=FAINT)
    if empty:
        axes.set_yticks([])
        axes.text(
            0.5, 0.5, "no returns yet", transform=axes.transAxes, ha="center", va="center",
            color=FAINT,
        )  # fmt: skip


def _position(day: date) -> float:
    """Return where a day is on the x axis."""
    from matplotlib.dates import date2num

    return float(date2num(day))


def _colour(at: int) -> str:
    return COLOURS[at % len(COLOURS)]


def _dash(at: int) -> str | tuple[int, tuple[float, float]]:
    return DASHES[at // len(COLOURS) % len(DASHES)]


def _cut(symbol: str, most: int) -> str:
    return symbol if len(symbol) <= most else symbol[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def short(value: float) -> str:
    """Return a number in at most six characters: 0.012, 88.2, 1,234, 12.3k, 4.5M."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            unit = 1e3 if letter == "k" else size
            return f"{value / unit:.3g}{letter}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _percent(value: float) -> str:
    """Return a fraction as a percentage, without needless decimals and with a true minus."""
    return f"{round(100 * value, 6):g} %".replace("-", "\N{MINUS SIGN}")
