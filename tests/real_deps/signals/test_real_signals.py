"""Signals of real prices against TA-Lib, bar by bar, and the figures of docs/signals.md."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import talib

from ta_lab2.bars import ingest
from ta_lab2.features import queries as features
from ta_lab2.signals import queries
from tests.support import naive_signals
from tests.support.naive_signals import Bar

DATA = Path(os.environ.get("TA_LAB2_DATA") or Path(__file__).parents[4] / "shared" / "data")
PAGE = Path(__file__).parents[3] / "docs" / "signals.md"

pytestmark = pytest.mark.skipif(
    not (DATA / "cmc").is_dir(), reason=f"no price files in {DATA}; TA_LAB2_DATA names their folder"
)


@pytest.fixture
def conn(own_db, autocommit):
    """BTC and ETH with their signals."""
    conn = autocommit(own_db)
    conn.execute("update timemodel.dim_timeframe as t set is_active = t.tf = '1D'")
    for name in ("1_bitcoin.csv", "1027_ethereum.csv"):
        for file in ingest.find([str(DATA / "cmc" / name)]):
            ingest.load(conn, file)
    features.refresh(conn)
    queries.refresh(conn)
    return conn


def own(kind: str, params: dict, high: np.ndarray, low: np.ndarray, close: np.ndarray) -> list:
    """A signal's features, by TA-Lib."""
    if kind == "ema_crossover":
        found = [talib.EMA(close, params[f"{name}_period"]) for name in ("fast", "slow")]
    elif kind == "rsi_mean_revert":
        found = [talib.RSI(close, params["rsi_period"])]
    else:
        found = [talib.ATR(high, low, close, params["atr_period"])]
    return [tuple(None if np.isnan(x) else float(x) for x in row) for row in np.array(found).T]


@pytest.mark.parametrize("asset", [1, 1027])
def test_the_seeds_enter_and_exit_where_ta_lib_s_indicators_say(conn, asset):
    candles = conn.execute(
        """
        select p.ts, p.open, p.high, p.low, p.close
        from bars.cmc_price_histories7 as p
        where p.id = %s
        order by p.ts
        """,
        (asset,),
    ).fetchall()
    high, low, close = (np.array([row[n] for row in candles]) for n in (2, 3, 4))
    for signal in queries.signals(conn):
        bars = [
            Bar(0, *row[1:], None, None, None, None, values)
            for row, values in zip(
                candles, own(signal.signal_type, signal.params, high, low, close), strict=True
            )
        ]
        expected = [
            (candles[e.at][0], e.state, e.direction, candles[e.entry][0], e.breakout)
            for e in naive_signals.events(signal.signal_type, signal.params, bars)
        ]
        found = conn.execute(
            """
            select e.ts, e.position_state, e.direction, e.entry_ts, e.breakout_type
            from signals.events(%s, %s) as e
            """,
            (asset, signal.signal_id),
        ).fetchall()
        assert found == expected, signal.signal_name


def test_the_page_states_what_its_query_gives(conn):
    page = PAGE.read_text()
    statements = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    (counts,) = [text for text in statements if "atr_20_donchian" in text]
    rows = conn.execute(counts).fetchall()
    assert len(rows) == 2
    for row in rows:
        assert f"| {' | '.join(map(str, row))} |" in page
    for statement in statements:
        assert conn.execute(statement).fetchall()
