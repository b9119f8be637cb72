"""Tables over runs: months, drawdowns, the ranking."""

from __future__ import annotations

import uuid
from datetime import UTC, timedelta
from itertools import pairwise

import pytest

from ta_lab2.backtest import errors
from ta_lab2.errors import translated
from tests.support import prices
from tests.support.runs import EMA, call, metrics, row, rows


def test_returns_of_months_compound_to_the_total(market):
    run = call(market)

    months = market.execute(
        "select m.month, m.return_pct, m.benchmark_pct from backtest.monthly_returns(%s) as m",
        (run,),
    ).fetchall()
    assert [month.day for month, _, _ in months] == [1] * len(months)
    assert months == sorted(months)
    total = bench = 1.0
    for _, mine, theirs in months:
        total *= 1 + mine
        bench *= 1 + theirs
    found = metrics(market, run)
    assert total - 1 == pytest.approx(found["total_return"], abs=1e-12)
    assert bench - 1 == pytest.approx(found["benchmark_return"], abs=1e-12)


def test_returns_of_months_are_those_of_their_last_closes_in_utc(market):
    run = call(market, **{"from": prices.ts(176)})
    market.execute("set local timezone = 'Asia/Tokyo'")

    last = {
        each["ts"].astimezone(UTC).strftime("%Y-%m-01"): each
        for each in rows(market, "equity", run)
    }
    expected, equity, benchmark = [], 10_000.0, 10_000.0
    for month, each in last.items():
        expected.append((month, each["equity"] / equity - 1, each["benchmark"] / benchmark - 1))
        equity, benchmark = each["equity"], each["benchmark"]
    found = market.execute(
        "select m.month::text, m.return_pct, m.benchmark_pct"
        " from backtest.monthly_returns(%s) as m",
        (run,),
    ).fetchall()
    assert found == expected
    assert 0 not in found[0][1:], "the first month moves"


def test_the_deepest_drawdown_is_the_maximum(market):
    run = call(market)

    found = market.execute(
        "select d.drawdown, d.peak_ts, d.trough_ts, d.recovery_ts, d.days"
        " from backtest.drawdowns(%s, 100) as d",
        (run,),
    ).fetchall()
    fewer = market.execute(
        "select d.drawdown from backtest.drawdowns(%s, 2) as d", (run,)
    ).fetchall()
    assert fewer == [(depth,) for depth, *_ in found[:2]]
    measured = metrics(market, run)
    assert found[0][0] == measured["max_drawdown"]
    assert found[0][4] == measured["max_drawdown_days"]
    assert [depth for depth, *_ in found] == sorted(depth for depth, *_ in found)
    last = row(market, run)["last_ts"]
    for _, peak, trough, recovery, days in found:
        assert peak < trough
        assert recovery is None or trough < recovery
        assert timedelta(days=days) == (recovery or last) - peak
    # One after the other.
    spans = sorted((peak, recovery or last) for _, peak, _, recovery, _ in found)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_the_ranking_has_the_latest_run_of_each_strategy_by_its_sharpe_ratio(market):
    for signal in ("ema_9_21_long", "rsi_30_70_mr", "atr_20_donchian"):
        call(market, signal, label="ranked")
    call(market, EMA, label="other")
    call(market, EMA, asset_ids=[3], label="ranked")
    call(market, EMA, label="ranked")

    found = market.execute(
        "select r.place, r.signal_name, r.sharpe, r.assets from backtest.ranking('ranked') as r"
    ).fetchall()
    assert [place for place, *_ in found] == [1, 2, 3, 4]
    sharpes = [sharpe for _, _, sharpe, _ in found[:3]]
    assert sharpes == sorted(sharpes, reverse=True)
    assert found[3][1:] == (EMA, None, 1)
    (everything,) = market.execute("select count(*) from backtest.ranking()").fetchone()
    assert everything == 4


def test_the_ranking_tells_labels_and_cost_models_apart_and_has_the_latest(market):
    old = call(market, label="ranked")
    market.execute(
        "update backtest.runs set created_at = created_at - interval '1 day' where run_id = %s",
        (old,),
    )
    new, clean = call(market, label="ranked"), call(market, cost_model="clean", label="ranked")
    call(market, "rsi_30_70_mr", label="other")

    found = market.execute("select r.run_id from backtest.ranking('ranked') as r").fetchall()
    assert sorted(found) == sorted([(new,), (clean,)])


def test_the_ranking_has_equals_in_the_order_of_their_assets(market):
    runs = {}
    for asset in (1, 2, 3):
        runs[asset] = call(market, EMA, asset_ids=[asset], label="equals")
    market.execute(
        "update backtest.runs set created_at = created_at - asset_ids[1] * interval '1 hour'"
    )
    market.execute("delete from backtest.metrics as m where m.metric = 'sharpe'")

    found = market.execute("select r.run_id from backtest.ranking('equals') as r").fetchall()
    assert found == [(runs[asset],) for asset in (1, 2, 3)]


@pytest.mark.parametrize("routine", ["monthly_returns(%s)", "drawdowns(%s)"])
def test_a_run_that_nobody_knows_is_refused(market, routine):
    with pytest.raises(errors.UnknownRun), translated():
        market.execute(f"select * from backtest.{routine}", (uuid.UUID(int=1),))
