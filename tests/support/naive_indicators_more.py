"""Further indicators the slow way, from their definitions, without numpy; None is null."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from tests.support.naive_indicators import (
    CLOSE,
    HIGH,
    LOW,
    VOLUME,
    Candles,
    Values,
    led,
    of,
    smoothed,
    window,
)
from tests.support.naive_indicators import atr as average_range


def windowed(
    values: Sequence[Any], length: int, of_one: Callable[[Sequence[Any]], float | None]
) -> Values:
    """What it is of each window, null before the first."""
    found: Values = []
    for n in range(len(values)):
        held = window(values, n, length)
        found.append(of_one(held) if held else None)
    return found


def combined(of_each: Callable[..., float], *columns: Values) -> Values:
    """What it is of the values of each place, null where one is."""
    return [
        None if None in row else of_each(*row)  # type: ignore[arg-type]
        for row in zip(*columns, strict=True)
    ]


def typical(rows: Candles) -> list[float]:
    return [(row[HIGH] + row[LOW] + row[CLOSE]) / 3 for row in rows]


def traded(of_those: Callable[..., list[Values]]) -> Callable[..., list[Values]]:
    """The indicator over the candles that have a volume, null at the others."""

    def found(rows: Candles, **params: Any) -> list[Values]:
        known = [not math.isnan(row[VOLUME]) for row in rows]
        table = of_those([row for row, there in zip(rows, known, strict=True) if there], **params)
        left = [iter(values) for values in table]
        return [[next(values) if there else None for there in known] for values in left]

    return found


def sma(rows: Candles, period: int) -> list[Values]:
    return [windowed(of(rows, CLOSE), period, lambda x: math.fsum(x) / period)]


def ema(rows: Candles, period: int) -> list[Values]:
    return [smoothed(of(rows, CLOSE), period, 2 / (period + 1))]


def wma(rows: Candles, period: int) -> list[Values]:
    def weighted(values: Sequence[float]) -> float:
        return math.fsum(n * x for n, x in enumerate(values, 1)) / sum(range(period + 1))

    return [windowed(of(rows, CLOSE), period, weighted)]


def nested(rows: Candles, period: int, times: int) -> list[Values]:
    """The exponential mean, that of it, that of that."""
    found = [ema(rows, period)[0]]
    for _ in range(times - 1):
        known = [x for x in found[-1] if x is not None]
        found.append(led(len(rows) - len(known), smoothed(known, period, 2 / (period + 1))))
    return found


def dema(rows: Candles, period: int) -> list[Values]:
    return [combined(lambda a, b: 2 * a - b, *nested(rows, period, 2))]


def tema(rows: Candles, period: int) -> list[Values]:
    return [combined(lambda a, b, c: 3 * a - 3 * b + c, *nested(rows, period, 3))]


def kama(rows: Candles, period: int) -> list[Values]:
    close = of(rows, CLOSE)
    found: Values = []
    for n, x in enumerate(close):
        if n < period:
            found.append(None)
            continue
        path = math.fsum(abs(b - a) for a, b in pairwise(close[n - period : n + 1]))
        share = abs(x - close[n - period]) / path if path else 1.0
        weight = (share * (2 / (2 + 1) - 2 / (30 + 1)) + 2 / (30 + 1)) ** 2
        before = found[-1]
        before = close[n - 1] if before is None else before
        found.append(before + weight * (x - before))
    return [found]


def roc(rows: Candles, period: int) -> list[Values]:
    return [
        windowed(
            of(rows, CLOSE), period + 1, lambda x: 100 * (x[-1] - x[0]) / x[0] if x[0] else 0.0
        )
    ]


def cci(rows: Candles, period: int) -> list[Values]:
    def index(values: Sequence[float]) -> float:
        if len(set(values)) == 1:
            return 0.0
        mean = math.fsum(values) / period
        deviation = math.fsum(abs(x - mean) for x in values) / period
        return (values[-1] - mean) / (0.015 * deviation)

    return [windowed(typical(rows), period, index)]


def williams_r(rows: Candles, period: int) -> list[Values]:
    def place(held: Candles) -> float:
        top, bottom = max(of(held, HIGH)), min(of(held, LOW))
        return -100 * (top - held[-1][CLOSE]) / (top - bottom) if top > bottom else 0.0

    return [windowed(rows, period, place)]


@traded
def mfi(rows: Candles, period: int) -> list[Values]:
    def index(held: Candles) -> float:
        came = went = 0.0
        for (a, b), row in zip(pairwise(typical(held)), held[1:], strict=True):
            came += b * row[VOLUME] if b > a else 0
            went += b * row[VOLUME] if b < a else 0
        return 100 * came / (came + went) if came + went else 0.0

    return [windowed(rows, period + 1, index)]


@traded
def obv(rows: Candles) -> list[Values]:
    found: Values = []
    for n in range(len(rows)):
        found.append(
            rows[0][VOLUME]
            + sum(
                b[VOLUME] * ((b[CLOSE] > a[CLOSE]) - (b[CLOSE] < a[CLOSE]))
                for a, b in pairwise(rows[: n + 1])
            )
        )
    return [found]


@traded
def vwap(rows: Candles, period: int) -> list[Values]:
    def price(held: Candles) -> float | None:
        amount = math.fsum(of(held, VOLUME))
        paid = math.fsum(x * row[VOLUME] for x, row in zip(typical(held), held, strict=True))
        return paid / amount if amount else None

    return [windowed(rows, period, price)]


def keltner(rows: Candles, period: int, atr: int, multiplier: float) -> list[Values]:
    (middle,), (ranges,) = ema(rows, period), average_range(rows, atr)
    return [
        combined(lambda a, b: a + multiplier * b, middle, ranges),
        middle,
        combined(lambda a, b: a - multiplier * b, middle, ranges),
    ]


def donchian(rows: Candles, period: int) -> list[Values]:
    upper, lower = windowed(of(rows, HIGH), period, max), windowed(of(rows, LOW), period, min)
    return [upper, combined(lambda a, b: (a + b) / 2, upper, lower), lower]


def aroon(rows: Candles, period: int) -> list[Values]:
    def recency(values: Sequence[float]) -> float:
        best = max(values)
        since = next(n for n, x in enumerate(reversed(values)) if x == best)
        return 100 * (period - since) / period

    return [
        windowed(of(rows, HIGH), period + 1, recency),
        windowed([-row[LOW] for row in rows], period + 1, recency),
    ]


def supertrend(rows: Candles, period: int, multiplier: float) -> list[Values]:
    """A trend turns at a comparison, so that the average range is rounded as it is defined."""
    lines: Values = []
    directions: Values = []
    ranges = [
        max(b[HIGH] - b[LOW], abs(b[HIGH] - a[CLOSE]), abs(b[LOW] - a[CLOSE]))
        for a, b in pairwise(rows)
    ]
    average = 0.0
    up = False
    ceiling, floor = math.inf, -math.inf
    for n, row in enumerate(rows):
        if n < period:
            lines.append(None)
            directions.append(None)
            continue
        if n == period:
            for each in ranges[:n]:
                average += each
            average /= period
        else:
            average = (average * (period - 1) + ranges[n - 1]) / period
        middle = (row[HIGH] + row[LOW]) / 2
        before = rows[n - 1][CLOSE]
        top, bottom = middle + multiplier * average, middle - multiplier * average
        ceiling = top if before > ceiling else min(top, ceiling)
        floor = bottom if before < floor else max(bottom, floor)
        up = row[CLOSE] >= floor if up else row[CLOSE] > ceiling
        lines.append(floor if up else ceiling)
        directions.append(1.0 if up else -1.0)
    return [lines, directions]


def ichimoku(
    rows: Candles, conversion: int, base: int, span: int, displacement: int
) -> list[Values]:
    def line(length: int) -> Values:
        return windowed(rows, length, lambda x: (max(of(x, HIGH)) + min(of(x, LOW))) / 2)

    near, far, span_b = line(conversion), line(base), line(span)
    span_a = combined(lambda a, b: (a + b) / 2, near, far)
    return [
        near,
        far,
        span_a,
        span_b,
        *((led(displacement, each))[: len(rows)] for each in (span_a, span_b)),
    ]
