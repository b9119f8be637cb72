"""Two programs that work all daily features out outside the database, for markets without gaps.

Both write the bars and EMAs of 1D, returns, volatilities, indicators and the store that joins them.
The usual client fetches rows, computes with pandas and TA-Lib and copies row by row. The best
client has numpy, our own kernels where they are quickest, TA-Lib where that is, and moves packed
bytes both ways; it joins the store from what it has in memory. Both write what differs in one
transaction, keep no state and see no revision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import talib
from sqlalchemy import Table

from benchmarks import clients, ladder_clients, rows
from benchmarks.clients import NEVER, array
from ta_lab2.bars.tables import cmc_price_bars_multi_tf
from ta_lab2.features.tables import (
    cmc_daily_features,
    cmc_ema_multi_tf,
    cmc_returns_daily,
    cmc_ta_daily,
    cmc_vol_daily,
)
from tests.support import plpython

#: What a refresh fills, in its order.
TABLES = (
    cmc_price_bars_multi_tf,
    cmc_returns_daily,
    cmc_vol_daily,
    cmc_ta_daily,
    cmc_ema_multi_tf,
    cmc_daily_features,
)
WINDOWS = (20, 63, 126)
LOOK = 252
SIGMAS = 4
FENCE = 1.5
YEAR = 365
PIVOT = (9, 10, 21, 50, 200)
CLASS = "CRYPTO"
#: What the store calls otherwise than its source: the names that several sources have.
RENAMED = {
    cmc_returns_daily: {
        f"outlier_{how}_{n}": f"ret_outlier_{how}_{n}" for how in ("z", "iqr") for n in (1, 7, 30)
    },
    cmc_vol_daily: {"is_filled": "vol_is_filled", "atr_14": "vol_atr_14"},
    cmc_ta_daily: {"is_filled": "ta_is_filled"},
}
KEYS = {"id", "ts", "available_at", "is_gap"}


def names(table: Table) -> list[str]:
    """The columns in the table's order."""
    return table.columns.keys()


def usual(conn: psycopg.Connection) -> None:
    """Fetch rows, compute with pandas and TA-Lib, COPY row by row, upsert table by table."""
    (timeframe,) = ladder_clients.timeframes(conn)
    spans = ladder_clients.periods(conn)
    fetched = conn.execute(ladder_clients.CANDLES).fetchall()
    frame = pd.DataFrame(fetched, columns=["id", *ladder_clients.FIELDS])
    parts: dict[Table, list[pd.DataFrame]] = {table: [] for table in TABLES}
    for _, part in frame.groupby("id"):
        candles = part.reset_index(drop=True)
        bars = ladder_clients.with_pandas(candles, timeframe)
        emas = ladder_clients.with_talib(bars, spans)
        found = {
            cmc_returns_daily: clients.with_pandas(candles[["id", "ts", "close"]].copy()),
            cmc_vol_daily: _volatilities(candles),
            cmc_ta_daily: _indicators(candles),
        }
        parts[cmc_price_bars_multi_tf].append(bars)
        parts[cmc_ema_multi_tf].append(emas)
        for table, each in found.items():
            parts[table].append(each)
        parts[cmc_daily_features].append(_joined(candles, found, emas, spans))
    with conn.transaction(), conn.cursor() as cursor:
        for table, each in parts.items():
            rows.stage(cursor, table)
            with cursor.copy("copy fresh from stdin") as copy:
                for some in each:
                    ordered = some[names(table)].astype(object)
                    ordered = ordered.where(ordered.notna(), None)
                    for row in ordered.itertuples(index=False, name=None):
                        copy.write_row(row)
            cursor.execute(rows.upsert(table))


def _volatilities(candles: pd.DataFrame) -> pd.DataFrame:
    """The columns of one asset's volatilities."""
    high, low, close = (
        np.log(candles[name] / candles["open"]) for name in ("high", "low", "close")
    )
    step = np.log(candles["close"] / candles["close"].shift())
    part = _frame(candles)
    span = high - low
    ranges = {
        "parkinson": span**2 / (4 * math.log(2)),
        "garman_klass": span**2 / 2 - (2 * math.log(2) - 1) * close**2,
        "rogers_satchell": high * (high - close) + low * (low - close),
    }
    for n in WINDOWS:
        for name, each in ranges.items():
            part[f"{name}_{n}"] = np.sqrt(each.rolling(n).mean() * YEAR)
        part[f"close_to_close_{n}"] = step.rolling(n).std() * math.sqrt(YEAR)
    part["atr_14"] = talib.ATR(candles["high"], candles["low"], candles["close"], 14)
    part["is_filled"] = False
    for name in (*ranges, "close_to_close"):
        x = part[f"{name}_20"]
        window, past = x.rolling(LOOK), x.shift().rolling(LOOK)
        part[f"z_{name}_20"] = (x - window.mean()) / window.std()
        known = past.count() == LOOK
        far = (x - past.mean()).abs() > SIGMAS * past.std()
        part[f"outlier_z_{name}_20"] = far.astype("boolean").where(known)
        lower, upper = past.quantile(0.25), past.quantile(0.75)
        reach = FENCE * (upper - lower)
        outside = (x < lower - reach) | (x > upper + reach)
        part[f"outlier_iqr_{name}_20"] = outside.astype("boolean").where(known)
    return part


