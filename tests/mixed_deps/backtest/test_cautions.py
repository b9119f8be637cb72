"""backtest.cautions: what a run shows of itself that makes it less to be believed."""

from __future__ import annotations

import uuid

import pytest

from ta_lab2.backtest import errors, runs
from ta_lab2.errors import translated
from tests.support import prices
from tests.support.runs import call, clear_signals, metrics, put_position, trust_signals


def found(conn, run):
    """What is said of a run, by its name."""
    return dict(conn.execute("select * from backtest.cautions(%s)", (run,)).fetchall())


def test_few_trades_are_told_with_their_number(market):
    run = call(market, asset_ids=[1])
    closed = int(metrics(market, run)["trades"])
    assert 1 < closed < 30
    assert found(market, run)["few_trades"].startswith(f"{closed} closed trades: below 30")

    none = call(market, asset_ids=[3])
    assert found(market, none)["few_trades"] == "There was no trade."
    assert "one_trade" not in found(market, none)


def test_a_position_that_stays_open_is_no_closed_trade(market):
    run = call(market, asset_ids=[1])
    first = market.execute(
        "select t.entry_ts, t.entry_signal_ts from backtest.trades as t where t.run_id = %s"
        " order by t.trade_no limit 1",
        (run,),
    ).fetchone()
    cut = call(market, asset_ids=[1], **{"from": first[1], "to": first[0]})
    assert metrics(market, cut)["open_trades"] == 1
    assert found(market, cut)["few_trades"].startswith("No trade was closed")


def test_one_trade_that_made_most_of_the_profit_is_told(market):
    run = call(market, asset_ids=[1])
    won = [
        pnl
        for (pnl,) in market.execute(
            "select t.net_pnl from backtest.trades as t where t.run_id = %s and t.net_pnl > 0",
            (run,),
        )
    ]
    share = max(won) / sum(won)
    assert ("one_trade" in found(market, run)) == (share > 0.5)
    market.execute(
        "update backtest.trades set net_pnl = 1e6 where run_id = %s and trade_no = 1", (run,)
    )
    assert "100 percent" in found(market, run)["one_trade"]


def test_a_short_range_is_told_in_days(market):
    run = call(market, asset_ids=[1], **{"from": prices.ts(100), "to": prices.ts(150)})
    assert found(market, run)["short_range"].startswith("50 days are taken for a year")
    year = call(market, asset_ids=[1], **{"from": prices.ts(10), "to": prices.ts(375)})
    assert "short_range" not in found(market, year)
    assert "short_range" in found(
        market, call(market, asset_ids=[1], **{"from": prices.ts(10), "to": prices.ts(374)})
    )


def test_bars_that_come_more_or_less_often_than_reckoned_are_told(market):
    run = call(market)
    assert "uneven_bars" not in found(market, run)
    market.execute("update backtest.runs set bars = 399 where run_id = %s", (run,))
    assert found(market, run)["uneven_bars"].startswith("346 bars a year are annualised as 365")
    market.execute("update backtest.runs set bars = 401 where run_id = %s", (run,))
    assert "uneven_bars" not in found(market, run), "347 of 365 are near enough"
    market.execute("set local session_replication_role = replica")
    market.execute("update bars.dim_assets set session_id = 'EQUITY' where id = 4")
    assert found(market, run)["uneven_bars"].startswith("The assets have different calendars. 348 ")


def test_trials_are_other_strategies_and_settings_over_the_same_assets(market):
    first = call(market)
    assert "many_trials" not in found(market, first)
    assert "many_trials" not in found(market, call(market)), "a repeat is none"
    call(market, asset_ids=[1])
    assert "many_trials" not in found(market, first), "nor are other assets"
    later = call(market, "rsi_30_70_mr")
    assert found(market, later)["many_trials"].startswith("One of 2 strategies or settings")
    assert found(market, call(market, fraction=0.5, sizing="fixed_fraction"))[
        "many_trials"
    ].startswith("One of 3 ")
    # A transaction's runs have one moment: those of a later one are not of this one's past.
    market.execute(
        "update backtest.runs set created_at = created_at - interval '1 hour' where run_id = %s",
        (first,),
    )
    assert "many_trials" not in found(market, first)


def test_an_account_that_outgrows_its_market_is_told(market):
    run = call(market, asset_ids=[1])
    assert "outgrown" not in found(market, run)
    market.execute(
        "update backtest.equity as e set equity = 1000001 from backtest.runs as r"
        " where r.run_id = %s and e.run_id = r.run_id and e.ts = r.last_ts",
        (run,),
    )
    assert found(market, run)["outgrown"].startswith("Equity grew 100-fold.")


@pytest.mark.parametrize(
    ("costs", "told"), [("clean", {"no_costs"}), ("realistic", set()), ("perp", set())]
)
def test_costs_of_nothing_are_told(market, costs, told):
    run = call(market, asset_ids=[1], cost_model=costs)
    assert found(market, run).keys() & {"no_costs"} == told


@pytest.mark.parametrize(
    ("direction", "costs", "told"),
    [("short", "realistic", True), ("short", "perp", False), ("long", "realistic", False)],
)
def test_shorts_that_pay_nothing_are_told(market, direction, costs, told):
    trust_signals(market)
    clear_signals(market)
    put_position(market, 1, 100, 120, direction)
    run = call(market, asset_ids=[1], cost_model=costs)
    assert metrics(market, run)["trades"] == 1
    assert ("free_shorts" in found(market, run)) == told


def test_assets_that_ended_or_began_late_are_named_with_their_day(market):
    run = call(market)
    told = found(market, run)
    ended, began = prices.ts(300).date(), prices.ts(60).date()
    assert told["ended_assets"].startswith(f"Candles end early: T2 {ended}.")
    assert told["late_assets"].startswith(f"Candles begin late: T4 {began}, T3 ")
    alone = found(market, call(market, asset_ids=[2]))
    assert alone.keys().isdisjoint({"ended_assets", "late_assets"})
    # Within a week nothing is said.
    for day, said in ((307, False), (308, True)):
        run = call(market, asset_ids=[1, 2], to=prices.ts(day))
        assert ("ended_assets" in found(market, run)) == said


def test_what_came_after_a_run_changes_nothing_of_it(market):
    run = call(market)
    before = found(market, run)
    market.execute(
        "delete from bars.cmc_price_histories7 where id = 1 and ts > %s", (prices.ts(9),)
    )
    call(market, "rsi_30_70_mr", known_at=None, asset_ids=[2])
    assert found(market, run) == before


def test_they_come_in_an_order_and_the_commands_have_them(market):
    run = call(market, cost_model="clean", **{"to": prices.ts(320)})
    named = list(found(market, run))
    order = [
        "few_trades", "one_trade", "short_range", "uneven_bars", "many_trials", "outgrown",
        "no_costs", "free_shorts", "ended_assets", "late_assets",
    ]  # fmt: skip
    assert named == [each for each in order if each in named]
    assert runs.cautions(market, run) == list(found(market, run).values())


def test_an_unknown_run_is_refused(market):
    with pytest.raises(errors.UnknownRun), translated():
        market.execute("select * from backtest.cautions(%s)", (uuid.uuid4(),))
