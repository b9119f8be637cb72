"""The same backtest in vectorbt: signals in, its own fills, sizing, account and trades out.

It knows no funding, no limit of capital and no ruin. A signal is moved to the next bar of its
asset, whose price is the order's; a bar without an order has no size. vectorbt sizes longs by
itself, as a percentage of the cash that it has left; shorts it can't size as we do and is told
their units. An asset has one order a bar: from long to short is one, out and in again is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.backtest_by_definition import Candle, Rules
from tests.support.signals_by_definition import Event

vbt = pytest.importorskip("vectorbt", reason="vectorbt is not here; `make test` installs it")
SizeType = vbt.portfolio.enums.SizeType


def portfolio(
    candles: Mapping[int, Sequence[Candle]],
    events: Mapping[int, Sequence[Event]],
    rules: Rules,
    units: Mapping[tuple[int, Any], float] | None = None,
) -> Any:
    """A vectorbt portfolio over the bars of all assets, a column each, with one account.

    ``units`` has those of the shorts, by asset and bar of the fill.
    """
    assets = sorted(candles)
    index = pd.DatetimeIndex(sorted({bar.ts for some in candles.values() for bar in some}))
    shape = (len(index), len(assets))
    # vectorbt marks a position to the last close, and never orders where the size is not a number.
    close, price, size = (np.full(shape, np.nan) for _ in range(3))
    kind = np.full(shape, SizeType.Amount)
    exits = np.zeros(shape, bool)
    for column, asset in enumerate(assets):
        bars = candles[asset]
        places = index.get_indexer([bar.ts for bar in bars])
        close[places, column] = [bar.close for bar in bars]
        price[places, column] = [
            bar.open if rules.fill == "next_open" else bar.close for bar in bars
        ]
        at = {bar.ts: n for n, bar in enumerate(bars)}
        left: dict[int, str] = {}
        for event in events.get(asset, ()):
            n = at[event.ts] + 1
            if n == len(bars):
                continue
            row = places[n]
            assert left.get(row) != event.direction, f"asset {asset} is left and entered at {row}"
            if event.state == "closed":
                size[row, column], kind[row, column] = 0.0, SizeType.TargetAmount
                exits[row, column], left[row] = True, event.direction
            elif event.direction == "long":
                size[row, column], kind[row, column] = rules.fraction, SizeType.Percent
            else:
                assert units is not None
                size[row, column] = -units[asset, bars[n].ts]
    close = pd.DataFrame(close).ffill().to_numpy()
    # Exits first, then by asset.
    order = np.argsort(~exits, axis=1, kind="stable")
    frame = pd.DataFrame(close, index=index, columns=assets)
    return vbt.Portfolio.from_orders(
        frame,
        size=size,
        size_type=kind,
        price=price,
        fees=rules.fee_bps / 10000,
        slippage=rules.slippage_bps / 10000,
        init_cash=rules.capital,
        cash_sharing=True,
        group_by=True,
        call_seq=order,
        freq="D",
        engine="rust",
    )
