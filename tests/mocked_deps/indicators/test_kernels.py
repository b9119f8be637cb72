"""Each kind's kernel, compiled from the shipped file, against the slow way and TA-Lib."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import naive_indicators as naive
from tests.support import naive_indicators_more as more
from tests.support.indicators import candles, market, worked_out

Params = dict[str, float]


@dataclass(frozen=True)
class Kind:
    """A kind: parameters to try, the slow way, and TA-Lib's arrays for candles and parameters."""

    name: str
    params: Sequence[Params]
    slow: Callable[..., list[naive.Values]]
    talib: Callable[..., Sequence[np.ndarray | None]] | None
    #: Of what its rounding is a share, where that is not the price.
    scale: float | None = None


def traded(function: Callable[..., np.ndarray]) -> Callable[..., Sequence[np.ndarray]]:
    """TA-Lib's of the candles that have a volume; nan at the others."""

    def found(c: Any, **params: int) -> Sequence[np.ndarray]:
        known = ~np.isnan(c.volume)
        values = np.full(len(known), np.nan)
        part = {name: column[known] for name, column in vars(c).items()}
        values[known] = function(SimpleNamespace(**part), **params)
        return [values]

    return found


KINDS = (
    Kind(
        "rsi",
        [{"period": n} for n in (2, 7, 14, 21)],
        naive.rsi,
        lambda c, period: [talib.RSI(c.close, period)],
    ),
    Kind(
        "macd",
        [
            {"fast": 12, "slow": 26, "signal": 9},
            {"fast": 8, "slow": 17, "signal": 9},
            {"fast": 2, "slow": 3, "signal": 1},
        ],
        naive.macd,
        lambda c, fast, slow, signal: talib.MACD(c.close, fast, slow, signal),
    ),
    Kind(
        "stochastic",
        [{"k": 14, "d": 3}, {"k": 1, "d": 1}, {"k": 3, "d": 5}],
        naive.stochastic,
        lambda c, k, d: talib.STOCHF(c.high, c.low, c.close, k, d, 0),
    ),
    Kind(
        "bollinger",
        [{"period": 20, "deviations": 2}, {"period": 2, "deviations": 0.5}],
        naive.bollinger,
        lambda c, period, deviations: [
            *talib.BBANDS(c.close, period, float(deviations), float(deviations), 0),
            None,
        ],
    ),
    Kind(
        "atr",
        [{"period": n} for n in (1, 2, 14)],
        naive.atr,
        lambda c, period: [talib.ATR(c.high, c.low, c.close, period)],
    ),
    Kind(
        "adx",
        [{"period": n} for n in (2, 5, 14)],
        naive.adx,
        lambda c, period: [
            f(c.high, c.low, c.close, period) for f in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)
        ],
    ),
    *(
        Kind(
            name,
            [{"period": n} for n in (2, 5, 30)],
            getattr(more, name),
            lambda c, period, name=name: [getattr(talib, name.upper())(c.close, period)],
        )
        for name in ("sma", "ema", "wma", "dema", "tema", "kama")
    ),
    Kind(
        "roc",
        [{"period": n} for n in (1, 10)],
        more.roc,
        lambda c, period: [talib.ROC(c.close, period)],
    ),
    Kind(
        "cci",
        [{"period": n} for n in (2, 14)],
        more.cci,
        lambda c, period: [talib.CCI(c.high, c.low, c.close, period)],
    ),
    Kind(
        "williams_r",
        [{"period": n} for n in (2, 14)],
        more.williams_r,
        lambda c, period: [talib.WILLR(c.high, c.low, c.close, period)],
    ),
    Kind(
        "mfi",
        [{"period": n} for n in (2, 14)],
        more.mfi,
        # TA-Lib's is 0 where less than 1 unit of money flows, so it gets more units.
        traded(lambda c, period: talib.MFI(c.high, c.low, c.close, c.volume * 2.0**80, period)),
        scale=100,
    ),
    Kind("obv", [{}], more.obv, traded(lambda c: talib.OBV(c.close, c.volume))),
    Kind("vwap", [{"period": n} for n in (1, 20)], more.vwap, None),
    Kind(
        "keltner",
        [
            {"period": 20, "atr": 10, "multiplier": 2},
            {"period": 2, "atr": 5, "multiplier": 1.5},
        ],
        more.keltner,
        lambda c, period, atr, multiplier: [
            talib.EMA(c.close, period) + multiplier * talib.ATR(c.high, c.low, c.close, atr),
            talib.EMA(c.close, period),
            talib.EMA(c.close, period) - multiplier * talib.ATR(c.high, c.low, c.close, atr),
        ],
    ),
    Kind(
        "donchian",
        [{"period": n} for n in (2, 20)],
        more.donchian,
        lambda c, period: [talib.MAX(c.high, period), None, talib.MIN(c.low, period)],
    ),
    Kind(
        "aroon",
        [{"period": n} for n in (2, 14)],
        more.aroon,
        lambda c, period: talib.AROON(c.high, c.low, period)[::-1],
    ),
    Kind(
        "supertrend",
        [{"period": 10, "multiplier": 3}, {"period": 1, "multiplier": 0.5}],
        more.supertrend,
        None,
    ),
    Kind(
        "ichimoku",
        [
            {"conversion": 9, "base": 26, "span": 52, "displacement": 26},
            {"conversion": 5, "base": 2, "span": 3, "displacement": 1},
        ],
        more.ichimoku,
        None,
    ),
)
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
