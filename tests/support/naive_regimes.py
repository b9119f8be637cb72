"""Regimes the slow way, from their definitions, without numpy; a bar's volume may be None."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support import naive, naive_indicators

UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Bar:
    """A closed bar of a layer, by the number of the day that it ends with."""

    day: int
    high: float
    low: float
    close: float
    volume: float | None


def trends(bars: Sequence[Bar], layer: Mapping[str, Any]) -> list[str]:
    """The trend of each bar by itself."""
    closes = [bar.close for bar in bars]
    averages = [
        naive.ema(closes, layer[f"ema_{name}"]) if closes else []
        for name in ("fast", "mid", "slow")
    ]
    adx = naive_indicators.adx(rows(bars), layer["adx_period"])[0]
    found = []
    for close, fast, mid, slow, strength in zip(closes, *averages, adx, strict=True):
        if fast is None or mid is None or slow is None or strength is None:
            found.append(UNKNOWN)
        elif strength < layer["adx_minimum"]:
            found.append("Sideways")
        elif close > slow and fast > mid:
            found.append("Up")
        elif close < slow and fast < mid:
            found.append("Down")
        else:
            found.append("Sideways")
    return found


def volatilities(bars: Sequence[Bar], layer: Mapping[str, Any]) -> list[str]:
    """The volatility of each bar by itself."""
    atr = naive_indicators.atr(rows(bars), layer["atr_period"])[0]
    seen: list[float] = []
    found = []
    for bar, value in zip(bars, atr, strict=True):
        if value is not None:
            seen.append(value / bar.close)
        last = seen[-layer["volatility_window"] :]
        if value is None or len(last) < layer["volatility_window"]:
            found.append(UNKNOWN)
            continue
        share = 100 * sum(one <= last[-1] for one in last) / len(last)
        if share < layer["volatility_low"]:
            found.append("Low")
        else:
            found.append("Normal" if share < layer["volatility_high"] else "High")
    return found


def liquidities(bars: Sequence[Bar], layer: Mapping[str, Any]) -> list[str]:
    """The liquidity of each bar by itself."""
    seen: list[float] = []
    found = []
    for bar in bars:
        before = seen[-layer["liquidity_window"] :]
        middle = statistics.median(before) if len(before) == layer["liquidity_window"] else 0.0
        if bar.volume is None or not middle:
            found.append(UNKNOWN)
        elif bar.volume / middle < layer["liquidity_stressed"]:
            found.append("Stressed")
        else:
            found.append("Easy" if bar.volume / middle > layer["liquidity_easy"] else "Normal")
        if bar.volume is not None:
            seen.append(bar.volume)
    return found


def held(labels: Sequence[str], bars: int) -> list[str]:
    """What stands after each label: another one has to come so many times in a row."""
    found = []
    now = UNKNOWN
    for n, label in enumerate(labels):
        row = labels[max(n - bars + 1, 0) : n + 1]
        if label == UNKNOWN or (len(row) == bars and set(row) == {label}):
            now = label
        found.append(now)
    return found


def rows(bars: Sequence[Bar]) -> list[tuple[float, ...]]:
    """Candles as the indicators take them."""
    return [(bar.close, bar.high, bar.low, bar.close, bar.volume or 0.0) for bar in bars]


def of_layer(bars: Sequence[Bar], layer: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The labels of each bar of a layer: trend, volatility, liquidity."""
    return list(
        zip(
            held(trends(bars, layer), layer["trend_hold"]),
            held(volatilities(bars, layer), layer["volatility_hold"]),
            held(liquidities(bars, layer), layer["liquidity_hold"]),
            strict=True,
        )
    )


def by_day(
    bars: Sequence[Bar], layer: Mapping[str, Any], days: Sequence[int]
) -> list[tuple[str, str, str]]:
    """The labels on each day: those of the last bar that ended by then."""
    labels = of_layer(bars, layer)
    found = []
    for day in days:
        past = [label for bar, label in zip(bars, labels, strict=True) if bar.day <= day]
        found.append(past[-1] if past else (UNKNOWN,) * 3)
    return found
