"""Stored signals against their definitions, bar by bar: entries, exits, gains and digests."""

from __future__ import annotations

import json
import math
import random
from collections import Counter

import psycopg
import pytest

from tests.support import contract, signals_by_definition, stored_signals

#: Beside the signals that all tests of computations have.
MORE = {
    "crosses_short": ("ema_crossover", {"fast_period": 9, "slow_period": 10, "direction": "short"}),
    "crosses_of_few": (
        "ema_crossover",
        {"fast_period": 6, "slow_period": 10, "direction": "both", "min_vol": 0.45},
    ),
    "crosses_by_regime": (
        "ema_crossover",
        {"fast_period": 6, "slow_period": 9, "direction": "both", "use_regime": True},
    ),
    "reversals_short": (
        "rsi_mean_revert",
        {
            **{"rsi_period": 7, "oversold": 45, "overbought": 60, "direction": "short"},
            **{"max_open_positions": 2, "rsi_threshold": 55},
        },
    ),
    "reversals_after_rest": (
        "rsi_mean_revert",
        {
            **{"rsi_period": 7, "oversold": 49, "overbought": 50, "direction": "both"},
            "cooldown_bars": 1,
        },
    ),
    "breakouts_of_many": (
        "atr_breakout",
        {
            **{"atr_period": 14, "channel_period": 3, "atr_multiplier": 0.8, "direction": "both"},
            **{"max_open_positions": 4, "cooldown_bars": 3, "rsi_threshold": 50},
        },
    ),
    "breakouts_of_two_bars": (
        "atr_breakout",
        {"atr_period": 14, "channel_period": 2, "atr_multiplier": 1, "direction": "short"},
    ),
}


def closes(asset: int, days: int = 700) -> dict[int, float]:
    """A walk with gaps, with prices that repeat, and with flat stretches where averages meet."""
    chance = random.Random(asset)
    close, found = 100.0, {}
    for day in range(days):
        if day % 120 > 25:
            close = max(round(close * math.exp(chance.gauss(0, 0.04)), asset % 3), 1.0)
        if day == 26:
            # All averages are 100 still: one market rises from there, the others fall.
            close = 110.0 if asset == 1 else 90.0
        if day % 89 not in (7, 8):
            found[day] = close
    return found


@pytest.fixture
def market(tx: psycopg.Connection) -> psycopg.Connection:
    """Three assets with all signals refreshed."""
    contract.only(tx, ("1D", "1W_CAL_ISO", "1M_CAL"))
    # Regimes that let something through now and then, of each kind.
    tx.execute(
        """
        update regimes.dim_regime_policies as p
        set setups = case p.trend
            when 'Up' then '{breakout,mean_revert}'
            when 'Sideways' then '{breakout,mean_revert,short}'
            when 'Down' then '{short,mean_revert}'
        end::text[]
        where p.setups is not null
        """
    )
    new = "insert into signals.dim_signals (signal_name, signal_type, params) values (%s, %s, %s)"
    for name, (kind, params) in MORE.items():
        tx.execute(new, (name, kind, json.dumps(params)))
    for asset in (1, 2, 3):
        contract.put(tx, asset, closes(asset))
        for verb in contract.VERBS:
            tx.execute(
                """
                insert into features.refresh_state (id, verb)
                values (%s, %s)
                on conflict do nothing
                """,
                (asset, verb),
            )
            tx.execute("select features.refresh_asset(%s, p_verb => %s)", (asset, verb))
    return tx


def test_entries_and_exits_are_those_of_the_definitions(market):
    seen = Counter()
    for signal_id, (kind, params) in stored_signals.signals(market).items():
        for asset in (1, 2, 3):
            bars = stored_signals.bars(market, asset, kind, params)
            expected = signals_by_definition.events(kind, params, bars)
            assert stored_signals.events(market, asset, signal_id) == expected, (kind, params)
            for event in expected:
                seen[kind, event.direction, event.state, bool(params.get("use_regime"))] += 1
    # Every type, from both sides, in and out: nothing of this is compared with nothing.
    assert len({key[:3] for key in seen}) == 4 * len(signals_by_definition.SETUPS)
    assert min(seen[kind, "long", "open", True] for kind in signals_by_definition.SETUPS) > 0, seen


def test_a_digest_is_that_of_the_year_s_rows_as_they_are_laid_out(market):
    compared = 0
    for signal_id, (kind, params) in stored_signals.signals(market).items():
        for asset in (1, 2, 3):
            bars = stored_signals.bars(market, asset, kind, params)
            digests = signals_by_definition.digests(kind, params, bars)
            years = {ts.year: (ts, digest) for ts, digest in digests.items()}
            counts = Counter(bar.ts.year for bar in bars)
            assert stored_signals.segments(market, asset, signal_id) == {
                year: (counts[year], ts, digest) for year, (ts, digest) in years.items()
            }, (kind, params)
            rows = market.execute(
                """
                select s.ts, s.feature_digest, s.feature_version_hash
                from signals.cmc_signals as s
                where s.id = %s and s.signal_id = %s
                """,
                (asset, signal_id),
            )
            for ts, digest, short in rows:
                assert digest == digests[ts]
                assert short == digest.hex()[:16]
                compared += 1
    assert compared > 500


def test_a_snapshot_has_what_the_signal_read_at_the_entry(market):
    for signal_id, (kind, params) in stored_signals.signals(market).items():
        bars = {bar.ts: bar for bar in stored_signals.bars(market, 1, kind, params)}
        first, second = {
            "ema_crossover": ("fast_ema", "slow_ema"),
            "rsi_mean_revert": ("rsi", None),
            "atr_breakout": ("atr", None),
        }[kind]
        for entry_ts, snapshot in market.execute(
            """
            select s.entry_ts, s.feature_snapshot
            from signals.cmc_signals as s
            where s.id = 1 and s.signal_id = %s
            """,
            (signal_id,),
        ):
            bar = bars[entry_ts]
            expected = {first: bar.first, second: bar.second} if second else {first: bar.first}
            for name in ("open", "high", "low", "close", "rsi_14", "atr_14", "parkinson_20"):
                expected[name] = getattr(bar, name)
            assert {name: snapshot[name] for name in expected} == expected
