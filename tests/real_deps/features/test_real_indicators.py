"""The stored indicators of real prices against TA-Lib; TA_LAB2_DATA names the prices' folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import talib

from ta_lab2.bars import ingest
from tests.support import contract

DATA = Path(os.environ.get("TA_LAB2_DATA") or Path(__file__).parents[4] / "shared" / "data")

pytestmark = pytest.mark.skipif(
    not (DATA / "cmc").is_dir(), reason=f"no price files in {DATA}; TA_LAB2_DATA names their folder"
)

#: The largest differences that docs/indicators.md states, rounded up: to the value itself, for
#: MACD to the close, which it crosses zero with, and for stochastics to 100.
LIMITS = {
    "rsi": 1e-14,
    "macd": 1e-14,
    "stoch": 1e-14,
    "bb": 1e-10,
    "atr": 1e-14,
    "adx": 1e-14,
    "plus": 1e-14,
    "minus": 1e-14,
}


def expected(high, low, close):
    """TA-Lib's values of the seeded columns."""
    found = {f"rsi_{n}": talib.RSI(close, n) for n in (7, 14, 21)}
    for fast, slow in ((12, 26), (8, 17)):
        lines = talib.MACD(close, fast, slow, 9)
        for name, values in zip(("macd", "macd_signal", "macd_hist"), lines, strict=True):
            found[f"{name}_{fast}_{slow}_9"] = values
    found["stoch_k_14_3"], found["stoch_d_14_3"] = talib.STOCHF(high, low, close, 14, 3, 0)
    bands = talib.BBANDS(close, 20, 2.0, 2.0, 0)
    for name, values in zip(("upper", "middle", "lower"), bands, strict=True):
        found[f"bb_{name}_20_2"] = values
    found["bb_width_20_2"] = (bands[0] - bands[2]) / bands[1]
    found["atr_14"] = talib.ATR(high, low, close, 14)
    found["adx_14"] = talib.ADX(high, low, close, 14)
    found["plus_di_14"] = talib.PLUS_DI(high, low, close, 14)
    found["minus_di_14"] = talib.MINUS_DI(high, low, close, 14)
    return found


def test_every_stored_value_of_every_asset_is_ta_lib_s(own_db, autocommit):
    conn = autocommit(own_db)
    contract.only(conn, ())
    for file in ingest.find([str(DATA / "cmc")]):
        ingest.load(conn, file)
    contract.refresh(conn)
    largest: dict[str, float] = {}
    assets = conn.execute("select a.id from bars.dim_assets as a order by a.id").fetchall()
    assert len(assets) == 16
    for (asset,) in assets:
        columns = list(expected(*[np.ones(50)] * 3))
        rows = conn.execute(
            f"""
            select p.high, p.low, p.close, {", ".join(f"t.{name}" for name in columns)}
            from features.cmc_ta_daily as t
            join bars.cmc_price_histories7 as p using (id, ts)
            where t.id = %s
            order by t.ts
            """.encode(),
            (asset,),
        ).fetchall()
        high, low, close, *stored = np.array(rows, float).T.copy()
        for (name, wanted), got in zip(expected(high, low, close).items(), stored, strict=True):
            np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted), name)
            kind = name.split("_")[0]
            scale = {"macd": close, "stoch": 100.0}.get(kind, np.abs(wanted))
            if name == "bb_width_20_2":
                # The rounding of TA-Lib's bands is that of the price.
                scale = 1.0
            apart = np.where(got == wanted, 0, np.abs(got - wanted)) / scale
            largest[kind] = max(largest.get(kind, 0.0), float(np.nanmax(apart)))
    assert {kind: value for kind, value in largest.items() if value > LIMITS[kind]} == {}
