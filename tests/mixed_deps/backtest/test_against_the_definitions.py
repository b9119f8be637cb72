"""Stored runs against the definitions, worked bar by bar: trades, equity, every metric."""

from __future__ import annotations

import json
import random
from collections import Counter

import psycopg
import pytest

from tests.support import prices, stored_backtests

SIGNALS = {
    "crosses": ("ema_crossover", {"fast_period": 6, "slow_period": 10, "direction": "both"}),
    "crosses_down": (
        "ema_crossover",
        {"fast_period": 9, "slow_period": 21, "direction": "short", "cooldown_bars": 2},
    ),
    "reversals": (
        "rsi_mean_revert",
        {
            **{"rsi_period": 7, "oversold": 40, "overbought": 55, "direction": "both"},
            "max_open_positions": 3,
        },
    ),
    "breakouts": (
        "atr_breakout",
        {
            **{"atr_period": 14, "channel_period": 5, "atr_multiplier": 1, "direction": "both"},
            "max_open_positions": 4,
        },
    ),
}
#: Fee, slippage and funding in basis points: costs that nobody has belong to the rules too.
COSTS = {
    **{"dear": (200, 100, 50), "rebate": (0, 0, -300), "all_of_it": (10000, 0, 0)},
    **{"for_nothing": (0, 10000, 0), "absurd": (3000, 5000, 1000)},
}


@pytest.fixture
def traded(market: psycopg.Connection) -> psycopg.Connection:
    """The market with more signals and cost models."""
    new = "insert into signals.dim_signals (signal_name, signal_type, params) values (%s, %s, %s)"
    for name, (kind, params) in SIGNALS.items():
        market.execute(new, (name, kind, json.dumps(params)))
    for name, costs in COSTS.items():
        market.execute(
            "insert into backtest.cost_models values (%s, %s, %s, %s, 'Of this test.')",
            (name, *costs),
        )
    for asset in (1, 2, 3, 4):
        market.execute("select features.refresh_asset(%s, p_verb => 'refresh_signals')", (asset,))
    return market


def some_run(chance: random.Random) -> dict:
    """Arguments of a run."""
    found = {
        "signal": chance.choice(["ema_9_21_long", "atr_20_donchian", *SIGNALS, *SIGNALS]),
        "asset_ids": sorted(chance.sample([1, 2, 4], chance.randint(1, 3))),
        "cost_model": chance.choice(["clean", "realistic", "perp", "perp", *COSTS]),
        "capital": chance.choice([10000.0, 1.0, 1e9]),
        "sizing": chance.choice(["all_in", "fixed_fraction", "volatility_target"]),
        "capital_limit": chance.choice([0.5, 1.0, 3.0]),
        "fill": chance.choice(["next_open", "next_close"]),
    }
    if found["sizing"] != "all_in":
        found["fraction"] = chance.choice([0.1, 0.5, 1.0])
    if chance.random() < 0.4:
        found["from"] = prices.ts(chance.randint(0, 150))
    if chance.random() < 0.4:
        found["to"] = prices.ts(chance.randint(200, 300))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_runs_of_all_kinds_are_those_of_the_definitions(traded, seed):
    chance = random.Random(seed)
    seen = Counter()
    for _ in range(12):
        run = stored_backtests.check(traded, stored_backtests.start(traded, **some_run(chance)))
        seen["ruined" if run.ruined else "complete"] += 1
        for trade in run.trades:
            seen[trade.direction, trade.exit_reason] += 1
    assert seen["complete"] > 2
    assert seen["ruined"] > 0
    for direction in ("long", "short"):
        assert seen[direction, "signal"] > 10


@pytest.mark.parametrize("signal", ["ema_21_50_long", "rsi_30_70_mr", "atr_20_donchian"])
def test_a_seed_over_the_whole_market_is_that_of_the_definitions(market, signal):
    run = stored_backtests.check(
        market, stored_backtests.start(market, signal, sizing="fixed_fraction", fraction=0.4)
    )
    assert run.trades
    assert not run.ruined
