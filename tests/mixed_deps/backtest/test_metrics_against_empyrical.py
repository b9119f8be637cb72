"""Metrics against empyrical, from the daily returns of a run.

One convention differs. empyrical counts a year as that many returns,
where a CAGR of ours goes by the calendar: days / 365; so does the Calmar ratio. Ratios are
annualised alike: by 365 days, or 252 sessions.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.support import backtest_by_definition, stored_backtests
from tests.support.backtest_by_definition import Rules
from tests.support.walks import ATR, EMA, walk, worked

empyrical = pytest.importorskip(
    "empyrical", reason="empyrical is not here; `make test` installs it"
)
stats = pytest.importorskip("scipy.stats", reason="scipy is not here; `make test` installs it")


def by_empyrical(returns, benchmark, days: float, year: int) -> dict[str, float]:
    """What it makes of the returns; its annual return is put on our calendar."""
    growth = 1 + empyrical.cum_returns_final(returns)
    cagr = growth ** (365 / days) - 1
    theirs = empyrical.annual_return(returns, annualization=year)
    assert theirs == pytest.approx(growth ** (year / len(returns)) - 1)
    worst = empyrical.max_drawdown(returns)
    calmar = empyrical.calmar_ratio(returns, annualization=year)
    assert calmar == pytest.approx(theirs / abs(worst))
    alpha, beta = empyrical.alpha_beta(returns, benchmark, annualization=year)
    return {
        "total_return": growth - 1,
        "cagr": cagr,
        "volatility": empyrical.annual_volatility(returns, annualization=year),
        "sharpe": empyrical.sharpe_ratio(returns, annualization=year),
        "sortino": empyrical.sortino_ratio(returns, annualization=year),
        "calmar": cagr / abs(worst),
        "max_drawdown": worst,
        "var_95": empyrical.value_at_risk(returns, 0.05),
        "expected_shortfall_95": empyrical.conditional_value_at_risk(returns, 0.05),
        "skew": float(stats.skew(returns)),
        "tail_ratio": empyrical.tail_ratio(returns),
        "alpha": alpha,
        "beta": beta,
    }


@pytest.mark.parametrize("year", [365, 252])
@pytest.mark.parametrize(("signal", "side"), [(EMA, "long"), (ATR, "both"), (EMA, "short")])
def test_the_slow_way_s_metrics_are_empyrical_s(signal, side, year):
    kind, params = signal
    candles, events = worked(kind, params | {"direction": side}, walk(900, 8))
    rules = Rules(fee_bps=5, slippage_bps=5, funding_bps=3)
    run = backtest_by_definition.run({1: candles}, {1: events}, rules)
    equity = np.array([rules.capital, *(day.equity for day in run.days)])
    held = np.array([rules.capital, *(day.benchmark for day in run.days)])
    days = (run.days[-1].ts - run.days[0].ts).days
    theirs = by_empyrical(np.diff(equity) / equity[:-1], np.diff(held) / held[:-1], days, year)
    ours = backtest_by_definition.metrics(run, rules, year)
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, rel=1e-9)
    assert not any(math.isnan(value) for value in theirs.values())


@pytest.mark.parametrize("costs", ["clean", "perp"])
@pytest.mark.parametrize("signal", ["ema_9_21_long", "rsi_30_70_mr", "atr_20_donchian"])
def test_stored_metrics_are_empyrical_s(market, signal, costs):
    run_id = stored_backtests.start(market, signal, cost_model=costs, asset_ids=[1, 2])
    (run,) = stored_backtests.of(market, "runs", run_id)
    equity = stored_backtests.of(market, "equity", run_id)
    held = np.array([run["capital"], *(row["benchmark"] for row in equity)])
    theirs = by_empyrical(
        np.array([row["daily_return"] for row in equity]),
        np.diff(held) / held[:-1],
        (run["last_ts"] - run["first_ts"]).days,
        run["annualisation_days"],
    )
    ours = {row["metric"]: row["value"] for row in stored_backtests.of(market, "metrics", run_id)}
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, rel=1e-9)
