"""A backtest the slow way, bar by bar with one account, from the definitions.

It takes candles and signal events and keeps every position by itself; metrics are worked out with
the statistics of Python's own library.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from tests.support.naive import percentile_cont
from tests.support.signals_by_definition import Event


@dataclass(frozen=True)
class Candle:
    """An observed candle, with the volatility that sizes an entry signalled there."""

    ts: datetime
    open: float
    close: float
    parkinson_20: float | None = None


@dataclass(frozen=True)
class Rules:
    """How a run trades; costs are in basis points, funding in those of a day."""

    capital: float = 10000.0
    fee_bps: float = 0.0
    slippage_bps: float = 0.0
    funding_bps: float = 0.0
    fraction: float = 1.0
    vol_target: float | None = None
    fill: str = "next_open"
    capital_limit: float = 1.0
    begin: datetime | None = None
    end: datetime | None = None


@dataclass
class Trade:
    """A position from its fill on; money that was paid is positive."""

    id: int
    direction: str
    entry_signal_ts: datetime
    entry_ts: datetime
    entry_raw: float
    entry_price: float
    units: float
    entry_fee: float
    entry_bar: int
    exit_signal_ts: datetime | None = None
    exit_ts: datetime | None = None
    exit_raw: float | None = None
    exit_price: float | None = None
    exit_fee: float = 0.0
    bars_held: int = 0
    funding: float = 0.0
    loss_cut: float = 0.0
    exit_reason: str | None = None
    mark: float = 0.0

    @property
    def side(self) -> int:
        return 1 if self.direction == "long" else -1

    @property
    def entry_slippage(self) -> float:
        return self.units * abs(self.entry_price - self.entry_raw)

    @property
    def exit_slippage(self) -> float:
        if self.exit_price is None or self.exit_raw is None:
            return 0.0
        return self.units * abs(self.exit_price - self.exit_raw)

    @property
    def gross_pnl(self) -> float:
        last = self.mark if self.exit_raw is None else self.exit_raw
        return self.side * self.units * (last - self.entry_raw)

    @property
    def net_pnl(self) -> float:
        """From the flows of money alone: what it brought less what it took."""
        last = self.mark if self.exit_price is None else self.exit_price
        moved = self.side * self.units * (last - self.entry_price)
        return moved - self.entry_fee - self.exit_fee - self.funding + self.loss_cut

    @property
    def return_pct(self) -> float:
        return self.net_pnl / (self.units * self.entry_price)


@dataclass
class Day:
    """The account at a close."""

    ts: datetime
    cash: float
    positions: float
    gross: float
    benchmark: float
    invested: bool

    @property
    def equity(self) -> float:
        return self.cash + self.positions


@dataclass
class Run:
    """What a backtest leaves."""

    trades: list[Trade] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
    skipped: int = 0
    ruined: bool = False


@dataclass(frozen=True)
class Order:
    """A signal on its way to the next bar of its asset."""

    asset: int
    event: Event


def run(
    candles: Mapping[int, Sequence[Candle]], events: Mapping[int, Sequence[Event]], rules: Rules
) -> Run:
    """Trade the events of every asset with one account."""
    seen = {
        asset: [
            each
            for each in some
            if (rules.begin is None or each.ts >= rules.begin)
            and (rules.end is None or each.ts <= rules.end)
        ]
        for asset, some in sorted(candles.items())
    }
    bars = {asset: {bar.ts: n for n, bar in enumerate(some)} for asset, some in seen.items()}
    due: dict[datetime, list[Order]] = {}
    for asset, some in events.items():
        for event in some:
            n = bars[asset].get(event.ts)
            if n is not None and n + 1 < len(seen[asset]):
                due.setdefault(seen[asset][n + 1].ts, []).append(Order(asset, event))
    result = Run()
    account = _Account(rules, result, len(seen))
    for ts in sorted({ts for places in bars.values() for ts in places}):
        today = {
            asset: (places[ts], seen[asset][places[ts]])
            for asset, places in bars.items()
            if ts in places
        }
        account.trade(due.get(ts, ()), today, seen, bars)
        account.close(ts, today)
        if result.ruined:
            break
    return result


class _Account:
    """Cash, open positions and the last price of every asset."""

    def __init__(self, rules: Rules, result: Run, assets: int) -> None:
        self.rules = rules
        self.result = result
        self.cash = rules.capital
        self.open: list[Trade] = []
        self.last: dict[int, float] = {}
        self.share = rules.capital / assets
        self.held: dict[int, float] = {}
        self.assets = assets

    def trade(self, orders, today, seen, bars) -> None:
        """Fill what is due: exits by asset, then entries by asset."""
        price = {
            asset: bar.open if self.rules.fill == "next_open" else bar.close
            for asset, (_, bar) in today.items()
        }
        worth = self.last | price
        ordered = sorted(orders, key=lambda order: order.asset)
        for order in ordered:
            if order.event.state == "closed":
                self._leave(order, price[order.asset], today[order.asset])
        for order in ordered:
            if order.event.state == "open":
                n = bars[order.asset][order.event.ts]
                self._enter(
                    order, price[order.asset], today[order.asset], worth, seen[order.asset][n]
                )

    def _enter(self, order: Order, raw: float, today, worth, signalled: Candle) -> None:
        n, bar = today
        rules = self.rules
        side = 1 if order.event.direction == "long" else -1
        fill = max(raw * (1 + side * rules.slippage_bps / 10000), 0.0)
        fee = rules.fee_bps / 10000
        share = rules.fraction
        if rules.vol_target is not None:
            volatility = signalled.parkinson_20
            share = share * min(1.0, rules.vol_target / volatility) if volatility else math.nan
        equity = self.cash + sum(trade.side * trade.units * worth[trade.id] for trade in self.open)
        used = sum(trade.units * trade.entry_price for trade in self.open)
        money = min(share * self.cash / (1 + fee), rules.capital_limit * equity - used)
        # What rounding leaves of an account that is spent is nothing.
        if not (money > 1e-9 * equity and fill > 0):
            self.result.skipped += 1
            return
        units = money / fill
        self.cash -= side * units * fill + fee * units * fill
        trade = Trade(
            order.asset,
            order.event.direction,
            order.event.ts,
            bar.ts,
            raw,
            fill,
            units,
            fee * units * fill,
            n,
            mark=bar.close,
        )
        self.open.append(trade)
        self.result.trades.append(trade)

    def _leave(self, order: Order, raw: float, today) -> None:
        n, bar = today
        trade = next(
            (
                each
                for each in self.open
                if each.id == order.asset
                and each.direction == order.event.direction
                and each.entry_signal_ts == order.event.entry_ts
            ),
            None,
        )
        if trade is None:
            return
        trade.exit_raw = raw
        trade.exit_price = max(raw * (1 - trade.side * self.rules.slippage_bps / 10000), 0.0)
        trade.exit_fee = self.rules.fee_bps / 10000 * trade.units * trade.exit_price
        trade.exit_signal_ts, trade.exit_ts = order.event.ts, bar.ts
        trade.exit_reason = "signal"
        trade.bars_held = n - trade.entry_bar
        self.cash += trade.side * trade.units * trade.exit_price - trade.exit_fee
        self.open.remove(trade)

    def close(self, ts: datetime, today) -> None:
        """Take funding, mark to the close, and end the run if nothing is left."""
        for asset, (_, bar) in today.items():
            self.last[asset] = bar.close
            self.held.setdefault(asset, self.share / bar.close)
        for trade in self.open:
            trade.mark = self.last[trade.id]
            if trade.id in today:
                paid = trade.side * self.rules.funding_bps / 10000 * trade.units * trade.mark
                trade.funding += paid
                self.cash -= paid
                trade.bars_held = today[trade.id][0] - trade.entry_bar
        positions = math.fsum(trade.side * trade.units * trade.mark for trade in self.open)
        gross = math.fsum(trade.units * trade.mark for trade in self.open)
        benchmark = self.share * (self.assets - len(self.held)) + math.fsum(
            units * self.last[asset] for asset, units in self.held.items()
        )
        day = Day(ts, self.cash, positions, gross, benchmark, bool(self.open))
        self.result.days.append(day)
        if day.equity <= 0:
            self._end(day, today)

    def _end(self, day: Day, today) -> None:
        """Close all at their marks, without costs; nobody pays what is lost beyond everything."""
        self.result.ruined = True
        for trade in self.open:
            trade.exit_raw = trade.exit_price = trade.mark
            trade.exit_ts = day.ts
            trade.exit_reason = "ruin"
        ended = [trade for trade in self.result.trades if trade.exit_ts == day.ts]
        whole = math.fsum(trade.units * trade.entry_price for trade in ended)
        for trade in ended:
            trade.loss_cut = -day.equity * trade.units * trade.entry_price / whole
        day.cash = day.positions = day.gross = 0.0
        day.invested = False


def metrics(run: Run, rules: Rules, year: int = 365) -> dict[str, float | None]:
    """The metrics of a run, None where one is undefined."""
    equity = [day.equity for day in run.days]
    steps = [after / before - 1 for before, after in pairwise([rules.capital, *equity])]
    hold = [after.benchmark / before.benchmark - 1 for before, after in pairwise(run.days)]
    marks = [run.days[0].benchmark / rules.capital - 1, *hold]
    days = (run.days[-1].ts - run.days[0].ts).total_seconds() / 86400
    growth = equity[-1] / rules.capital
    deviation = statistics.stdev(steps) if len(steps) > 1 else 0.0
    mean = statistics.mean(steps)
    downside = math.sqrt(math.fsum(min(step, 0.0) ** 2 for step in steps) / len(steps))
    found: dict[str, float | None] = {
        "total_return": growth - 1,
        "cagr": growth ** (365 / days) - 1 if days else None,
        "volatility": deviation * math.sqrt(year) if len(steps) > 1 else None,
        "sharpe": mean / deviation * math.sqrt(year) if deviation else None,
        "sortino": mean / downside * math.sqrt(year) if downside else None,
    }
    worst, length = _drawdown(run)
    found["max_drawdown"], found["max_drawdown_days"] = worst, length
    cagr = found["cagr"]
    found["calmar"] = cagr / abs(worst) if worst and cagr is not None else None
    low, high = percentile_cont(steps, 0.05), percentile_cont(steps, 0.95)
    lowest = sorted(steps)[: math.floor((len(steps) - 1) * 0.05) + 1]
    found["var_95"] = low
    found["expected_shortfall_95"] = statistics.mean(lowest)
    found["tail_ratio"] = abs(high) / abs(low) if low else None
    spread = math.fsum((step - mean) ** 2 for step in steps) / len(steps)
    third = math.fsum((step - mean) ** 3 for step in steps) / len(steps)
    found["skew"] = third / spread**1.5 if spread else None
    found |= _to_benchmark(steps, marks, year)
    found["benchmark_return"] = run.days[-1].benchmark / rules.capital - 1
    found["exposure"] = statistics.mean(
        day.gross / day.equity if day.equity else 0.0 for day in run.days
    )
    found["time_in_market"] = sum(day.invested for day in run.days) / len(run.days)
    traded = math.fsum(
        trade.units * (trade.entry_price + (trade.exit_price or 0.0)) for trade in run.trades
    )
    found["turnover"] = traded / statistics.mean(equity) / (days / 365) if days else None
    return found | _of_trades(run)


def _drawdown(run: Run) -> tuple[float, float]:
    """The deepest fall and the days from its peak to its recovery, or to the end."""
    worst, length = 0.0, 0.0
    peak = run.days[0]
    for n, day in enumerate(run.days):
        if day.equity >= peak.equity:
            peak = day
        fall = day.equity / peak.equity - 1
        if fall < worst:
            later = (each.ts for each in run.days[n:] if each.equity >= peak.equity)
            end = next(later, run.days[-1].ts)
            worst, length = fall, (end - peak.ts).total_seconds() / 86400
    return worst, length


def _to_benchmark(
    steps: Sequence[float], marks: Sequence[float], year: int
) -> dict[str, float | None]:
    mean, base = statistics.mean(steps), statistics.mean(marks)
    spread = math.fsum((mark - base) ** 2 for mark in marks)
    if not spread:
        return {"alpha": None, "beta": None}
    shared = math.fsum((a - mean) * (b - base) for a, b in zip(steps, marks, strict=True))
    beta = shared / spread
    return {"alpha": (1 + mean - beta * base) ** year - 1, "beta": beta}


def _of_trades(run: Run) -> dict[str, float | None]:
    closed = [trade for trade in run.trades if trade.exit_ts is not None]
    wins = [trade for trade in closed if trade.net_pnl > 0]
    losses = [trade for trade in closed if trade.net_pnl < 0]
    lost = abs(math.fsum(trade.net_pnl for trade in losses))
    won = math.fsum(trade.net_pnl for trade in wins)
    held = [
        (trade.exit_ts - trade.entry_ts).total_seconds() / 86400
        for trade in closed
        if trade.exit_ts
    ]
    return {
        "trades": len(closed),
        "open_trades": len(run.trades) - len(closed),
        "win_rate": len(wins) / len(closed) if closed else None,
        "profit_factor": won / lost if lost else None,
        "avg_win": statistics.mean(trade.return_pct for trade in wins) if wins else None,
        "avg_loss": statistics.mean(trade.return_pct for trade in losses) if losses else None,
        "avg_holding_days": statistics.mean(held) if held else None,
        "entries_skipped": run.skipped,
    }