def _frame(candles: pd.DataFrame) -> pd.DataFrame:
    """The columns that every daily table has."""
    return pd.DataFrame(
        {"id": candles["id"], "ts": candles["ts"], "available_at": candles["ts"], "is_gap": False}
    )


def _indicators(candles: pd.DataFrame) -> pd.DataFrame:
    """The columns of one asset's indicators."""
    part = _frame(candles)
    part["is_filled"] = False
    prices = (candles[name].to_numpy() for name in ("high", "low", "close"))
    return part.assign(**_with_talib(*prices))


def _with_talib(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> dict[str, np.ndarray]:
    """The indicators by column."""
    found = {f"rsi_{n}": talib.RSI(close, n) for n in (7, 14, 21)}
    for fast, slow, signal in ((12, 26, 9), (8, 17, 9)):
        lines = talib.MACD(close, fast, slow, signal)
        for name, line in zip(("macd", "macd_signal", "macd_hist"), lines, strict=True):
            found[f"{name}_{fast}_{slow}_{signal}"] = line
    k, d = talib.STOCHF(high, low, close, 14, 3, 0)
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    return found | {
        "stoch_k_14_3": k,
        "stoch_d_14_3": d,
        "bb_upper_20_2": upper,
        "bb_middle_20_2": middle,
        "bb_lower_20_2": lower,
        "bb_width_20_2": (upper - lower) / middle,
        "atr_14": talib.ATR(high, low, close, 14),
        "adx_14": talib.ADX(high, low, close, 14),
        "plus_di_14": talib.PLUS_DI(high, low, close, 14),
        "minus_di_14": talib.MINUS_DI(high, low, close, 14),
    }


def _joined(
    candles: pd.DataFrame, found: dict[Table, pd.DataFrame], emas: pd.DataFrame, spans: list[int]
) -> pd.DataFrame:
    """The rows of the store: side by side, because each source has the same sessions."""
    numbers = pd.DataFrame(emas["ema"].tolist(), columns=[f"ema_{n}" for n in spans])
    part = pd.concat(
        [
            candles.drop(columns=["time_high", "time_low"]),
            *(
                each[[name for name in names(table) if name not in KEYS]].rename(
                    columns=RENAMED[table]
                )
                for table, each in found.items()
            ),
            numbers[[f"ema_{n}" for n in PIVOT]].astype(float),
        ],
        axis=1,
    )
    return part.assign(
        available_at=candles["ts"], asset_class=CLASS, is_gap=False, is_filled=False, extra=None
    )


def _to_columns(path: str, *arguments: str, gives: str) -> Any:
    """A kernel of ours, and the columns that it lays out."""
    text = plpython.body(path).rpartition("\nreturn ")[0]
    return plpython.compiled(text, *arguments, gives=f"found.packed, {gives}")


RETURNS_KERNEL = _to_columns(
    "functions/features/returns_kernel.sql",
    *("p_ids", "p_calendars", "p_sessions", "p_ts", "p_close"),
    *("p_whole", "p_after", "p_stored", "p_look_back", "p_sigmas", "p_fence"),
    gives="laid",
)
VOL_KERNEL = _to_columns(
    "functions/features/vol_kernel.sql",
    *("p_ids", "p_years", "p_calendars", "p_sessions", "p_ts", "p_open", "p_high", "p_low"),
    *("p_close", "p_whole", "p_after", "p_atr", "p_stored"),
    *("p_policy", "p_look_back", "p_sigmas", "p_fence"),
    gives="laid",
)
EMA_KERNEL = _to_columns(
    "functions/features/ema_kernel.sql",
    *("p_ids", "p_periods", "p_of", "p_tf_id", "p_time_close", "p_close", "p_last_id"),
    *("p_last_tf_id", "p_last_close", "p_last_bar_no", "p_last_ema", "p_froms", "p_stored"),
    gives="ema",
)


def best(conn: psycopg.Connection) -> None:
    """Kernels and TA-Lib in the client: binary COPY out and in, an upsert for each table."""
    wanted, spans = ladder_clients.timeframes(conn), ladder_clients.periods(conn)
    whole = ladder_clients.read(conn)
    packed: dict[Table, list[bytes]] = {table: [] for table in TABLES}
    for some in _with_kernels(whole, wanted, spans):
        for table, part in some.items():
            packed[table].append(part)
    with conn.transaction(), conn.cursor() as cursor:
        for table, parts in packed.items():
            rows.stage(cursor, table)
            with cursor.copy("copy fresh from stdin (format binary)") as copy:
                for part in (clients.HEADER, *parts, b"\377\377"):
                    copy.write(part)
            cursor.execute(rows.upsert(table))


def _with_kernels(
    whole: np.ndarray, wanted: list[ladder_clients.Timeframe], spans: list[int]
) -> Iterator[dict[Table, bytes]]:
    """The packed rows of each table, an asset at a time."""
    slots = array(23, np.array(spans, "i4"))
    tf_id = wanted[0].tf_id
    begin = array(1184, np.array([NEVER]))
    for asset, part, bars, _ in ladder_clients.bars_of(whole, wanted):
        ts, opened, high, low, close = (
            array(701 if name != "ts" else 1184, part[name])
            for name in ("ts", "open", "high", "low", "close")
        )
        returns, of_returns = RETURNS_KERNEL(
            *([asset], [1], [ts], [ts], [close], [True], begin, None),
            *(LOOK, SIGMAS, FENCE),
        )
        vol, of_vol = VOL_KERNEL(
            *([asset], [YEAR], [1], [ts], [ts], [opened], [high], [low], [close]),
            *([True], begin, [None], None, "forward_fill", LOOK, SIGMAS, FENCE),
        )
        emas, of_emas = EMA_KERNEL(
            *([asset], slots, [asset], [array(23, np.full(len(part), tf_id, "i4"))], [ts], [close]),
            *(None, None, None, None, None, begin, None),
        )
        of_ta = _ta_columns(asset, part)
        packing = plpython.GD["packing"]
        sources = {
            cmc_returns_daily: dict(zip(names(cmc_returns_daily), of_returns, strict=True)),
            cmc_vol_daily: dict(zip(names(cmc_vol_daily), of_vol, strict=True)),
            cmc_ta_daily: of_ta,
        }
        store = _store_columns(part, sources, dict(zip(spans, of_emas.T, strict=True)))
        yield {
            cmc_price_bars_multi_tf: bars,
            cmc_returns_daily: returns,
            cmc_vol_daily: vol,
            cmc_ta_daily: packing.differences(list(of_ta.values()), None, keys=2).packed,
            cmc_ema_multi_tf: emas,
            cmc_daily_features: packing.differences(store, None, keys=2).packed,
        }


def _ta_columns(asset: int, part: np.ndarray) -> dict[str, Any]:
    """The columns of the indicators as kernels lay them out."""
    packing = plpython.GD["packing"]
    prices = (part[name].astype(float) for name in ("high", "low", "close"))
    ts, never = part["ts"].astype("i8"), (packing.BOOLEAN, np.zeros(len(part), bool), None)
    found = {
        "id": (packing.INTEGER, np.full(len(part), asset), None),
        "ts": (packing.STAMP, ts, None),
        "available_at": (packing.STAMP, ts, None),
        "is_gap": never,
        "is_filled": never,
        **{
            name: (packing.FLOAT, values, ~np.isnan(values))
            for name, values in _with_talib(*prices).items()
        },
    }
    return {name: found[name] for name in names(cmc_ta_daily)}


def _store_columns(
    part: np.ndarray, sources: dict[Table, dict[str, Any]], emas: dict[int, np.ndarray]
) -> list[Any]:
    """The columns of the store as kernels lay them out."""
    packing = plpython.GD["packing"]
    first = sources[cmc_returns_daily]
    never = (packing.BOOLEAN, np.zeros(len(part), bool), None)
    found = {
        **{name: first[name] for name in ("id", "ts", "available_at", "is_gap")},
        "asset_class": (packing.TEXT, np.full(len(part), CLASS.encode()), None),
        "is_filled": never,
        "extra": (packing.FLOAT, np.zeros(len(part)), np.zeros(len(part), bool)),
        **{
            name: (packing.FLOAT, part[name].astype(float), None)
            for name in ("open", "high", "low", "close", "volume", "market_cap")
        },
        **{f"ema_{n}": (packing.FLOAT, emas[n], ~np.isnan(emas[n])) for n in PIVOT},
    }
    for table, columns in sources.items():
        for name, column in columns.items():
            if name not in KEYS:
                found[RENAMED[table].get(name, name)] = column
    return [found[name] for name in names(cmc_daily_features)]
