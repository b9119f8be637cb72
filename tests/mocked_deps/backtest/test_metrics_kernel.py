"""The metrics' kernel, compiled from the shipped file, against their formulas, the slow way."""

from __future__ import annotations

import math
import statistics
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support import plpython

FILE = "functions/backtest/metrics_kernel.sql"
ARGUMENTS = (
    *("p_capital", "p_annualisation_days", "p_ts", "p_equity", "p_exposure", "p_benchmark"),
    *("p_net", "p_return", "p_days", "p_open_trades", "p_traded", "p_skipped"),
)
DAY = 86_400_000_000
FLOAT, STAMP = 701, 1184


@cache
def kernel():
    return plpython.compiled(plpython.body(FILE), *ARGUMENTS)


def measure(
    equity,
    benchmark=None,
    exposure=None,
    trades=(),
    days=None,
    capital=100.0,
    year=365,
    opened=0,
    traded=0.0,
    skipped=0,
):
    """Metrics by name; trades are (net_pnl, return_pct, days held)."""
    count = len(equity)
    send = plpython.array_send
    names, values = kernel()(
        capital,
        year,
        send(STAMP, [day * DAY for day in days or range(count)]),
        send(FLOAT, equity),
        send(FLOAT, exposure or [0.0] * count),
        send(FLOAT, benchmark or [capital] * count),
        *(send(FLOAT, [trade[n] for trade in trades]) for n in range(3)),
        opened,
        traded,
        skipped,
    )
    return dict(zip(names, values, strict=True))


def quantile(values, share):
    """The quantile, a straight line between the two values that it lies between."""
    place = (len(values) - 1) * share
    below = math.floor(place)
    ordered = [*sorted(values), max(values)]
    return ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])


def power(base, exponent):
    """The power; infinity where a float can't hold it."""
    try:
        return base**exponent
    except OverflowError:
        return math.inf


def slow(equity, benchmark, exposure, trades, capital, year):
    """The metrics of days in a row from their formulas; those of returns that differ."""
    r = [b / a - 1 for a, b in zip([capital, *equity], equity, strict=False)]
    m = [b / a - 1 for a, b in zip([capital, *benchmark], benchmark, strict=False)]
    years = (len(equity) - 1) / 365
    mean = statistics.fmean(r)
    peaks = [max(equity[: n + 1]) for n in range(len(equity))]
    falls = [value / peak - 1 for value, peak in zip(equity, peaks, strict=True)]
    trough = falls.index(min(falls))
    peak = max((n for n in range(trough) if equity[n] == peaks[trough]), default=0)
    end = next(
        (n for n in range(trough, len(equity)) if equity[n] >= peaks[trough]), len(equity) - 1
    )
    length = end - peak if falls[trough] < 0 else 0
    cagr = power(equity[-1] / capital, 1 / years) - 1
    down = math.sqrt(statistics.fmean([min(x, 0) ** 2 for x in r]))
    found = {
        "total_return": equity[-1] / capital - 1,
        "cagr": cagr,
        "volatility": statistics.stdev(r) * math.sqrt(year),
        "sharpe": mean / statistics.stdev(r) * math.sqrt(year),
        "sortino": mean / down * math.sqrt(year) if down else None,
        "max_drawdown": falls[trough],
        "max_drawdown_days": length,
        "calmar": cagr / -falls[trough] if falls[trough] else None,
        "var_95": quantile(r, 0.05),
        "expected_shortfall_95": statistics.fmean(sorted(r)[: int((len(r) - 1) * 0.05) + 1]),
        "skew": statistics.fmean([((x - mean) / statistics.pstdev(r)) ** 3 for x in r]),
        "exposure": statistics.fmean(exposure),
        "time_in_market": sum(x > 0 for x in exposure) / len(exposure),
        "benchmark_return": benchmark[-1] / capital - 1,
    }
    low = quantile(r, 0.05)
    found["tail_ratio"] = abs(quantile(r, 0.95)) / abs(low) if low else None
    found["beta"] = statistics.covariance(r, m) / statistics.variance(m)
    beyond = statistics.fmean([x - found["beta"] * y for x, y in zip(r, m, strict=True)])
    found["alpha"] = power(1 + beyond, year) - 1
    net, pct, held = zip(*trades, strict=True) if trades else ((), (), ())
    won = [n for n, amount in enumerate(net) if amount > 0]
    lost = [n for n, amount in enumerate(net) if amount < 0]
    found["trades"] = len(net)
    found["win_rate"] = len(won) / len(net) if net else None
    gained, gone = sum(net[n] for n in won), -sum(net[n] for n in lost)
    found["profit_factor"] = gained / gone if lost else None
    found["avg_win"] = statistics.fmean([pct[n] for n in won]) if won else None
    found["avg_loss"] = statistics.fmean([pct[n] for n in lost]) if lost else None
    found["avg_holding_days"] = statistics.fmean(held) if held else None
    return found


