"""The computations that the contract holds, and the configuration that they are held to it with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import pytest


@dataclass(frozen=True)
class Computation:
    """A table that a refresh fills, and the routines that do it.

    ``key`` is the rest of the table's key after the asset. ``known`` is the column that says when
    a row could first be known: no row may look at candles later than that. ``verb`` refreshes it.
    ``also`` are tables in which it keeps something beside its rows.
    """

    feature_type: str
    table: str
    step: str
    kernel: str
    key: tuple[str, ...] = ("ts",)
    known: str = "available_at"
    verb: str = "refresh_features"
    also: tuple[str, ...] = ()


RETURNS = Computation(
    "returns",
    "features.cmc_returns_daily",
    "functions/features/refresh_returns.sql",
    "functions/features/returns_kernel.sql",
)
BARS = Computation(
    "bars",
    "bars.cmc_price_bars_multi_tf",
    "functions/features/refresh_bars.sql",
    "functions/bars/ladder_kernel.sql",
    key=("tf_id", "time_close"),
    known="time_close",
)
EMA = Computation(
    "ema",
    "features.cmc_ema_multi_tf",
    "functions/features/refresh_emas.sql",
    "functions/features/ema_kernel.sql",
    key=("tf_id", "time_close"),
    known="time_close",
)
VOLATILITY = Computation(
    "volatility",
    "features.cmc_vol_daily",
    "functions/features/refresh_vol.sql",
    "functions/features/vol_kernel.sql",
)
INDICATORS = Computation(
    "indicators",
    "features.cmc_ta_daily",
    "functions/features/refresh_indicators.sql",
    "functions/features/indicators_kernel.sql",
)
STORE = Computation(
    "store",
    "features.cmc_daily_features",
    "functions/features/refresh_store.sql",
    "functions/features/refresh_store.sql",
)
REGIMES = Computation(
    "regimes",
    "regimes.cmc_regimes_daily",
    "functions/regimes/refresh_daily.sql",
    "functions/regimes/regimes_kernel.sql",
    verb="refresh_regimes",
)
TRANSITIONS = Computation(
    "regime_transitions",
    "regimes.cmc_regime_transitions",
    "functions/regimes/refresh_transitions.sql",
    "functions/regimes/refresh_transitions.sql",
    key=("ts", "layer", "dimension"),
    verb="refresh_regimes",
)
EMA_CROSSES, RSI_REVERSALS, BREAKOUTS = (
    Computation(
        f"signals_{kind}",
        f"signals.cmc_signals_{kind}",
        "functions/signals/refresh_type.sql",
        "functions/signals/signals_kernel.sql",
        key=("signal_id", "ts", "position_state"),
        verb="refresh_signals",
        also=("signals.cmc_signal_state", "signals.cmc_signal_segments"),
    )
    for kind in ("ema_crossover", "rsi_mean_revert", "atr_breakout")
)
#: In the order in which a refresh runs them.
COMPUTATIONS = (BARS, RETURNS, VOLATILITY, INDICATORS, EMA, STORE)
#: With those of the verbs that follow it.
EVERY = (*COMPUTATIONS, REGIMES, TRANSITIONS, EMA_CROSSES, RSI_REVERSALS, BREAKOUTS)
#: In the order in which they are called.
VERBS = tuple(dict.fromkeys(computation.verb for computation in EVERY))
LAST = VERBS[-1]
#: Those with a row for each session of an asset, from its first candle to its last.
DAILY = tuple(each for each in COMPUTATIONS if each.key == ("ts",))

by_table = pytest.mark.parametrize("computation", EVERY, ids=lambda c: c.feature_type)


def verbs(upto: str) -> tuple[str, ...]:
    """A verb and those before it, which it reads from."""
    return VERBS[: VERBS.index(upto) + 1]


def computations(upto: str) -> tuple[Computation, ...]:
    """What these verbs refresh."""
    return tuple(each for each in EVERY if each.verb in verbs(upto))


#: One timeframe of each family: all 199 would take their time and show no more.
TIMEFRAMES = (
    *("1D", "7D", "365D", "1W", "3D_CAL", "100D_CAL", "2W_CAL_ISO", "1W_CAL_US"),
    *("1W_CAL_ANCHOR_ISO", "10W_CAL_ANCHOR_US", "1W_CAL_ISO", "1M_CAL", "9M_CAL", "2M_CAL_ANCHOR"),
    *("1Y_CAL", "1Y_CAL_ANCHOR"),
)

#: Signals that have events within a few weeks: every filter, and both directions.
SIGNALS = {
    "ema_6_9_both": ("ema_crossover", {"fast_period": 6, "slow_period": 9, "direction": "both"}),
    "ema_9_21_filtered": (
        "ema_crossover",
        {
            **{"fast_period": 9, "slow_period": 21, "direction": "both"},
            **{"cooldown_bars": 5, "rsi_threshold": 40, "max_open_positions": 2},
        },
    ),
    "rsi_7_both": (
        "rsi_mean_revert",
        {
            **{"rsi_period": 7, "oversold": 48, "overbought": 55, "direction": "both"},
            "max_open_positions": 3,
        },
    ),
    "rsi_14_filtered": (
        "rsi_mean_revert",
        {
            **{"rsi_period": 14, "oversold": 45, "overbought": 60, "direction": "both"},
            **{"min_vol": 0.3, "cooldown_bars": 2, "use_regime": True},
        },
    ),
    "atr_2_both": (
        "atr_breakout",
        {
            **{"atr_period": 14, "channel_period": 2, "atr_multiplier": 1, "direction": "both"},
            **{"max_open_positions": 2},
        },
    ),
    "atr_5_regime": (
        "atr_breakout",
        {
            **{"atr_period": 14, "channel_period": 5, "atr_multiplier": 1.5, "direction": "both"},
            **{"use_regime": True, "cooldown_bars": 1},
        },
    ),
}


#: What regimes and signals read.
READ = ("1D", "1W_CAL_ISO", "1M_CAL")


def only(conn: psycopg.Connection, timeframes: Sequence[str] = TIMEFRAMES) -> None:
    """Switch every other timeframe off, let a regime know its labels early, and add the signals."""
    for name, (kind, params) in SIGNALS.items():
        conn.execute(
            """
            insert into signals.dim_signals (signal_name, signal_type, params)
            values (%s, %s, %s)
            on conflict do nothing
            """,
            (name, kind, json.dumps(params)),
        )
    conn.execute(
        "update timemodel.dim_timeframe as t set is_active = t.tf = any (%s)", (list(timeframes),)
    )
    conn.execute(
        """
        update regimes.dim_regime_layers as l
        set ema_fast = w.ema_fast,
            ema_mid = w.ema_mid,
            ema_slow = w.ema_slow,
            adx_period = w.days,
            atr_period = w.days,
            volatility_window = 5 * w.days,
            liquidity_window = 4,
            liquidity_hold = w.hold
        from (
            values ('L0', 6, 9, 10, 2, 3), ('L1', 6, 9, 10, 3, 3), ('L2', 20, 50, 100, 14, 1)
        ) as w (layer, ema_fast, ema_mid, ema_slow, days, hold)
        where w.layer = l.layer
        """
    )


def unread(conn: psycopg.Connection) -> None:
    """Let no signal and no layer read EMAs or indicators, so that any may go."""
    conn.execute("update signals.dim_signals as d set is_active = false where d.is_active")
    conn.execute("delete from regimes.dim_regime_layers")
