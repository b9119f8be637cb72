"""Trades and equity against vectorbt, from the same signals with the same costs, to 1e-9."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support import backtest_by_definition, in_vectorbt, stored_backtests
from tests.support.backtest_by_definition import Rules
from tests.support.walks import ATR, EMA, RSI, walk, worked

#: A column of ours, and what vectorbt calls it.
SAME = {
    "units": "Size",
    "entry_price": "Avg Entry Price",
    "entry_fee": "Entry Fees",
    "net_pnl": "PnL",
    "return_pct": "Return",
}
CLOSED = {"exit_price": "Avg Exit Price", "exit_fee": "Exit Fees"}


def compared(trades, days, candles, events, rules):
    """Hold trades and days, as dictionaries, to vectorbt's; return its portfolio."""
    shorts = {
        (trade["id"], trade["entry_ts"]): trade["units"]
        for trade in trades
        if trade["direction"] == "short"
    }
    twin = in_vectorbt.portfolio(candles, events, rules, shorts)
    np.testing.assert_allclose([day["equity"] for day in days], twin.value(), rtol=1e-9)
    cash = [day["cash"] for day in days]
    np.testing.assert_allclose(cash, twin.cash(), rtol=1e-9, atol=1e-9 * rules.capital)
    theirs = twin.trades.records_readable.sort_values(["Entry Timestamp", "Column"])
    ours = sorted(trades, key=lambda trade: (trade["entry_ts"], trade["id"]))
    assert len(ours) == len(theirs) > 0
    for trade, their in zip(ours, theirs.to_dict("records"), strict=True):
        assert (trade["id"], trade["direction"].title()) == (their["Column"], their["Direction"])
        assert trade["entry_ts"] == their["Entry Timestamp"]
        is_open = trade["exit_ts"] is None
        assert is_open == (their["Status"] == "Open")
        assert is_open or trade["exit_ts"] == their["Exit Timestamp"]
        for name, its in (SAME if is_open else SAME | CLOSED).items():
            assert trade[name] == pytest.approx(
                their[its], rel=1e-9, abs=1e-9 * trade["units"] * trade["entry_price"]
            ), name
    return twin


def by_definition(candles, events, rules):
    """A run that is worked by definition, compared."""
    run = backtest_by_definition.run(candles, events, rules)
    names = ("id", "direction", "entry_ts", "exit_ts", *SAME, *CLOSED)
    trades = [{name: getattr(trade, name) for name in names} for trade in run.trades]
    days = [{"cash": day.cash, "equity": day.equity} for day in run.days]
    compared(trades, days, candles, events, rules)
    return run


@pytest.mark.parametrize("side", ["long", "short", "both"])
@pytest.mark.parametrize("signal", [EMA, RSI, ATR], ids=lambda signal: signal[0])
def test_one_asset_by_definition_trades_as_in_vectorbt(signal, side):
    kind, params = signal
    candles, events = worked(kind, params | {"direction": side}, walk(400, 3))
    for fill in ("next_open", "next_close"):
        rules = Rules(fee_bps=10, slippage_bps=5, fill=fill)
        assert len(by_definition({1: candles}, {1: events}, rules).trades) > 10


@pytest.mark.parametrize("fraction", [1.0, 0.3])
def test_a_portfolio_by_definition_trades_as_in_vectorbt(fraction):
    made = {
        asset: worked(*signal, walk(400, asset, every=asset))
        for asset, signal in enumerate((EMA, RSI, ATR, EMA), 1)
    }
    run = by_definition(
        {asset: one[0] for asset, one in made.items()},
        {asset: one[1] for asset, one in made.items()},
        Rules(fee_bps=10, slippage_bps=5, fraction=fraction),
    )
    assert len({trade.id for trade in run.trades}) == 4


@pytest.mark.parametrize("costs", ["clean", "realistic"])
@pytest.mark.parametrize(
    ("signal", "arguments"),
    [
        ("ema_9_21_long", {"asset_ids": [1]}),
        ("rsi_30_70_mr", {"asset_ids": [4], "fill": "next_close"}),
        ("atr_20_donchian", {"asset_ids": [2], "capital": 123.0}),
        ("ema_9_21_long", {}),
        ("atr_20_donchian", {"sizing": "fixed_fraction", "fraction": 0.3}),
    ],
)
def test_a_stored_run_is_vectorbt_s(market, signal, arguments, costs):
    run_id = stored_backtests.start(market, signal, cost_model=costs, **arguments)
    twin = compared(
        stored_backtests.of(market, "trades", run_id),
        stored_backtests.of(market, "equity", run_id),
        *stored_backtests.inputs(market, run_id),
    )
    stored = {row["metric"]: row["value"] for row in stored_backtests.of(market, "metrics", run_id)}
    closed = twin.trades.closed
    theirs = {
        "total_return": twin.total_return(),
        "max_drawdown": twin.max_drawdown(),
        "trades": closed.count(),
        "open_trades": twin.trades.open.count(),
        "win_rate": closed.win_rate(),
        "avg_holding_days": closed.duration.mean() if closed.count() else np.nan,
        "avg_win": closed.winning.returns.mean(),
        "avg_loss": closed.losing.returns.mean(),
    }
    if closed.losing.count():
        theirs["profit_factor"] = closed.profit_factor()
    assert {
        name: np.nan if stored[name] is None else stored[name] for name in theirs
    } == pytest.approx(theirs, rel=1e-9, abs=1e-12, nan_ok=True)


def test_a_stored_run_that_turns_round_is_vectorbt_s(market):
    params = {"fast_period": 6, "slow_period": 10, "direction": "both"}
    market.execute(
        """
        insert into signals.dim_signals (signal_name, signal_type, params)
        values ('crosses', 'ema_crossover', %s)
        """,
        (json.dumps(params),),
    )
    market.execute("select features.refresh_asset(1, p_verb => 'refresh_signals')")
    run_id = stored_backtests.start(market, "crosses", asset_ids=[1], cost_model="realistic")
    trades = stored_backtests.of(market, "trades", run_id)
    assert {trade["direction"] for trade in trades} == {"long", "short"}
    equity = stored_backtests.of(market, "equity", run_id)
    compared(trades, equity, *stored_backtests.inputs(market, run_id))
