"""Rows of spans of days under one axis of days: which bar holds which days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from ta_lab2.charts.panels import COLOURS, FAINT, GRID, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PALE: Final = 0.22
_HEIGHT: Final = 0.62
#: The width of a letter of a label, in days.
_LETTER: Final = 0.33


@dataclass(frozen=True, slots=True)
class Span:
    """A span of days, drawn pale, and the part of it that is drawn in full colour.

    Args:
        first: the first day of all of it; last, the last one.
        inner_first: the first day in full colour; inner_last, the last one.
        label: what stands on it; what comes before a colon, where there is no room.
        is_marked: whether it is hatched.
    """

    first: date
    last: date
    inner_first: date
    inner_last: date
    label: str
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A name at the left, a note below it, and spans that don't overlap."""

    name: str
    note: str
    spans: Sequence[Span]


def draw(
    axes: Axes,
    rows: Sequence[Row],
    *,
    first: date,
    last: date,
    open_days: Sequence[date],
    short_days: Sequence[date],
    since: date,
) -> None:
    """Draw the rows from above, over a strip of days: filled if open, half if short."""
    one = timedelta(days=1)
    days = [first + at * one for at in range((last - first).days + 1)]
    opened, short = set(open_days), set(short_days)
    # Days that are closed, through all rows.
    for day in days:
        if day not in opened:
            at = _place(day)
            axes.axvspan(at, at + 1, color=GRID, alpha=0.55, linewidth=0, zorder=0)
    axes.axvline(_place(since), color=INK, linewidth=1.2, zorder=2.8)
    for at, row in enumerate(rows):
        colour = COLOURS[at % len(COLOURS)]
        for span in row.spans:
            _draw_span(axes, at, span, colour, first=first, last=last)
    for day in days:
        weekday = day.strftime("%a")[:2]
        colour = INK if day in opened else FAINT
        axes.text(
            _place(day) + 0.5, -0.86, f"{weekday}\n{day.day}",
            ha="center", va="center", fontsize=5.6, color=colour, linespacing=1.25,
        )  # fmt: skip
        if day in short:
            axes.text(
                _place(day) + 0.5, -1.33, "short", ha="center", va="center",
                fontsize=5.2, color=COLOURS[1],
            )  # fmt: skip
    axes.text(
        _place(since) + 0.1, -1.75, "first candle", ha="left", va="center", fontsize=6.5, color=INK
    )
    axes.set_xlim(_place(first), _place(last) + 1)
    axes.set_ylim(len(rows) - 0.4, -1.95)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    for at, (tick, row) in enumerate(zip(axes.get_yticklabels(), rows, strict=True)):
        tick.set(color=INK, fontsize=8, va="bottom")
        axes.annotate(
            row.note, (0, at), (-5, -2), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va="top", fontsize=5.8, color=FAINT,
        )  # fmt: skip
    axes.set_xticks([])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _draw_span(axes: Axes, row: int, span: Span, colour: str, *, first: date, last: date) -> None:
    """Draw one span, cut at both ends of the axis, its label in the middle of what is seen."""
    for begin, end, alpha in (
        (span.first, span.last, _PALE),
        (span.inner_first, span.inner_last, 1.0),
    ):
        left = max(_place(begin), _place(first)) + (0.07 if begin >= first else 0)
        right = min(_place(end), _place(last)) + (0.93 if end <= last else 1)
        if right <= left:
            continue
        axes.barh(
            row, right - left, height=_HEIGHT, left=left, color=colour, alpha=alpha,
            linewidth=0, zorder=2,
        )  # fmt: skip
        if span.is_marked and alpha == 1.0:
            axes.barh(
                row, right - left, height=_HEIGHT, left=left, color="none", hatch="////",
                edgecolor="white", linewidth=0, alpha=0.45, zorder=2.5,
            )  # fmt: skip
        if alpha == 1.0:
            fits = right - left > _LETTER * len(span.label)
            axes.text(
                (left + right) / 2, row, span.label if fits else span.label.split(":")[0],
                ha="center", va="center", fontsize=6.2, color="white", zorder=3,
                fontweight="bold",
            )  # fmt: skip


def _place(day: date) -> float:
    """Return a day's place on the axis."""
    return float(day.toordinal())
