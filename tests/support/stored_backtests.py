"""A stored run against the same one worked by definition: to 1e-9, and every date exactly."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support import backtest_by_definition as definition
from tests.support import signals_by_definition, stored_signals
from tests.support.backtest_by_definition import Candle, Rules, Run

DATES = (
    *("id", "direction", "entry_signal_ts", "entry_ts", "exit_signal_ts", "exit_ts"),
    *("bars_held", "exit_reason"),
)
MONEY = ("entry_price", "units", "entry_fee", "entry_slippage", "funding", "loss_cut", "gross_pnl")


def start(conn: psycopg.Connection, signal: str, **arguments: Any) -> Any:
    """Run a backtest and return its id."""
    names = ", ".join(f"p_{name} => %({name})s" for name in arguments)
    row = conn.execute(
        f"call run_backtest(p_signal => %(signal)s, {names})",  # type: ignore[arg-type]
        {"signal": signal, **arguments},
    ).fetchone()
    assert row is not None
    return row[0]


def of(conn: psycopg.Connection, table: str, run_id: Any) -> list[dict[str, Any]]:
    """The rows of a run, in order."""
    order = {"runs": 1, "trades": 2, "equity": 2, "metrics": 2}[table]
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"select r.* from backtest.{table} as r where r.run_id = %s order by {order}",  # type: ignore[arg-type]
            (run_id,),
        ).fetchall()


def inputs(conn: psycopg.Connection, run_id: Any) -> tuple[dict, dict, Rules]:
    """Candles and events of each asset, worked by definition, and the rules of a stored run."""
    (run,) = of(conn, "runs", run_id)
    candles, events = {}, {}
    for asset in run["asset_ids"]:
        bars = stored_signals.bars(conn, asset, run["signal_type"], run["params"])
        candles[asset] = [Candle(bar.ts, bar.open, bar.close, bar.parkinson_20) for bar in bars]
        events[asset] = signals_by_definition.events(run["signal_type"], run["params"], bars)
    return (
        candles,
        events,
        Rules(
            run["capital"],
            run["fee_bps"],
            run["slippage_bps"],
            run["funding_bps"],
            1.0 if run["sizing"] == "all_in" else run["fraction"],
            run["vol_target"] if run["sizing"] == "volatility_target" else None,
            run["fill"],
            run["capital_limit"],
            run["from_ts"],
            run["to_ts"],
        ),
    )


def check(conn: psycopg.Connection, run_id: Any) -> Run:
    """Compare a stored run with the one by definition, and return that."""
    candles, events, rules = inputs(conn, run_id)
    (head,) = of(conn, "runs", run_id)
    run = definition.run(candles, events, rules)
    assert head["status"] == ("ruined" if run.ruined else "complete")
    trades = of(conn, "trades", run_id)
    run.trades.sort(key=lambda trade: trade.entry_ts)
    for stored, trade in zip(trades, run.trades, strict=True):
        expected = {name: getattr(trade, name) for name in DATES}
        assert {name: stored[name] for name in DATES} == expected, trade
        names = [*MONEY, "net_pnl", "return_pct"]
        if trade.exit_ts:
            names += ["exit_price", "exit_fee", "exit_slippage"]
        else:
            assert stored["exit_price"] is stored["exit_fee"] is stored["exit_slippage"] is None
        for name in names:
            _same(stored[name], getattr(trade, name), name, trade.units * trade.entry_price)
    equity = of(conn, "equity", run_id)
    assert [row["ts"] for row in equity] == [day.ts for day in run.days]
    top, before = rules.capital, rules.capital
    for row, day in zip(equity, run.days, strict=True):
        top = max(top, day.equity)
        expected = {
            "cash": day.cash,
            "positions": day.positions,
            "equity": day.equity,
            "daily_return": day.equity / before - 1,
            "drawdown": day.equity / top - 1,
            "exposure": day.gross / day.equity if day.equity else 0.0,
            "benchmark": day.benchmark,
        }
        for name, value in expected.items():
            _same(row[name], value, f"{name} of {day.ts}", max(abs(day.gross), top))
        assert row["cash"] + row["positions"] == pytest.approx(row["equity"], rel=1e-12, abs=1e-9)
        before = day.equity
    stored = {row["metric"]: row["value"] for row in of(conn, "metrics", run_id)}
    expected = definition.metrics(run, rules, head["annualisation_days"])
    assert stored.keys() == expected.keys()
    for name, value in expected.items():
        if value is None:
            assert stored[name] is None, name
        else:
            assert stored[name] == pytest.approx(value, rel=1e-9, abs=1e-11), name
    return run


def _same(stored: float, value: float, name: str, scale: float) -> None:
    """To 1e-9 of the value; a difference of large sums to 1e-9 of these."""
    loose = {"gross_pnl", "net_pnl", "funding", "loss_cut", "cash", "positions"}
    allowed = 1e-9 * scale if name.split()[0] in loose else 1e-9
    assert stored == pytest.approx(value, rel=1e-9, abs=allowed), name
