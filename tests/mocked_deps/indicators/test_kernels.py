"""Each kind's kernel, compiled from the shipped file, against the slow way and TA-Lib."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.indicator_kinds import KINDS, Kind, Params
from tests.support.indicators import candles, market, worked_out

each = pytest.mark.parametrize(
    ("kind", "params"),
    [(kind, params) for kind in KINDS for params in kind.params],
    ids=lambda x: x.name if isinstance(x, Kind) else "_".join(map(str, x.values())),
)


def agree(
    found: dict[str, np.ndarray], expected: Sequence[Any], scale: float, rel: float = 1e-9
) -> None:
    """Nulls at the same places; elsewhere equal but for rounding, which has the price's scale."""
    for (name, got), wanted in zip(found.items(), expected, strict=True):
        if wanted is not None:
            np.testing.assert_allclose(
                got, np.array(wanted, float), rtol=rel, atol=scale * rel * 1e-3, err_msg=name
            )


@each
@pytest.mark.parametrize("days", [0, 1, 2, 13, 14, 15, 34, 160])
def test_it_agrees_with_the_slow_way(kind: Kind, params: Params, days: int) -> None:
    rows = market(days, seed=days)
    found, _ = worked_out(kind.name, params, rows)
    agree(found, kind.slow(rows, **params), 100)


@each
@pytest.mark.parametrize("price", [1e-8, 1.0, 1e12])
def test_it_is_ta_lib_s(kind: Kind, params: Params, price: float) -> None:
    if kind.talib is None:
        pytest.skip("TA-Lib has none")
    rows = market(2500, price=price)
    found, _ = worked_out(kind.name, params, rows)
    agree(found, kind.talib(candles(rows), **params), kind.scale or price)


@each
def test_ties_are_ta_lib_s(kind: Kind, params: Params) -> None:
    if kind.talib is None:
        pytest.skip("TA-Lib has none")
    chance = random.Random(3)
    rows = []
    for _ in range(600):
        opened, close, far, near = (float(chance.randint(1, 4)) for _ in range(4))
        row = opened, max(opened, close, far), min(opened, close, near), close
        rows.append((*row, float(chance.randint(0, 3))))
    found, _ = worked_out(kind.name, params, rows)
    agree(found, kind.talib(candles(rows), **params), 1e4)


prices = st.one_of(st.integers(1, 5).map(float), st.floats(1e-6, 1e6))
shapes = st.lists(
    st.tuples(prices, prices, prices, prices, st.floats(0, 1e9)).map(
        lambda x: (x[0], max(x[:4]), min(x[:4]), x[3], x[4])
    ),
    max_size=70,
)


@each
@settings(max_examples=25, deadline=None)
@given(rows=shapes)
def test_any_candles_agree_with_the_slow_way(kind: Kind, params: Params, rows: Any) -> None:
    found, _ = worked_out(kind.name, params, rows)
    agree(found, kind.slow(rows, **params), max([1.0, *(row[1] for row in rows)]), 1e-7)


@each
@settings(max_examples=25, deadline=None)
@given(length=st.integers(0, 150), seed=st.integers(0, 99), ends=st.lists(st.integers(0, 150)))
def test_it_goes_on_anywhere_with_the_same_bits(
    kind: Kind, params: Params, length: int, seed: int, ends: list[int]
) -> None:
    rows = market(length, seed)
    whole, state = worked_out(kind.name, params, rows)
    for cuts in (ends, range(length)):
        found, carried = worked_out(kind.name, params, rows, cuts)
        assert carried.tobytes() == state.tobytes()
        assert {name: values.tobytes() for name, values in found.items()} == {
            name: values.tobytes() for name, values in whole.items()
        }


@each
def test_no_value_knows_what_comes_after_it(kind: Kind, params: Params) -> None:
    rows = market(120)
    whole, _ = worked_out(kind.name, params, rows)
    for length in random.Random(1).sample(range(120), 12):
        found, _ = worked_out(kind.name, params, rows[:length])
        for name, values in found.items():
            assert values.tobytes() == whole[name][:length].tobytes()


@each
def test_the_state_does_not_grow_with_history(kind: Kind, params: Params) -> None:
    sizes = {len(worked_out(kind.name, params, market(days))[1]) for days in (200, 201, 900)}
    assert len(sizes) == 1


@each
@pytest.mark.parametrize("price", [0.1 + 0.2, 1e-9, 7e11])
def test_a_price_that_never_moves_has_defined_values(
    kind: Kind, params: Params, price: float
) -> None:
    # A price weighted with no volume is none.
    volume = 3.0 if kind.name == "vwap" else 0.0
    found, _ = worked_out(kind.name, params, [(price, price, price, price, volume)] * 90)
    for values in found.values():
        assert not np.isinf(values).any()
        # Nulls are the warm-up and nothing else.
        assert not np.isnan(values[np.argmin(np.isnan(values)) :]).any()


def test_flat_prices_have_the_reference_s_values() -> None:
    flat = [(5.0, 5.0, 5.0, 5.0, 0.0)] * 60
    rsi, _ = worked_out("rsi", {"period": 14}, flat)
    assert rsi["rsi"][14:].tolist() == [0.0] * 46
    stochastic, _ = worked_out("stochastic", {"k": 14, "d": 3}, flat)
    assert stochastic["k"][15:].tolist() == [0.0] * 45
    adx, _ = worked_out("adx", {"period": 14}, flat)
    assert adx["adx"][27:].tolist() == [0.0] * 33
    bands, _ = worked_out("bollinger", {"period": 20, "deviations": 2}, flat)
    assert [values[-1] for values in bands.values()] == [5.0, 5.0, 5.0, 0.0]
    assert math.isnan(bands["width"][18])
    for kind, params, values in (
        *((name, {"period": 14}, [5.0]) for name in ("sma", "ema", "wma", "dema", "tema", "kama")),
        *((name, {"period": 14}, [0.0]) for name in ("roc", "cci", "williams_r", "mfi")),
        ("obv", {}, [0.0]),
        ("aroon", {"period": 14}, [100.0, 100.0]),
        ("donchian", {"period": 20}, [5.0, 5.0, 5.0]),
        ("keltner", {"period": 20, "atr": 10, "multiplier": 2}, [5.0, 5.0, 5.0]),
        ("supertrend", {"period": 10, "multiplier": 3}, [5.0, -1.0]),
    ):
        found, _ = worked_out(kind, params, flat)
        assert [x[-1] for x in found.values()] == values, kind
    price, _ = worked_out("vwap", {"period": 14}, flat)
    assert np.isnan(price["vwap"]).all()
