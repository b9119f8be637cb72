"""The seeds over real prices, from candles to metrics; TA_LAB2_DATA names the prices' folder.

Signals are worked out from the candles alone, so that features count as well, and then runs from
these. Positions and dates are the same, numbers to 1e-9.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ta_lab2.bars import ingest
from tests.support import contract, signals_by_definition, stored_backtests, stored_signals

DATA = Path(os.environ.get("TA_LAB2_DATA") or Path(__file__).parents[4] / "shared" / "data")

pytestmark = pytest.mark.skipif(
    not (DATA / "cmc").is_dir(), reason=f"no price files in {DATA}; TA_LAB2_DATA names their folder"
)


def test_the_seeds_signal_and_trade_real_prices_as_they_are_defined(own_db, autocommit):
    conn = autocommit(own_db)
    conn.execute(
        "update timemodel.dim_timeframe as t set is_active = t.tf in ('1D', '1W_CAL_ISO', '1M_CAL')"
    )
    for file in ingest.find([str(DATA / "cmc")]):
        ingest.load(conn, file)
    contract.refresh(conn)
    assets = [row[0] for row in conn.execute("select a.id from bars.dim_assets as a order by 1")]
    assert len(assets) == 16
    events = 0
    for asset in assets:
        candles = stored_signals.candles(conn, asset)
        for signal_id, (kind, params) in stored_signals.signals(conn).items():
            bars = signals_by_definition.with_features(kind, params, candles)
            stored = stored_signals.events(conn, asset, signal_id)
            expected = signals_by_definition.events(kind, params, bars)
            assert stored == expected, (asset, kind, params)
            events += len(stored)
    assert events > 4000
    seeds = [row[0] for row in conn.execute("select d.signal_name from signals.dim_signals as d")]
    for seed, (costs, how) in zip(
        seeds,
        [
            ("clean", {}),
            ("realistic", {"asset_ids": [1]}),
            ("perp", {"sizing": "fixed_fraction", "fraction": 0.2}),
            ("perp", {"sizing": "volatility_target", "fraction": 0.5, "capital_limit": 0.8}),
            ("realistic", {"asset_ids": [2, 74, 1839], "fill": "next_close"}),
            ("realistic", {}),
        ],
        strict=True,
    ):
        run = stored_backtests.check(
            conn, stored_backtests.start(conn, seed, cost_model=costs, **how)
        )
        assert len(run.trades) > 10
