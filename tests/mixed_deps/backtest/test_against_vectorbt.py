"""Trades and equity against vectorbt, from the same signals with the same costs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import backtest_by_definition, in_vectorbt
from tests.support.backtest_by_definition import Rules
from tests.support.walks import ATR, EMA, RSI, walk, worked


@pytest.mark.parametrize("side", ["long", "short", "both"])
@pytest.mark.parametrize("fill", ["next_open", "next_close"])
@pytest.mark.parametrize("signal", [EMA, RSI, ATR], ids=lambda signal: signal[0])
def test_one_asset_trades_as_in_vectorbt(signal, side, fill):
    kind, params = signal
    candles, events = worked(kind, params | {"direction": side}, walk(400, 3))
    rules = Rules(fee_bps=10, slippage_bps=5, fill=fill)
    run = backtest_by_definition.run({1: candles}, {1: events}, rules)
    assert len(run.trades) > 10
    compared(run, {1: candles}, {1: events}, rules)


@pytest.mark.parametrize("fraction", [1.0, 0.3])
def test_a_portfolio_trades_as_in_vectorbt(fraction):
    made = {
        asset: worked(*signal, walk(400, asset, every=asset))
        for asset, signal in enumerate((EMA, RSI, ATR, EMA), 1)
    }
    candles = {asset: one[0] for asset, one in made.items()}
    events = {asset: one[1] for asset, one in made.items()}
    rules = Rules(fee_bps=10, slippage_bps=5, fraction=fraction)
    run = backtest_by_definition.run(candles, events, rules)
    assert len({trade.id for trade in run.trades}) == 4
    compared(run, candles, events, rules)


def compared(run, candles, events, rules):
    """Equity at every close and every trade, to 1e-9."""
    shorts = {
        (trade.id, trade.entry_ts): trade.units
        for trade in run.trades
        if trade.direction == "short"
    }
    twin = in_vectorbt.portfolio(candles, events, rules, shorts)
    np.testing.assert_allclose([day.equity for day in run.days], twin.value(), rtol=1e-9)
    np.testing.assert_allclose([day.cash for day in run.days], twin.cash(), rtol=1e-9, atol=1e-7)
    theirs = sorted(
        twin.trades.records_readable.itertuples(index=False), key=lambda t: (t[3], t[1])
    )
    ours = sorted(run.trades, key=lambda t: (t.entry_ts, t.id))
    assert len(ours) == len(theirs)
    for trade, record in zip(ours, theirs, strict=True):
        their = dict(zip(twin.trades.records_readable.columns, record, strict=True))
        assert (trade.id, trade.direction.title()) == (their["Column"], their["Direction"])
        assert trade.entry_ts == their["Entry Timestamp"]
        assert (trade.exit_ts is None) == (their["Status"] == "Open")
        money = {
            "Size": trade.units,
            "Avg Entry Price": trade.entry_price,
            "Entry Fees": trade.entry_fee,
            "PnL": trade.net_pnl,
            "Return": trade.return_pct,
        }
        if trade.exit_ts:
            assert trade.exit_ts == their["Exit Timestamp"]
            money |= {"Avg Exit Price": trade.exit_price, "Exit Fees": trade.exit_fee}
        for name, value in money.items():
            assert value == pytest.approx(their[name], rel=1e-9, abs=1e-7), name
