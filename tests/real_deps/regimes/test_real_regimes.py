"""Regimes of real prices against TA-Lib and numpy, and the figures that docs/regimes.md states."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import talib

from ta_lab2.bars import ingest
from ta_lab2.features import queries as features
from ta_lab2.regimes import queries
from tests.support import naive_regimes

DATA = Path(os.environ.get("TA_LAB2_DATA") or Path(__file__).parents[4] / "shared" / "data")
PAGE = Path(__file__).parents[3] / "docs" / "regimes.md"

pytestmark = pytest.mark.skipif(
    not (DATA / "cmc").is_dir(), reason=f"no price files in {DATA}; TA_LAB2_DATA names their folder"
)

#: Timeframe, EMAs, and the values that a volatility is ranked among.
LAYERS = {
    "l0": ("1M_CAL", (12, 26, 52), 60),
    "l1": ("1W_CAL_ISO", (20, 50, 200), 100),
    "l2": ("1D", (20, 50, 100), 250),
}


@pytest.fixture
def bitcoin(own_db, autocommit):
    """BTC, with only the timeframes that regimes look at."""
    conn = autocommit(own_db)
    conn.execute(
        "update timemodel.dim_timeframe as t set is_active = t.tf = any (%s)",
        ([tf for tf, _, _ in LAYERS.values()],),
    )
    for file in ingest.find([str(DATA / "cmc" / "1_bitcoin.csv")]):
        ingest.load(conn, file)
    features.refresh(conn)
    queries.refresh(conn)
    return conn


def words(bars: np.ndarray, periods: tuple[int, int, int], window: int) -> list[tuple[str, ...]]:
    """The labels of each bar (high, low, close, volume), by TA-Lib."""
    high, low, close, volume = bars
    fast, mid, slow = (talib.EMA(close, period) for period in periods)
    adx = talib.ADX(high, low, close, 14)
    ratio = talib.ATR(high, low, close, 14) / close
    trends, volatilities, liquidities = [], [], []
    for n in range(len(close)):
        if np.isnan(slow[n] + adx[n]):
            trends.append("Unknown")
        elif adx[n] >= 20 and close[n] > slow[n] and fast[n] > mid[n]:
            trends.append("Up")
        elif adx[n] >= 20 and close[n] < slow[n] and fast[n] < mid[n]:
            trends.append("Down")
        else:
            trends.append("Sideways")
        last = ratio[max(n - window + 1, 0) : n + 1]
        if len(last) < window or np.isnan(last).any():
            volatilities.append("Unknown")
        else:
            share = 100 * np.mean(last <= last[-1])
            volatilities.append("Low" if share < 33 else "Normal" if share < 67 else "High")
        before = volume[max(n - 60, 0) : n]
        before = before[~np.isnan(before)]
        if len(before) < 60 or np.isnan(volume[n]) or not np.median(before):
            liquidities.append("Unknown")
        else:
            times = volume[n] / np.median(before)
            liquidities.append("Stressed" if times < 0.5 else "Easy" if times > 2 else "Normal")
    return list(zip(naive_regimes.held(trends, 2), volatilities, liquidities, strict=True))


def test_the_labels_are_those_of_ta_lib_s_indicators(bitcoin):
    for layer in LAYERS:
        labels_follow_ta_lib(bitcoin, layer)


def labels_follow_ta_lib(conn, layer):
    tf, periods, window = LAYERS[layer]
    bars = conn.execute(
        """
        select b.time_close, b.high, b.low, b.close, coalesce(b.volume, 'NaN')
        from bars.cmc_price_bars_multi_tf as b
        join timemodel.dim_timeframe as t using (tf_id)
        where b.id = 1 and t.tf = %s
        order by b.time_close
        """,
        (tf,),
    ).fetchall()
    expected = words(np.array([row[1:] for row in bars]).T, periods, window)
    found = conn.execute(
        f"""
        select r.ts, r.{layer}_trend, r.{layer}_volatility, r.{layer}_liquidity
        from regimes.cmc_regimes_daily as r
        where r.id = 1
        order by r.ts
        """
    ).fetchall()
    stands = iter(zip((row[0] for row in bars), expected, strict=True))
    upcoming, now = next(stands), ("Unknown",) * 3
    for ts, *labels in found:
        while upcoming and upcoming[0] <= ts:
            now = upcoming[1]
            upcoming = next(stands, None)
        assert tuple(labels) == now, ts


def test_the_page_states_what_its_queries_give_for_bitcoin(bitcoin):
    page = PAGE.read_text()
    statements = [text for text in re.findall(r"```sql\n(.*?)```", page, re.S) if "lag(" in text]
    assert len(statements) == 2
    for statement in statements:
        (row,) = bitcoin.execute(statement).fetchall()
        assert f"| {' | '.join(map(str, row))} |" in page
    (share,) = bitcoin.execute(
        """
        select 100.0 * count(*) filter (where r.is_new) / count(*)
        from (
            select d.l2_trend <> lag(d.l2_trend) over (order by d.ts) as is_new
            from regimes.cmc_regimes_daily as d
            where d.id = 1
        ) as r
        """
    ).fetchone()
    assert share <= 5, "at most 5 percent of its daily bars change the trend"