money = st.integers(20, 500).map(float)
closed = st.tuples(
    st.integers(-50, 50).map(float), st.integers(-50, 50).map(lambda n: n / 100), money
)


@settings(max_examples=200, deadline=None)
@given(
    account=st.lists(
        st.tuples(money, money, st.sampled_from([0.0, 0.5, 1.0])), min_size=3, max_size=60
    ),
    trades=st.lists(closed, max_size=8),
    year=st.sampled_from([252, 365]),
)
@example(account=[(20.0, 20.0, 0.0), (20.0, 20.0, 0.0), (262.0, 21.0, 0.0)], trades=[], year=365)
def test_metrics_are_what_their_formulas_say(account, trades, year):
    equity, benchmark, exposure = (list(column) for column in zip(*account, strict=True))
    if len(set(equity)) < 2 or len({b / a for a, b in pairwise(benchmark)}) < 2:
        return

    found = measure(equity, benchmark, exposure, trades, year=year)
    known = slow(equity, benchmark, exposure, trades, 100.0, year)

    for name, value in known.items():
        if value is None:
            assert found[name] is None, name
        elif found[name] is None:
            assert not math.isfinite(value), name
        else:
            assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


def test_a_run_by_hand():
    found = measure(
        [100, 110, 99, 99, 121],
        trades=[(21, 0.2, 3), (-5, -0.05, 1), (0, 0, 2)],
        exposure=[0, 1, 1, 0, 0.5],
        traded=529,
        opened=1,
        skipped=2,
    )

    assert found["total_return"] == pytest.approx(0.21)
    assert found["max_drawdown"] == pytest.approx(-0.1)
    assert found["max_drawdown_days"] == 3
    assert found["cagr"] == pytest.approx(1.21 ** (365 / 4) - 1)
    assert found["exposure"] == 0.5
    assert found["time_in_market"] == 0.6
    # 529 over a mean equity of 105.8 in 4 days.
    assert found["turnover"] == pytest.approx(5 * 365 / 4)
    assert (found["trades"], found["open_trades"], found["entries_skipped"]) == (3, 1, 2)
    assert found["win_rate"] == pytest.approx(1 / 3)
    assert found["profit_factor"] == pytest.approx(4.2)
    assert (found["avg_win"], found["avg_loss"], found["avg_holding_days"]) == (0.2, -0.05, 2)


def test_the_drawdown_lasts_from_the_last_bar_at_the_peak():
    assert measure([100, 120, 120, 90, 120])["max_drawdown_days"] == 2
    assert measure([100, 120, 120, 90, 100, 110])["max_drawdown_days"] == 3
    assert measure([90, 100, 110], days=[0, 5, 7])["max_drawdown_days"] == 0
    assert measure([100, 120, 90, 120], days=[0, 1, 5, 9])["max_drawdown_days"] == 8


def test_days_are_those_of_the_calendar():
    assert measure([100, 200], days=[0, 365])["cagr"] == pytest.approx(1.0)


def test_what_is_not_defined_is_null():
    still = measure([100, 100, 100])
    undefined = ("sharpe", "sortino", "calmar", "skew", "tail_ratio", "beta", "alpha", "win_rate")
    assert [still[name] for name in undefined] == [None] * len(undefined)
    assert (still["volatility"], still["max_drawdown"], still["var_95"]) == (0, 0, 0)

    alone = measure([100])
    assert [alone[name] for name in ("cagr", "volatility", "sharpe", "turnover")] == [None] * 4

    rising = measure([100, 110, 130], [100, 105, 104])
    assert rising["sortino"] is rising["calmar"] is None
    assert measure([100, 90], trades=[(5, 0.1, 1)])["profit_factor"] is None


def test_what_is_beyond_numbers_is_null():
    assert measure([1e-300, 1e300], [100, 110])["cagr"] is None
    assert measure([100.0, 1e200], [100, 110])["alpha"] is None


def test_equity_that_is_all_gone_is_a_loss_of_everything():
    found = measure([100, 50, 0])

    assert (found["total_return"], found["cagr"], found["max_drawdown"]) == (-1, -1, -1)


@given(
    values=st.lists(
        st.floats(-1e300, 1e300) | st.floats(-1, 1) | st.sampled_from([5e-324, -5e-324, 1e-9, 2.5]),
        min_size=1,
        max_size=200,
    )
)
@example(values=[1e16, 1.0, -1e16])
@example(values=[1e300, -1e300, 5e-324])
@example(values=[1.7e308, 1.7e308, -1.7e308])
@example(values=[0.1] * 4000)
@settings(max_examples=300, deadline=None)
def test_a_mean_is_the_exact_sum_rounded_once(values):
    found = measure([100.0] * len(values), exposure=values)["exposure"]
    try:
        known = math.fsum(values) / len(values)
    except OverflowError:
        known = math.nan
    assert found == (known if math.isfinite(known) else None)
