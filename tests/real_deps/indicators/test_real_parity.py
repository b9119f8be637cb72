"""TA-Lib on real prices: TA_LAB2_DATA names their folder, else that of ``test_real_prices``."""

from __future__ import annotations

import csv
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.support.indicator_kinds import KINDS, Kind, Params
from tests.support.indicators import COLUMNS, candles, worked_out

DATA = Path(os.environ.get("TA_LAB2_DATA") or Path(__file__).parents[4] / "shared" / "data")

pytestmark = pytest.mark.skipif(
    not (DATA / "cmc").is_dir(), reason=f"no price files in {DATA}; TA_LAB2_DATA names their folder"
)


@cache
def assets() -> dict[str, list[tuple[float, ...]]]:
    """The candles of each file, in order."""
    found = {}
    for path in sorted((DATA / "cmc").glob("*.csv")):
        with path.open(newline="") as lines:
            found[path.stem] = [
                tuple(float(row[name]) for name in COLUMNS) for row in csv.DictReader(lines)
            ]
    return found


@pytest.mark.parametrize(
    ("kind", "params"),
    [(kind, params) for kind in KINDS for params in kind.params if kind.talib],
    ids=lambda x: x.name if isinstance(x, Kind) else "_".join(map(str, x.values())),
)
def test_every_asset_has_ta_lib_s_values(kind: Kind, params: Params) -> None:
    """Within 1e-9, but for what its running sums leave where the value is 0."""
    assert kind.talib is not None
    for asset, rows in assets().items():
        found, _ = worked_out(kind.name, params, rows)
        expected = kind.talib(candles(rows), **params)
        for (name, got), wanted in zip(found.items(), expected, strict=True):
            if wanted is None:
                continue
            known = ~np.isnan(wanted)
            assert (np.isnan(got) == ~known).all(), (asset, name)
            wanted, off = np.abs(wanted[known]), np.abs(got - wanted)[known]
            left = 1e-10 * np.maximum.accumulate(wanted)
            assert (off <= np.maximum(1e-9 * wanted, left)).all(), (asset, name)
