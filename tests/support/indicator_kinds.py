"""The kinds of indicators: parameters to try, the slow way, and TA-Lib's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import talib

from tests.support import naive_indicators as naive
from tests.support import naive_indicators_more as more

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
