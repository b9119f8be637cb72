"""Signals from their definitions, bar by bar, the slow way: entries, exits and digests."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
SETUPS = {"breakout": 1, "pullback": 2, "mean_revert": 4, "short": 8}
SETUP = {"ema_crossover": "breakout", "rsi_mean_revert": "mean_revert", "atr_breakout": "breakout"}


@dataclass(frozen=True)
class Bar:
    """An observed candle and what was known at its close; ``own`` are the signal's features."""

    ts: int
    open: float
    high: float
    low: float
    close: float
    rsi_14: float | None
    atr_14: float | None
    parkinson_20: float | None
    setups: frozenset[str] | None
    own: tuple[float | None, ...]

    @property
    def year(self) -> int:
        return (EPOCH + timedelta(microseconds=self.ts)).year


@dataclass(frozen=True)
class Event:
    """An entry or an exit: the number of its bar, and of that of the entry."""

    at: int
    state: str
    direction: str
    entry: int
    breakout: str | None = None


@dataclass
class Position:
    entry: int
    direction: str
    breakout: str | None = field(default=None)


def channel(bars: Sequence[Bar], at: int, period: int) -> tuple[float | None, float | None]:
    """The highest high and the lowest low of the bars before."""
    if at < period:
        return None, None
    window = bars[at - period : at]
    return max(bar.high for bar in window), min(bar.low for bar in window)


def ema_crossover(bars: Sequence[Bar], at: int, params: Mapping[str, Any]) -> tuple[str, ...]:
    """What happens at a bar: long_entry, long_exit, short_entry, short_exit."""
    if not at:
        return ()
    fast, slow = bars[at].own
    fast_before, slow_before = bars[at - 1].own
    if fast is None or slow is None or fast_before is None or slow_before is None:
        return ()
    if fast > slow and fast_before <= slow_before:
        return ("long_entry", "short_exit")
    if fast < slow and fast_before >= slow_before:
        return ("short_entry", "long_exit")
    return ()


def rsi_mean_revert(bars: Sequence[Bar], at: int, params: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    (rsi,) = bars[at].own
    if rsi is None:
        return ()
    if rsi >= params["overbought"]:
        found.append("long_exit")
    if rsi <= params["oversold"]:
        found.append("short_exit")
    (before,) = bars[at - 1].own if at else (None,)
    if before is not None and before <= params["oversold"] < rsi:
        found.append("long_entry")
    if before is not None and before >= params["overbought"] > rsi:
        found.append("short_entry")
    return tuple(found)


def atr_breakout(bars: Sequence[Bar], at: int, params: Mapping[str, Any]) -> tuple[str, ...]:
    high, low = channel(bars, at, params["channel_period"])
    if high is not None and bars[at].close > high:
        return ("long_entry", "short_exit")
    if low is not None and bars[at].close < low:
        return ("short_entry", "long_exit")
    return ()


RULES = {
    "ema_crossover": ema_crossover,
    "rsi_mean_revert": rsi_mean_revert,
    "atr_breakout": atr_breakout,
}


def breakout(bars: Sequence[Bar], at: int, params: Mapping[str, Any]) -> str:
    """Whether the range broke out too."""
    last, bar = bars[at - 1], bars[at]
    true_range = max(bar.high - bar.low, abs(bar.high - last.close), abs(bar.low - last.close))
    (atr,) = last.own
    return (
        "both"
        if atr is not None and true_range > params["atr_multiplier"] * atr
        else "channel_break"
    )


def passes(kind: str, bar: Bar, direction: str, params: Mapping[str, Any]) -> bool:
    """Whether the filters let an entry through."""
    threshold = params.get("rsi_threshold")
    if threshold is not None:
        if bar.rsi_14 is None:
            return False
        if direction == "long" and bar.rsi_14 < threshold:
            return False
        if direction == "short" and bar.rsi_14 > 100 - threshold:
            return False
    least = params.get("min_vol")
    if least is not None and (bar.parkinson_20 is None or bar.parkinson_20 < least):
        return False
    if params.get("use_regime"):
        needed = "short" if direction == "short" else SETUP[kind]
        return bar.setups is not None and needed in bar.setups
    return True


def events(kind: str, params: Mapping[str, Any], bars: Sequence[Bar]) -> list[Event]:
    """All entries and exits."""
    found: list[Event] = []
    positions: list[Position] = []
    last_exit: int | None = None
    cooldown = params.get("cooldown_bars", 0)
    for at, bar in enumerate(bars):
        happens = RULES[kind](bars, at, params)
        for direction in ("long", "short"):
            if f"{direction}_exit" not in happens:
                continue
            for position in positions:
                if position.direction == direction:
                    positions.remove(position)
                    found.append(Event(at, "closed", direction, position.entry, position.breakout))
                    last_exit = at
                    break
        for direction in ("long", "short"):
            if f"{direction}_entry" not in happens or params["direction"] not in (
                direction,
                "both",
            ):
                continue
            if len(positions) >= params.get("max_open_positions", 1):
                continue
            if cooldown and last_exit is not None and at - last_exit <= cooldown:
                continue
            if not passes(kind, bar, direction, params):
                continue
            kept = breakout(bars, at, params) if kind == "atr_breakout" else None
            positions.append(Position(at, direction, kept))
            found.append(Event(at, "open", direction, at, kept))
    return found


def row(kind: str, params: Mapping[str, Any], bars: Sequence[Bar], at: int) -> bytes:
    """What a bar adds to the digest of its year."""
    bar = bars[at]
    own = list(bar.own)
    if kind == "atr_breakout":
        own += channel(bars, at, params["channel_period"])
    values = [bar.open, bar.high, bar.low, bar.close, *own]
    values += [bar.rsi_14, bar.atr_14, bar.parkinson_20]
    if params.get("use_regime"):
        values.append(
            None if bar.setups is None else float(sum(SETUPS[name] for name in bar.setups))
        )
    mask = sum(1 << n for n, value in enumerate(values) if value is not None)
    return struct.pack(f">qh{len(values)}d", bar.ts, mask, *(value or 0.0 for value in values))


def digest(kind: str, params: Mapping[str, Any], bars: Sequence[Bar], at: int) -> bytes:
    """The digest of a bar's year, up to and including it."""
    return hashlib.sha256(
        b"".join(row(kind, params, bars, n) for n in range(at + 1) if bars[n].year == bars[at].year)
    ).digest()


def segments(
    kind: str, params: Mapping[str, Any], bars: Sequence[Bar]
) -> list[tuple[int, int, int, bytes]]:
    """Year, bars, the last of them, and the digest of them all."""
    found = []
    for year in sorted({bar.year for bar in bars}):
        places = [n for n, bar in enumerate(bars) if bar.year == year]
        found.append(
            (year, len(places), bars[places[-1]].ts, digest(kind, params, bars, places[-1]))
        )
    return found
