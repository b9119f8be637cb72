"""What ``run_backtest`` refuses: signals behind, settings that can't be, rights."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ta_lab2.backtest import errors
from ta_lab2.features.errors import UnknownAsset
from tests.support import markets, prices
from tests.support.runs import EMA, add_signal, call


@pytest.mark.parametrize("change", ["revised", "new", "deleted"])
def test_signals_that_the_candles_have_outrun_are_refused(market, change):
    if change == "revised":
        market.execute(
            "update bars.cmc_price_histories7 set close = close * 1.001, high = high * 1.01"
            " where id = 4 and ts = %s",
            (prices.ts(200),),
        )
    elif change == "new":
        prices.put(market, 4, {421: 50.0})
    else:
        prices.drop(market, 4, [200])

    with pytest.raises(errors.SignalsOutrun, match=f"{EMA} are not up to date") as raised:
        call(market)
    assert "Of asset 4 (1 asset in all)" in raised.value.detail
    assert "refresh_all()" in raised.value.hint


def test_an_asset_whose_signal_was_never_worked_out_is_refused(market):
    market.execute("insert into bars.dim_assets (id, symbol, slug) values (9, 'T9', 'test-9')")

    with pytest.raises(errors.SignalsOutrun) as raised:
        call(market, asset_ids=[1, 9])
    assert "asset 9" in raised.value.detail


def test_a_signal_that_is_off_and_was_never_worked_out_is_refused(market):
    """All that it would be made from is up to date."""
    params = {"fast_period": 9, "slow_period": 21, "direction": "long"}
    market.execute(
        "insert into signals.dim_signals (signal_name, signal_type, params, is_active)"
        " values ('added', 'ema_crossover', %s, false)",
        (Jsonb(params),),
    )

    with pytest.raises(errors.SignalsOutrun) as raised:
        call(market, "added", asset_ids=[1])
    assert "never worked out" in raised.value.detail


@pytest.mark.parametrize("uses", [False, True])
def test_regimes_may_be_behind_for_a_signal_that_does_not_use_them(own_db, autocommit, uses):
    conn = autocommit(own_db)
    markets.put(conn, 1, 11, 0, 120)
    params = {"fast_period": 9, "slow_period": 21, "direction": "long", "use_regime": uses}
    add_signal(conn, params)
    for verb in ("features", "regimes", "signals"):
        conn.execute(f"call refresh_{verb}()")
    conn.execute(
        "update features.feature_state set fingerprint = '' where feature_type = 'regimes'"
    )

    if uses:
        with pytest.raises(errors.SignalsOutrun) as raised:
            call(conn, "added")
        assert "regimes is behind" in raised.value.detail
    else:
        assert call(conn, "added")


def test_other_assets_run_while_one_is_behind(market):
    prices.put(market, 4, {421: 50.0})

    assert call(market, asset_ids=[1, 2])


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"signal": "nobody"}, errors.UnknownSignal, "ema_9_21_long"),
        ({"signal": None}, errors.UnknownSignal, "no signal is called null"),
        ({"cost_model": "free"}, errors.UnknownCostModel, "clean, perp, realistic"),
        ({"cost_model": None}, errors.UnknownCostModel, "no cost model is called null"),
        ({"asset_ids": []}, errors.NoAssetToTrade, "p_asset_ids is empty"),
        ({"capital": 0.0}, errors.ImpossibleSettings, "p_capital is '0'"),
        ({"capital": float("nan")}, errors.ImpossibleSettings, "p_capital is 'NaN'"),
        ({"capital": float("inf")}, errors.ImpossibleSettings, "p_capital is 'Infinity'"),
        ({"capital": None}, errors.ImpossibleSettings, "p_capital is NULL"),
        ({"sizing": "kelly"}, errors.ImpossibleSettings, "p_sizing is 'kelly'"),
        ({"fraction": 0.5}, errors.ImpossibleSettings, "fixed_fraction takes a part"),
        (
            {"sizing": "fixed_fraction", "fraction": 1.5},
            errors.ImpossibleSettings,
            "p_fraction is '1.5'",
        ),
        ({"fill": "now"}, errors.ImpossibleSettings, "p_fill is 'now'"),
        ({"capital_limit": -1.0}, errors.ImpossibleSettings, "p_capital_limit is '-1'"),
        ({"vol_target": 0.0}, errors.ImpossibleSettings, "p_vol_target is '0'"),
        (
            {"from": prices.ts(9), "to": prices.ts(8)},
            errors.ImpossibleSettings,
            "the range ends before it begins",
        ),
        ({"from": prices.ts(999)}, errors.NoCandleInRange, "no candle in the range"),
        ({"to": prices.ts(-1)}, errors.NoCandleInRange, "the first candle to"),
    ],
    ids=lambda given: str(given)[:60],
)
def test_what_cannot_be_run_is_refused_and_leaves_nothing(market, settings, error, says):
    with pytest.raises(error) as raised, market.transaction():
        call(market, **settings)

    problem = raised.value
    assert says in f"{problem.what} {problem.detail}"
    assert problem.hint
    assert market.execute("select count(*) from backtest.runs").fetchone() == (0,)


def test_an_asset_that_nobody_knows_is_refused(market):
    with pytest.raises(UnknownAsset, match="no asset has the id 77"):
        call(market, asset_ids=[1, 77])


def test_a_run_is_never_written_again(market):
    run = call(market, run_id=uuid.UUID(int=5))

    assert run == uuid.UUID(int=5)
    with pytest.raises(errors.RunExists):
        call(market, run_id=run)


def test_the_app_may_run_backtests_and_a_reader_only_reads_them(market):
    market.execute("set session authorization ta_lab2_app")
    run = call(market)
    market.execute("set session authorization ta_lab2_reader")

    (name,) = market.execute(
        "select r.signal_name from published.backtest_runs as r where r.run_id = %s", (run,)
    ).fetchone()
    assert name == EMA
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        call(market)


def test_inputs_are_read_as_research_which_may_read_no_table_of_prices(market):
    """A leak is planted: reading the price table itself fails by privilege."""
    (inputs, candles) = market.execute(
        "select pg_get_functiondef('backtest.read_inputs'::regproc),"
        " pg_get_functiondef('backtest._candles'::regproc)"
    ).fetchone()
    assert "SET role TO 'ta_lab2_research'" in inputs
    assert candles.count("from published.cmc_price_histories7 as p") == 1
    market.execute(candles.replace("from published.cmc_price", "from bars.cmc_price"))

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="cmc_price_histories7"):
        call(market)
