"""Rows of dim_signals: which are refused, which are taken, and that what they read stays."""

from __future__ import annotations

import psycopg
import pytest

from ta_lab2.signals import errors, queries

EMA = {"fast_period": 9, "slow_period": 21, "direction": "long"}
RSI = {"rsi_period": 14, "oversold": 30, "overbought": 70, "direction": "long"}
ATR = {"atr_period": 14, "channel_period": 20, "atr_multiplier": 1.5, "direction": "long"}


@pytest.mark.parametrize(
    ("kind", "params", "error", "says"),
    [
        ("macd_cross", EMA, errors.UnknownType, "no signal is of the type macd_cross"),
        ("ema_crossover", [], errors.NoParameters, "no object"),
        ("ema_crossover", EMA | {"oversold": 3}, errors.UnknownParameter, "no parameter oversold"),
        ("rsi_mean_revert", EMA, errors.UnknownParameter, "no parameter fast_period"),
        (
            "ema_crossover",
            {"direction": "long"},
            errors.MissingParameter,
            "fast_period, slow_period",
        ),
        ("ema_crossover", EMA | {"direction": "up"}, errors.ImpossibleParameter, "direction"),
        ("ema_crossover", EMA | {"direction": None}, errors.ImpossibleParameter, "direction"),
        ("ema_crossover", EMA | {"fast_period": 9.5}, errors.ImpossibleParameter, "9.5"),
        ("ema_crossover", EMA | {"fast_period": "9"}, errors.ImpossibleParameter, "fast_period"),
        ("ema_crossover", EMA | {"use_regime": 1}, errors.ImpossibleParameter, "use_regime"),
        ("ema_crossover", EMA | {"max_open_positions": 0}, errors.ImpossibleParameter, "max_open"),
        ("ema_crossover", EMA | {"cooldown_bars": -1}, errors.ImpossibleParameter, "cooldown"),
        ("rsi_mean_revert", RSI | {"oversold": 0}, errors.ImpossibleParameter, "oversold"),
        ("atr_breakout", ATR | {"channel_period": 1}, errors.ImpossibleParameter, "channel"),
        ("ema_crossover", EMA | {"fast_period": 21}, errors.ParametersOutOfOrder, "slow_period"),
        ("rsi_mean_revert", RSI | {"oversold": 70}, errors.ParametersOutOfOrder, "overbought"),
        ("ema_crossover", EMA | {"fast_period": 13}, errors.UnknownPeriod, "the period 13"),
        (
            "rsi_mean_revert",
            RSI | {"rsi_period": 28},
            errors.UnknownIndicator,
            "RSI has the period",
        ),
        (
            "atr_breakout",
            ATR | {"atr_period": 28},
            errors.UnknownIndicator,
            "ATR has the period 28",
        ),
    ],
)
def test_what_cannot_be_worked_out_is_refused_with_the_reason(tx, kind, params, error, says):
    with pytest.raises(error, match=says) as caught, tx.transaction():
        tx.execute("savepoint before")
        with queries.translated():
            tx.execute(
                """
                insert into signals.dim_signals (signal_name, signal_type, params)
                values ('odd', %s, %s)
                """,
                (kind, psycopg.types.json.Jsonb(params)),
            )
    assert caught.value.detail
    assert caught.value.hint


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"rsi_threshold": None, "min_vol": None},
        {"rsi_threshold": 50, "min_vol": 0.2, "cooldown_bars": 3, "use_regime": True},
        {"fast_period": 9.0, "max_open_positions": 3, "direction": "both"},
    ],
)
def test_what_can_be_is_taken_as_it_is(tx, more):
    added = queries.add(tx, "even", "ema_crossover", EMA | more)
    assert added is not None
    assert added.params == EMA | more


@pytest.mark.parametrize(
    ("change", "readers"),
    [
        ("delete from features.dim_ema_periods where period = 200", "ema_50_200_long"),
        (
            "update features.dim_ema_periods set period = 201 where period = 21",
            "ema_9_21_long, ema_21_50_long",
        ),
        (
            "update features.dim_indicators set is_active = false where columns[1] = 'rsi_14'",
            "rsi_30_70_mr, rsi_25_75_mr",
        ),
        (
            "update features.dim_indicators set is_active = false where columns[1] = 'atr_14'",
            "atr_20_donchian",
        ),
    ],
)
def test_what_an_active_signal_reads_can_not_go(tx, change, readers):
    tx.execute("delete from regimes.dim_regime_layers")
    with (
        pytest.raises(errors.InputInUse, match=f"is read by the signal {readers}$") as raised,
        tx.transaction(),
        queries.translated(),
    ):
        tx.execute(change)
    assert all(f"'{name}'" in raised.value.hint for name in readers.split(", "))
    tx.execute(
        "update signals.dim_signals set is_active = false where signal_name = any (%s)",
        (readers.split(", "),),
    )
    tx.execute(change)


@pytest.mark.parametrize(
    "change",
    [
        "delete from features.dim_indicators where columns[1] = 'rsi_28'",
        "update features.dim_indicators set params = '{\"period\": 29}'"
        " where columns[1] = 'rsi_28'",
    ],
)
def test_an_indicator_without_its_columns_yet_stays_too(tx, change):
    tx.execute(
        "insert into features.dim_indicators (kind, params) values ('rsi', '{\"period\": 28}')"
    )
    assert queries.add(tx, "slow_rsi", "rsi_mean_revert", RSI | {"rsi_period": 28})
    with pytest.raises(errors.InputInUse, match="rsi_28"), queries.translated():
        tx.execute(change)


def test_a_filter_reads_too(tx):
    tx.execute("update signals.dim_signals set is_active = false")
    off = "update features.dim_indicators set is_active = false where columns[1] = 'rsi_14'"
    assert queries.add(tx, "filtered", "ema_crossover", EMA | {"rsi_threshold": 50})
    with pytest.raises(errors.InputInUse, match="filtered"), tx.transaction(), queries.translated():
        tx.execute(off)
    queries.switch(tx, "filtered", on=False)
    tx.execute(off)
    # And the other way round: what is switched off can't be read.
    with pytest.raises(errors.UnknownIndicator, match="RSI has the period 14"), tx.transaction():
        queries.switch(tx, "filtered", on=True)
    with pytest.raises(errors.UnknownIndicator, match="RSI has the period 14"), tx.transaction():
        queries.add(tx, "another", "ema_crossover", EMA | {"rsi_threshold": 50})
    assert queries.add(tx, "free", "ema_crossover", EMA | {"rsi_threshold": None})


def test_a_signal_on_its_way_in_and_a_period_on_its_way_out_wait_for_each_other(own_db, autocommit):
    first, second = autocommit(own_db), autocommit(own_db)
    first.execute("insert into features.dim_ema_periods (period) values (33)")
    second.execute("set lock_timeout = '200ms'")
    slow, gone = EMA | {"slow_period": 33}, "delete from features.dim_ema_periods where period = 33"
    with first.transaction(force_rollback=True):
        queries.add(first, "slow", "ema_crossover", slow)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute(gone)
    with first.transaction():
        first.execute(gone)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            queries.add(second, "slow", "ema_crossover", slow)
    with pytest.raises(errors.UnknownPeriod):
        queries.add(second, "slow", "ema_crossover", slow)


def test_its_history_is_kept(tx):
    tx.execute("update signals.dim_signals set is_active = false where signal_id = 6")
    assert tx.execute(
        """
        select count(*)
        from db.row_versions as v
        where v.table_name = 'dim_signals' and v.key = '{"signal_id": 6}' and v.valid_to is null
        """
    ).fetchone() == (1,)
