"""What a chart draws of one asset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Line:
    """One asset of the chart: a row of ``ops.price_lines``.

    Args:
        days: every calendar day from the first candle to the last.
        index: the close of each day, with the first close as 100; None where a candle is missing.
        returns: the stored one-session return of each day.
        quantiles: of the returns, at 1, 25, 50, 75 and 99 %; None without any return.
        ends_early: whether other assets go on after the last day.
    """

    symbol: str
    days: Sequence[date]
    index: Sequence[float | None]
    returns: Sequence[float | None]
    quantiles: Sequence[float] | None
    ends_early: bool

    def end(self) -> tuple[date, float]:
        """Return the last candle: its day and its index."""
        return next(
            (day, value)
            for day, value in zip(reversed(self.days), reversed(self.index), strict=True)
            if value is not None
        )

    def candles(self) -> list[tuple[date, float]]:
        """Return the days that have a candle, with their index."""
        return [
            (day, value)
            for day, value in zip(self.days, self.index, strict=True)
            if value is not None
        ]

    def lone_candles(self) -> list[int]:
        """Return the positions of candles without a neighbour."""
        padded = [None, *self.index, None]
        return [
            at
            for at in range(len(self.index))
            if padded[at + 1] is not None and padded[at] is None and padded[at + 2] is None
        ]


def span(lines: Sequence[Line]) -> tuple[date, date]:
    """Return the first and the last day of them all."""
    return min(line.days[0] for line in lines), max(line.days[-1] for line in lines)
