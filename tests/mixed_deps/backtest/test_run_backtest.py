"""``run_backtest``: what a run leaves, how it fills, marks and ends."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from tests.support import prices
from tests.support.runs import (
    EMA,
    call,
    clear_signals,
    metrics,
    put_position,
    row,
    rows,
    trust_signals,
)


def test_a_run_leaves_itself_with_trades_equity_metrics_and_segments(market):
    run = call(market, label="first")

    kept = row(market, run)
    assert (kept["signal_name"], kept["label"], kept["status"]) == (EMA, "first", "complete")
    assert kept["asset_ids"] == [1, 2, 3, 4]
    assert (kept["first_ts"], kept["last_ts"]) == (prices.ts(0), prices.ts(420))
    assert (kept["fee_bps"], kept["slippage_bps"], kept["funding_bps"]) == (10, 5, 0)
    assert (kept["annualisation_days"], kept["bars"]) == (365, 421)
    assert len(rows(market, "equity", run)) == 421
    assert len(rows(market, "trades", run)) > 3
    standing = market.execute("select d.metric from backtest.dim_metrics as d").fetchall()
    assert set(metrics(market, run)) == {name for (name,) in standing}
    segments = market.execute(
        "select s.id, s.year, s.row_count, s.digest from signals.cmc_signal_segments as s"
        " where s.signal_id = %s order by s.id, s.year",
        (kept["signal_id"],),
    ).fetchall()
    assert [tuple(each.values()) for each in rows(market, "run_segments", run)] == segments


def test_a_trade_is_filled_on_the_bar_after_its_signal_at_the_price_that_costs_make(market):
    run = call(market, asset_ids=[1])

    trades = rows(market, "trades", run)
    events = market.execute(
        """
        select e.ts, n.ts, n.open * 1.0005, e.feature_snapshot, e.feature_version_hash
        from signals.cmc_signals as e
        cross join lateral (
            select p.ts, p.open
            from bars.cmc_price_histories7 as p
            where p.id = e.id and p.ts > e.ts
            order by p.ts
            limit 1
        ) as n
        join signals.dim_signals as s using (signal_id)
        where e.id = 1 and e.position_state = 'open' and s.signal_name = %s
        order by e.ts
        """,
        (EMA,),
    ).fetchall()
    assert len(trades) == len(events)
    for trade, (signal_ts, ts, price, snapshot, version) in zip(trades, events, strict=True):
        assert (trade["entry_signal_ts"], trade["entry_ts"]) == (signal_ts, ts)
        assert trade["entry_price"] == pytest.approx(price, rel=1e-14)
        assert (trade["feature_snapshot"], trade["feature_version_hash"]) == (snapshot, version)
        assert trade["return_pct"] == trade["net_pnl"] / (trade["units"] * trade["entry_price"])


@pytest.mark.parametrize("sizing", ["all_in", "fixed_fraction", "volatility_target"])
@pytest.mark.parametrize("costs", ["clean", "realistic", "perp"])
def test_the_books_balance_for_every_sizing_and_cost_model(market, sizing, costs):
    run = call(market, cost_model=costs, sizing=sizing, fraction=1.0)

    earned, ended, off = market.execute(
        """
        select
            (select sum(t.net_pnl) from backtest.trades as t where t.run_id = %(run)s),
            (
                select e.equity
                from backtest.equity as e
                where e.run_id = %(run)s
                order by e.ts desc
                limit 1
            ),
            (
                select count(*)
                from backtest.equity as e
                where e.run_id = %(run)s and e.cash + e.positions <> e.equity
            )
        """,
        {"run": run},
    ).fetchone()
    assert earned == pytest.approx(ended - 10_000, abs=1e-9 * 10_000)
    assert off == 0


@pytest.mark.parametrize("signal", ["ema_9_21_long", "rsi_30_70_mr", "atr_20_donchian"])
@pytest.mark.parametrize("end", [150, 299, 300, 301, 415])
def test_a_run_that_ends_earlier_has_the_same_trades_and_equity_up_to_there(market, signal, end):
    settings = {"cost_model": "perp", "sizing": "fixed_fraction", "fraction": 0.6}
    whole = call(market, signal, asset_ids=[1, 2, 3, 4], **settings)
    part = call(market, signal, asset_ids=[1, 2, 3, 4], to=prices.ts(end), **settings)

    until = prices.ts(end)
    assert rows(market, "equity", part) == [
        each for each in rows(market, "equity", whole) if each["ts"] <= until
    ]
    entered = [each for each in rows(market, "trades", whole) if each["entry_ts"] <= until]
    shorter = rows(market, "trades", part)
    assert len(shorter) == len(entered)
    for mine, later in zip(shorter, entered, strict=True):
        if mine["exit_ts"] is not None:
            assert mine == later
        else:
            assert later["exit_ts"] is None or later["exit_ts"] > until
            for name in ("id", "entry_ts", "entry_price", "units", "entry_fee"):
                assert mine[name] == later[name]


def test_a_position_that_is_open_at_the_end_is_marked_and_counts_in_no_statistic(market):
    clear_signals(market)
    trust_signals(market)
    put_position(market, 1, 10, 20)
    put_position(market, 1, 400)
    run = call(market, asset_ids=[1], cost_model="clean")

    closed, left = rows(market, "trades", run)
    assert closed["exit_reason"] == "signal"
    empty = ("exit_signal_ts", "exit_ts", "exit_price", "exit_fee", "exit_slippage", "exit_reason")
    assert [left[name] for name in empty] == [None] * 6
    last = rows(market, "equity", run)[-1]
    assert last["positions"] == pytest.approx(left["units"] * left["entry_price"] + left["net_pnl"])
    found = metrics(market, run)
    assert (found["trades"], found["open_trades"]) == (1, 1)
    assert found["avg_holding_days"] == 10
    assert found["win_rate"] in (0, 1)


def test_a_delisted_asset_keeps_its_last_close(market):
    clear_signals(market)
    trust_signals(market)
    put_position(market, 2, 290)
    run = call(market, asset_ids=[1, 2], cost_model="perp")

    after = [each for each in rows(market, "equity", run) if each["ts"] > prices.ts(300)]
    assert len({each["equity"] for each in after}) == 1
    assert {each["daily_return"] for each in after[1:]} == {0}
    assert rows(market, "trades", run)[0]["bars_held"] == 9


def test_a_short_runs_into_ruin_and_the_run_ends_there(market):
    clear_signals(market)
    trust_signals(market)
    market.execute(
        "update bars.cmc_price_histories7 set close = 5000, high = 5001 where id = 1 and ts = %s",
        (prices.ts(50),),
    )
    put_position(market, 1, 40, 60, direction="short")
    put_position(market, 1, 100, 110)
    run = call(market, asset_ids=[1])

    kept = row(market, run)
    assert (kept["status"], kept["last_ts"]) == ("ruined", prices.ts(50))
    (trade,) = rows(market, "trades", run)
    assert (trade["exit_reason"], trade["exit_ts"]) == ("ruin", prices.ts(50))
    assert trade["loss_cut"] > 0
    assert trade["net_pnl"] == pytest.approx(-10_000)
    found = metrics(market, run)
    assert (found["total_return"], found["cagr"], found["max_drawdown"]) == (-1, -1, -1)


@pytest.mark.parametrize(
    "costs", [(10_000, 0, 0), (0, 10_000, 0), (25_000, 25_000, 0), (0, 0, 10_000)]
)
def test_costs_of_all_and_more_end_in_ruin_not_below(market, costs):
    market.execute(
        "insert into backtest.cost_models values ('mad', %s, %s, %s, 'A hundred percent.')", costs
    )
    run = call(market, asset_ids=[1], cost_model="mad")

    assert row(market, run)["status"] == "ruined"
    equity = [each["equity"] for each in rows(market, "equity", run)]
    assert equity[-1] == 0
    assert min(equity[:-1]) > 0
    earned = sum(each["net_pnl"] for each in rows(market, "trades", run))
    assert earned == pytest.approx(-10_000)


@pytest.mark.parametrize("fee", [-1.0, float("nan"), float("inf"), 2e6])
def test_a_cost_model_that_nobody_can_pay_is_no_row(market, fee):
    with pytest.raises(psycopg.errors.CheckViolation):
        market.execute("insert into backtest.cost_models values ('odd', %s, 0, 0, '')", (fee,))


def test_an_asset_without_signals_makes_a_run_without_trades(market):
    run = call(market, asset_ids=[3])

    found = metrics(market, run)
    assert rows(market, "trades", run) == []
    assert {each["equity"] for each in rows(market, "equity", run)} == {10_000}
    assert (found["total_return"], found["trades"], found["exposure"]) == (0, 0, 0)
    assert found["sharpe"] is found["win_rate"] is found["calmar"] is found["avg_win"] is None


def test_one_bar_makes_a_complete_run(market):
    run = call(market, asset_ids=[1], **{"from": prices.ts(100), "to": prices.ts(100)})

    kept, found = row(market, run), metrics(market, run)
    assert (kept["bars"], kept["first_ts"], kept["last_ts"]) == (1, prices.ts(100), prices.ts(100))
    assert found["cagr"] is found["sharpe"] is found["turnover"] is None
    assert found["total_return"] == 0


def test_an_exit_whose_entry_lies_before_the_range_is_left_out(market):
    clear_signals(market)
    trust_signals(market)
    put_position(market, 1, 10, 20)
    run = call(market, asset_ids=[1], **{"from": prices.ts(15)})

    assert rows(market, "trades", run) == []


def test_a_signal_on_the_first_bar_of_the_range_counts(market):
    clear_signals(market)
    trust_signals(market)
    put_position(market, 1, 10, 20)
    run = call(market, asset_ids=[1], **{"from": prices.ts(10), "to": prices.ts(21)})

    (trade,) = rows(market, "trades", run)
    assert (trade["entry_ts"], trade["exit_ts"]) == (prices.ts(11), prices.ts(21))


def test_holding_and_turnover_are_of_days_and_of_both_fills(market):
    clear_signals(market)
    trust_signals(market)
    put_position(market, 1, 10, 20)
    prices.drop(market, 1, [15])
    run = call(market, asset_ids=[1])

    (trade,) = rows(market, "trades", run)
    found = metrics(market, run)
    assert (trade["bars_held"], found["avg_holding_days"]) == (9, 10)
    equity = rows(market, "equity", run)
    traded = trade["units"] * (trade["entry_price"] + trade["exit_price"])
    mean = sum(each["equity"] for each in equity) / len(equity)
    years = (equity[-1]["ts"] - equity[0]["ts"]) / timedelta(days=365)
    assert found["turnover"] == pytest.approx(traded / mean / years, rel=1e-12)


def test_a_run_is_annualised_by_the_longest_year_of_its_assets(market):
    # Triggers keep the session of an asset that has candles.
    market.execute("set local session_replication_role = replica")
    market.execute("""
        insert into timemodel.dim_sessions
        select (jsonb_populate_record(
            s, '{"session_id": "OTHER", "annualisation_days": 252}'
        )).*
        from timemodel.dim_sessions as s
        where s.session_id = 'CRYPTO'
    """)
    market.execute("update bars.dim_assets set session_id = 'OTHER' where id = 4")
    market.execute("set local session_replication_role = origin")

    assert row(market, call(market, asset_ids=[4]))["annualisation_days"] == 252
    assert row(market, call(market, asset_ids=[1, 4]))["annualisation_days"] == 365


def test_segments_are_those_of_all_years_up_to_the_range_s_end(market):
    run = call(market, **{"from": prices.ts(40), "to": prices.ts(60)})

    assert {each["year"] for each in rows(market, "run_segments", run)} == {2020, 2021}
