"""The kernels of indicators, compiled from the shipped files, and candles to give them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.support import plpython

COLUMNS = ("open", "high", "low", "close", "volume")
Outputs = dict[str, np.ndarray]


def kernel(kind: str) -> Any:
    """The kernel of a kind: (candles, params, state) -> (outputs, state)."""
    if "arithmetic" not in plpython.GD:
        plpython.compiled(plpython.body("functions/indicators/arithmetic.sql"))()
    if kind not in plpython.GD.setdefault("indicators", {}):
        routine = f"indicators._{kind}_kernel"
        plpython.compiled(plpython.body(f"functions/indicators/{kind}.sql", routine))()
    return plpython.GD["indicators"][kind]


def candles(rows: Sequence[Sequence[float]]) -> SimpleNamespace:
    """Arrays from rows of open, high, low, close and volume."""
    table = np.array(rows, float).reshape(-1, len(COLUMNS))
    return SimpleNamespace(
        **{name: table[:, n].copy() for n, name in enumerate(COLUMNS)},
    )


def worked_out(
    kind: str,
    params: Mapping[str, float],
    rows: Sequence[Sequence[float]],
    ends: Sequence[int] = (),
) -> tuple[Outputs, np.ndarray]:
    """Outputs and last state for the rows, given to the kernel in parts that end there."""
    run = kernel(kind)
    state = None
    parts = []
    cuts = sorted({min(end, len(rows)) for end in ends} | {0, len(rows)})
    with np.errstate(all="ignore"):
        for start, end in zip(cuts, [*cuts[1:], len(rows)], strict=True):
            given = candles(rows[start:end])
            before = {name: values.copy() for name, values in vars(given).items()}
            outputs, state = run(given, dict(params), state)
            assert state.ndim == 1
            assert state.dtype == float
            assert all(len(values) == end - start for values in outputs.values())
            for name, values in before.items():
                assert values.tobytes() == vars(given)[name].tobytes(), (
                    "the candles are the caller's"
                )
            parts.append(outputs)
    assert state is not None
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, state


def market(days: int, seed: int = 1, *, price: float = 100.0) -> list[tuple[float, ...]]:
    """Candles of a random walk, some of them flat, without volume (nan) or without trade (0)."""
    chance = random.Random(seed)
    found = []
    close = price
    for _ in range(days):
        opened = close
        if chance.random() > 0.05:
            close = opened * math.exp(chance.gauss(0, 0.04))
        high = max(opened, close) * (1 + abs(chance.gauss(0, 0.01)) * (chance.random() > 0.1))
        low = min(opened, close) * (1 - min(abs(chance.gauss(0, 0.01)), 0.5))
        volume = chance.choice([math.nan, 0.0, *[chance.expovariate(1e-6)] * 18])
        found.append((opened, high, low, close, volume))
    return found
