"""The slow way of backtests, held to examples worked by hand and to its own sums."""

from __future__ import annotations

import math

import pytest

from tests.support import backtest_by_definition
from tests.support.backtest_by_definition import Candle, Rules
from tests.support.signals_by_definition import Event
from tests.support.walks import ATR, EMA, RSI, at, walk, worked


def test_a_trade_worked_by_hand():
    candles = [Candle(at(day), *prices) for day, prices in enumerate(((9, 10), (20, 25), (30, 40)))]
    entry = Event(at(0), "open", "long", at(0), 10.0)
    rules = Rules(1000, fee_bps=100, slippage_bps=1000, funding_bps=200)
    run = backtest_by_definition.run({7: candles}, {7: [entry]}, rules)
    (trade,) = run.trades
    assert trade.entry_price == pytest.approx(22)
    assert trade.units == pytest.approx(1000 / 22.22)
    assert trade.entry_fee == pytest.approx(0.22 * trade.units)
    assert trade.funding == pytest.approx(0.02 * (25 + 40) * trade.units)
    assert [day.equity for day in run.days] == pytest.approx(
        [1000, 24.5 * trade.units, 38.7 * trade.units]
    )
    assert trade.exit_ts is None
    assert trade.gross_pnl == pytest.approx(20 * trade.units)


def test_a_short_that_loses_more_than_everything_ends_the_run_with_nothing():
    candles = [Candle(at(day), price, price) for day, price in enumerate((10, 10, 25, 1, 1))]
    entry = Event(at(0), "open", "short", at(0), 10.0)
    run = backtest_by_definition.run({1: candles}, {1: [entry]}, Rules(1000))
    (trade,) = run.trades
    assert [day.equity for day in run.days] == [1000, 1000, 0]
    assert (trade.exit_reason, trade.loss_cut, trade.net_pnl) == ("ruin", 500, -1000)
    assert run.ruined


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("costs", [(0, 0, 0), (10, 5, 0), (5, 5, 3), (100, 100, -50)])
def test_every_change_of_equity_is_in_a_trade(seed, costs):
    made = {
        asset: worked(kind, params | {"direction": "both"}, walk(300, seed * 10 + asset))
        for asset, (kind, params) in enumerate((EMA, RSI, ATR))
    }
    rules = Rules(1000, *costs, fraction=0.4, vol_target=0.8, capital_limit=0.9)
    run = backtest_by_definition.run(
        {asset: one[0] for asset, one in made.items()},
        {asset: one[1] for asset, one in made.items()},
        rules,
    )
    assert len(run.trades) > 10
    for trade in run.trades:
        costs = trade.entry_fee + trade.exit_fee + trade.entry_slippage + trade.exit_slippage
        net = trade.gross_pnl - costs - trade.funding + trade.loss_cut
        assert trade.net_pnl == pytest.approx(net, abs=1e-8)
    pnl = math.fsum(trade.net_pnl for trade in run.trades)
    assert run.days[-1].equity - 1000 == pytest.approx(pnl, abs=1e-8)
