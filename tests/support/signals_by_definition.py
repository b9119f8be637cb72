"""Signals the slow way, bar by bar from their definitions; None is null.

A bar carries what its signal looks at. Nothing here knows how the database stores or finds it.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support import naive, naive_indicators

SETUPS = {"ema_crossover": "breakout", "atr_breakout": "breakout", "rsi_mean_revert": "mean_revert"}


@dataclass(frozen=True)
class Bar:
    """An observed candle with the features of its close.

    ``first`` and ``second`` are the fast and the slow EMA, or the RSI, or the ATR; ``rsi_14`` and
    ``parkinson_20`` are for the filters, and ``setups`` is what the regime allows. ``atr_14`` is in
    digests alone.
    """

    ts: datetime
    open: float
    high: float
    low: float
    close: float
    first: float | None = None
    second: float | None = None
    rsi_14: float | None = None
    parkinson_20: float | None = None
    setups: frozenset[str] = frozenset()
    atr_14: float | None = None


@dataclass(frozen=True)
class Event:
    """An entry (``state`` open) or the exit of one (closed)."""

    ts: datetime
    state: str
    direction: str
    entry_ts: datetime
    entry_price: float
    exit_ts: datetime | None = None
    exit_price: float | None = None
    pnl_pct: float | None = None
    breakout_type: str | None = None


#: What a setup counts in a digest.
WORTH = {"breakout": 1, "pullback": 2, "mean_revert": 4, "short": 8}


@dataclass
class Position:
    """An entry that is not closed yet."""

    direction: str
    ts: datetime
    price: float
    breakout_type: str | None


@dataclass
class Market:
    """What a bar says, before filters and places: sides to leave, and the side to enter."""

    exits: set[str] = field(default_factory=set)
    entries: set[str] = field(default_factory=set)
    breakout_type: str | None = None


def with_features(kind: str, params: Mapping[str, Any], candles: Sequence[Any]) -> list[Bar]:
    """Bars from (ts, open, high, low, close) in order, the features worked out the slow way."""
    rows = [(*candle[1:5], 0.0) for candle in candles]
    closes = [row[3] for row in rows]
    firsts: Sequence[float | None] = [None] * len(rows)
    seconds = firsts
    if kind == "ema_crossover":
        firsts = naive.ema(closes, params["fast_period"])
        seconds = naive.ema(closes, params["slow_period"])
    elif kind == "rsi_mean_revert":
        firsts = naive_indicators.rsi(rows, params["rsi_period"])[0]
    else:
        firsts = naive_indicators.atr(rows, params["atr_period"])[0]
    rsi = naive_indicators.rsi(rows, 14)[0]
    vol = parkinson([(row[1], row[2]) for row in rows], 20)
    columns = zip(candles, rows, firsts, seconds, rsi, vol, strict=True)
    return [Bar(candle[0], *row[:4], *values) for candle, row, *values in columns]


def parkinson(ranges: Sequence[tuple[float, float]], window: int, year: int = 365) -> list[Any]:
    """Annualised volatility from the highs and lows of full windows."""
    squares = [math.log(high / low) ** 2 / (4 * math.log(2)) for high, low in ranges]
    means = [math.fsum(squares[n - window : n]) / window for n in range(window, len(ranges) + 1)]
    return [None] * min(window - 1, len(ranges)) + [math.sqrt(mean * year) for mean in means]


def rises(a: float | None, b: float | None, x: float | None, y: float | None) -> bool:
    """Whether what was a against b, and is x against y, went from at or below to above."""
    return None not in (a, b, x, y) and a <= b and x > y  # type: ignore[operator]


def market(kind: str, params: Mapping[str, Any], bars: Sequence[Bar], n: int) -> Market:
    """What the bar at that place says."""
    said = Market()
    bar = bars[n]
    before = bars[n - 1] if n else None
    if kind == "ema_crossover" and before:
        if rises(before.first, before.second, bar.first, bar.second):
            said = Market(exits={"short"}, entries={"long"})
        if rises(before.second, before.first, bar.second, bar.first):
            said = Market(exits={"long"}, entries={"short"})
    elif kind == "rsi_mean_revert":
        low, high = params["oversold"], params["overbought"]
        if before:
            said.entries |= {"long"} if rises(before.first, low, bar.first, low) else set()
            said.entries |= {"short"} if rises(high, before.first, high, bar.first) else set()
        if bar.first is not None:
            said.exits |= {"long"} if bar.first >= high else set()
            said.exits |= {"short"} if bar.first <= low else set()
    elif kind == "atr_breakout" and before and n >= params["channel_period"]:
        channel = bars[n - params["channel_period"] : n]
        if bar.close > max(each.high for each in channel):
            said = Market(exits={"short"}, entries={"long"})
        if bar.close < min(each.low for each in channel):
            said = Market(exits={"long"}, entries={"short"})
        true_range = max(bar.high, before.close) - min(bar.low, before.close)
        expands = before.first is not None and true_range > params["atr_multiplier"] * before.first
        said.breakout_type = "both" if expands else "channel_break"
    return said


def allowed(kind: str, params: Mapping[str, Any], bar: Bar, side: str) -> bool:
    """Whether the filters of the bar let an entry of that side through."""
    threshold, volatility = params.get("rsi_threshold"), params.get("min_vol")
    if threshold is not None:
        if bar.rsi_14 is None:
            return False
        if side == "long" and not bar.rsi_14 >= threshold:
            return False
        if side == "short" and not bar.rsi_14 <= 100 - threshold:
            return False
    if volatility is not None and (bar.parkinson_20 is None or bar.parkinson_20 < volatility):
        return False
    if params.get("use_regime"):
        return ("short" if side == "short" else SETUPS[kind]) in bar.setups
    return True


def events(kind: str, params: Mapping[str, Any], bars: Sequence[Bar]) -> list[Event]:
    """Entries and exits in order; on one bar the exits come first."""
    direction = params.get("direction", "long")
    sides = ("long", "short") if direction == "both" else (direction,)
    cooldown = params.get("cooldown_bars") or 0
    places = params.get("max_open_positions") or 1
    opened: list[Position] = []
    found: list[Event] = []
    last_exit = None
    for n, bar in enumerate(bars):
        said = market(kind, params, bars, n)
        for side in said.exits:
            oldest = next((each for each in opened if each.direction == side), None)
            if oldest is None:
                continue
            opened.remove(oldest)
            last_exit = n
            long = side == "long"
            gain = bar.close / oldest.price - 1 if long else 1 - bar.close / oldest.price
            found.append(
                Event(
                    bar.ts,
                    "closed",
                    side,
                    oldest.ts,
                    oldest.price,
                    bar.ts,
                    bar.close,
                    gain,
                    oldest.breakout_type,
                )
            )
        for side in said.entries:
            resting = bool(cooldown) and last_exit is not None and n - last_exit <= cooldown
            if (
                side in sides
                and len(opened) < places
                and not resting
                and allowed(kind, params, bar, side)
            ):
                opened.append(Position(side, bar.ts, bar.close, said.breakout_type))
                found.append(
                    Event(
                        bar.ts,
                        "open",
                        side,
                        bar.ts,
                        bar.close,
                        breakout_type=said.breakout_type,
                    )
                )
    return found


def digests(kind: str, params: Mapping[str, Any], bars: Sequence[Bar]) -> dict[datetime, bytes]:
    """SHA-256 over what the signal reads of the calendar year up to and including each bar.

    A row is the microseconds since 2000, a mask of the values that are there, and the values, all
    big-endian; 0 stands for one that is not there.
    """
    found = {}
    year, sofar = 0, b""
    for n, bar in enumerate(bars):
        own: list[float | None] = [bar.first]
        if kind == "ema_crossover":
            own.append(bar.second)
        if kind == "atr_breakout":
            past = bars[max(n - params["channel_period"], 0) : n]
            full = len(past) == params["channel_period"]
            own += [max(b.high for b in past), min(b.low for b in past)] if full else [None, None]
        values = [bar.open, bar.high, bar.low, bar.close, *own]
        values += [bar.rsi_14, bar.atr_14, bar.parkinson_20]
        if params.get("use_regime"):
            values.append(float(sum(WORTH[setup] for setup in bar.setups)))
        mask = sum(1 << k for k, value in enumerate(values) if value is not None)
        stamp = (bar.ts - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        filled = [0.0 if value is None else value for value in values]
        row = struct.pack(f">qh{len(values)}d", stamp, mask, *filled)
        sofar = row if bar.ts.astimezone(UTC).year != year else sofar + row
        year = bar.ts.astimezone(UTC).year
        found[bar.ts] = hashlib.sha256(sofar).digest()
    return found
