"""A backtest from its rules, the slow way: bar by bar, every position marked on each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bar:
    """A candle's prices."""

    open: float
    close: float


@dataclass(frozen=True)
class Event:
    """A signal: side 1 or -1 opens, 0 closes what was opened at ``entry``."""

    asset: int
    ts: int
    side: int
    entry: int
    volatility: float | None = None


@dataclass(frozen=True)
class Costs:
    """Basis points."""

    fee: float = 0.0
    slippage: float = 0.0
    funding: float = 0.0


@dataclass(frozen=True)
class Settings:
    """How a run trades."""

    costs: Costs = field(default_factory=Costs)
    capital: float = 10_000.0
    sizing: str = "all_in"
    fraction: float = 1.0
    vol_target: float = 0.20
    fill: str = "next_open"
    limit: float = 1.0


@dataclass
class Trade:
    """A position."""

    asset: int
    side: int
    signal_ts: int
    entry_ts: int
    base: float
    price: float
    units: float
    fee: float
    mark: float
    funding: float = 0.0
    exit_signal_ts: int | None = None
    exit_ts: int | None = None
    exit_base: float | None = None
    exit_price: float | None = None
    exit_fee: float = 0.0
    cut: float = 0.0
    reason: str | None = None

    def gross(self) -> float:
        end = self.mark if self.exit_base is None else self.exit_base
        return self.side * self.units * (end - self.base)

    def slippage(self) -> float:
        at_exit = 0.0
        if self.exit_price is not None:
            at_exit = self.units * abs(self.exit_price - self.exit_base)
        return self.units * abs(self.price - self.base) + at_exit

    def net(self) -> float:
        costs = self.fee + self.exit_fee + self.slippage() + self.funding
        return self.gross() - costs + self.cut


@dataclass
class Row:
    """The account at a close."""

    ts: int
    cash: float
    positions: float
    gross: float

    @property
    def equity(self) -> float:
        return self.cash + self.positions


@dataclass
class Run:
    """What a run leaves."""

    trades: list[Trade]
    rows: list[Row]
    ruined: bool
    skipped: int


def next_bar(bars: Mapping[int, Bar], ts: int) -> int | None:
    return min((other for other in bars if other > ts), default=None)


def backtest(
    assets: Mapping[int, Mapping[int, Bar]], events: Sequence[Event], how: Settings
) -> Run:
    """Trade the events on these candles."""
    fee, slip = how.costs.fee / 10_000, how.costs.slippage / 10_000
    cash, skipped = how.capital, 0
    trades: list[Trade] = []
    rows: list[Row] = []
    held: dict[tuple[int, int], Trade] = {}
    fills = [(next_bar(assets[event.asset], event.ts), event) for event in events]
    for ts in sorted({ts for bars in assets.values() for ts in bars}):
        now = [event for at, event in fills if at == ts]
        price_of = {
            event.asset: getattr(assets[event.asset][ts], how.fill.removeprefix("next_"))
            for event in now
        }
        leaving = [event for event in now if not event.side]
        for event in sorted(leaving, key=lambda event: (event.asset, event.entry)):
            trade = held.pop((event.asset, event.entry), None)
            if trade is None:
                continue
            base = price_of[event.asset]
            price = base * (max(1 - slip, 0) if trade.side > 0 else 1 + slip)
            trade.exit_signal_ts, trade.exit_ts = event.ts, ts
            trade.exit_base, trade.exit_price = base, price
            trade.exit_fee, trade.reason = fee * trade.units * price, "signal"
            cash += trade.side * trade.units * price - trade.exit_fee
        for event in sorted((event for event in now if event.side), key=lambda event: event.asset):
            base = price_of[event.asset]
            price = base * (1 + slip if event.side > 0 else max(1 - slip, 0))
            share = how.fraction
            if how.sizing == "volatility_target":
                if event.volatility is None:
                    skipped += 1
                    continue
                share *= min(1, how.vol_target / event.volatility)
            worth = cash
            for trade in held.values():
                bar = assets[trade.asset].get(ts)
                mark = trade.mark
                if bar is not None:
                    mark = getattr(bar, how.fill.removeprefix("next_"))
                worth += trade.side * trade.units * mark
            used = sum(trade.units * trade.price for trade in held.values())
            value = min(share * cash / (1 + fee), how.limit * worth - used)
            if value <= 0 or value <= 1e-9 * worth or price <= 0:
                skipped += 1
                continue
            units = value / price
            trade = Trade(
                event.asset, event.side, event.ts, ts, base, price, units, fee * value, base
            )
            cash -= trade.side * units * price + trade.fee
            trades.append(trade)
            held[event.asset, event.entry] = trade
        positions = gross = 0.0
        for trade in held.values():
            bar = assets[trade.asset].get(ts)
            if bar is not None:
                trade.mark = bar.close
                charge = trade.side * how.costs.funding / 10_000 * trade.units * bar.close
                trade.funding += charge
                cash -= charge
            positions += trade.side * trade.units * trade.mark
            gross += trade.units * trade.mark
        if cash + positions <= 0:
            for trade in held.values():
                trade.exit_ts, trade.exit_base = ts, trade.mark
                trade.exit_price, trade.reason = trade.mark, "ruin"
            ended = [trade for trade in trades if trade.exit_ts == ts]
            weight = sum(trade.units * trade.price for trade in ended)
            for trade in ended:
                trade.cut = -(cash + positions) * trade.units * trade.price / weight
            rows.append(Row(ts, 0.0, 0.0, 0.0))
            return Run(trades, rows, True, skipped)
        rows.append(Row(ts, cash, positions, gross))
    return Run(trades, rows, False, skipped)


def close_to(a: float, b: float, scale: float) -> bool:
    """Say whether two amounts of money agree, of an account that had this much in it."""
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9 * scale)
