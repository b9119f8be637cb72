"""Candles and signals that tests make up."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

from tests.support import signals_by_definition
from tests.support.backtest_by_definition import Candle
from tests.support.signals_by_definition import Event

START = datetime(2024, 1, 1, 23, 59, 59, 999000, UTC)


def at(day: int) -> datetime:
    return START + timedelta(days=day)


def walk(days: int, seed: int, *, every: int = 1) -> list[tuple]:
    """Candles of a random walk, a few days missing."""
    chance = random.Random(seed)
    close, found = 100.0, []
    for day in range(days):
        opened = close * math.exp(chance.gauss(0, 0.01))
        close = opened * math.exp(chance.gauss(0, 0.04))
        high = max(opened, close) * math.exp(abs(chance.gauss(0, 0.01)))
        low = min(opened, close) * math.exp(-abs(chance.gauss(0, 0.01)))
        if day % 53 < 53 - every:
            found.append((at(day), opened, high, low, close))
    return found


def worked(kind, params, candles) -> tuple[list[Candle], list[Event]]:
    """Candles of a backtest and the events of a signal over them."""
    bars = signals_by_definition.with_features(kind, params, candles)
    return (
        [Candle(bar.ts, bar.open, bar.close, bar.parkinson_20) for bar in bars],
        signals_by_definition.events(kind, params, bars),
    )


EMA = ("ema_crossover", {"fast_period": 3, "slow_period": 8})
RSI = ("rsi_mean_revert", {"rsi_period": 7, "oversold": 35, "overbought": 65})
ATR = ("atr_breakout", {"atr_period": 5, "channel_period": 6, "atr_multiplier": 1.2})
