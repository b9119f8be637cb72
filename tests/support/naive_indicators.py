"""Indicators the slow way, from their definitions, without numpy; None is null."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

Values = list[float | None]
Candles = Sequence[Sequence[float]]
OPEN, HIGH, LOW, CLOSE, VOLUME = range(5)


def of(rows: Candles, column: int) -> list[float]:
    """One column of the candles."""
    return [row[column] for row in rows]


def window(values: Sequence[float], end: int, length: int) -> Sequence[float] | None:
    """The last so many values up to that place, if there are so many."""
    return values[end - length + 1 : end + 1] if end >= length - 1 else None


def smoothed(values: Sequence[float], period: int, weight: float) -> Values:
    """An exponential mean from the mean of the first values on."""
    found: Values = []
    now = 0.0
    for n, x in enumerate(values, 1):
        now = math.fsum(values[:n]) / n if n <= period else weight * x + (1 - weight) * now
        found.append(now if n >= period else None)
    return found


def led(count: int, values: Values) -> Values:
    """The values with so many nulls before them."""
    return [None] * count + values


def rsi(rows: Candles, period: int) -> list[Values]:
    close = of(rows, CLOSE)
    steps = [b - a for a, b in pairwise(close)]
    gains = smoothed([max(step, 0.0) for step in steps], period, 1 / period)
    losses = smoothed([max(-step, 0.0) for step in steps], period, 1 / period)
    found: Values = []
    for gain, loss in zip(gains, losses, strict=True):
        if gain is None or loss is None:
            found.append(None)
        else:
            found.append(100 * gain / (gain + loss) if gain + loss else 0.0)
    return [led(min(len(close), 1), found)]


def macd(rows: Candles, fast: int, slow: int, signal: int) -> list[Values]:
    close = of(rows, CLOSE)
    fasts = led(slow - fast, smoothed(close[slow - fast :], fast, 2 / (fast + 1)))
    slows = smoothed(close, slow, 2 / (slow + 1))
    lines = [a - b for a, b in zip(fasts, slows, strict=False) if a is not None and b is not None]
    signals = smoothed(lines, signal, 2 / (signal + 1))
    table: list[Values] = [[], [], []]
    for n in range(len(close)):
        place = n - (slow - 1)
        known = signals[place] if place >= 0 else None
        row = (None,) * 3 if known is None else (lines[place], known, lines[place] - known)
        for values, value in zip(table, row, strict=True):
            values.append(value)
    return table


def stochastic(rows: Candles, k: int, d: int) -> list[Values]:
    places: list[float] = []
    for n in range(k - 1, len(rows)):
        top = max(row[HIGH] for row in rows[n - k + 1 : n + 1])
        bottom = min(row[LOW] for row in rows[n - k + 1 : n + 1])
        places.append(100 * (rows[n][CLOSE] - bottom) / (top - bottom) if top > bottom else 0.0)
    ks: Values = [None] * min(len(rows), k + d - 2)
    ds: Values = list(ks)
    for n in range(d - 1, len(places)):
        ks.append(places[n])
        ds.append(math.fsum(places[n - d + 1 : n + 1]) / d)
    return [ks, ds]


def bollinger(rows: Candles, period: int, deviations: float) -> list[Values]:
    close = of(rows, CLOSE)
    table: list[Values] = [[], [], [], []]
    for n in range(len(close)):
        values = window(close, n, period)
        row: tuple[float | None, ...] = (None,) * 4
        if values:
            mean = math.fsum(values) / period
            reach = deviations * math.sqrt(math.fsum((x - mean) ** 2 for x in values) / period)
            row = (mean + reach, mean, mean - reach, 2 * reach / mean if mean else None)
        for column, value in zip(table, row, strict=True):
            column.append(value)
    return table


def true_ranges(rows: Candles) -> list[float]:
    """Those of the second candle and later ones."""
    return [max(b[HIGH], a[CLOSE]) - min(b[LOW], a[CLOSE]) for a, b in pairwise(rows)]


def atr(rows: Candles, period: int) -> list[Values]:
    return [led(min(len(rows), 1), smoothed(true_ranges(rows), period, 1 / period))]


def adx(rows: Candles, period: int) -> list[Values]:
    pluses, minuses = [], []
    for a, b in pairwise(rows):
        up, down = b[HIGH] - a[HIGH], a[LOW] - b[LOW]
        pluses.append(up if up > down and up > 0 else 0.0)
        minuses.append(down if down > up and down > 0 else 0.0)

    def summed(values: list[float], end: int) -> float:
        now = math.fsum(values[: period - 1])
        for x in values[period - 1 : end + 1]:
            now = now * (1 - 1 / period) + x
        return now

    average: list[float] = []
    table: list[Values] = [[], [], []]
    shares: list[float | None] = []
    for n in range(len(rows)):
        row: list[float | None] = [None] * 3
        if n >= period:
            span = summed(true_ranges(rows), n - 1)
            plus = 100 * summed(pluses, n - 1) / span if span else 0.0
            minus = 100 * summed(minuses, n - 1) / span if span else 0.0
            row[1:] = [plus, minus]
            total = plus + minus
            shares.append(100 * abs(plus - minus) / total if span and total else None)
            if len(shares) == period:
                average.append(math.fsum(x or 0.0 for x in shares) / period)
            elif len(shares) > period:
                x = shares[-1]
                old = average[-1]
                average.append(old if x is None else (old * (period - 1) + x) / period)
            if average:
                row[0] = average[-1]
        for column, value in zip(table, row, strict=True):
            column.append(value)
    return table
