"""Two programs that work out bars and EMAs outside the database, for markets that never close.

The usual client fetches rows, groups them with pandas per timeframe and asset, averages with TA-Lib
and copies row by row. The best client runs our own kernels and moves packed bytes both ways. Both
need candles without a gap and without a null. Both write what differs in one transaction, keep no
state and see no revision.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import psycopg
import talib

from benchmarks import clients, rows
from ta_lab2.bars.tables import cmc_price_bars_multi_tf
from ta_lab2.features.tables import cmc_ema_multi_tf
from tests.support import plpython

TABLES = (cmc_price_bars_multi_tf, cmc_ema_multi_tf)

#: Of a market that is open around the clock: how many of which unit make a bar, on a grid or not.
TIMEFRAMES = """
    select
        t.tf_id,
        case
            when t.alignment = 'trading' then 'session'
            when t.base_unit = 'W' then lower(t.calendar_scheme) || ' week'
            else case t.base_unit when 'D' then 'day' when 'M' then 'month' else 'year' end
        end,
        t.tf_qty * case when t.alignment = 'trading' and t.base_unit = 'W' then 7 else 1 end,
        t.anchor is not null
    from timemodel.dim_timeframe as t
    where t.is_active
    order by t.tf_id
"""
PERIODS = "select p.period from features.dim_ema_periods as p order by p.slot"
CANDLES = """
    select
        c.id, c.ts, c.open, c.high, c.low, c.close, c.volume, c.market_cap,
        coalesce(c.time_high, c.ts) as time_high, coalesce(c.time_low, c.ts) as time_low
    from bars.cmc_price_histories7 as c
    order by c.id, c.ts
"""
FIELDS = [
    *("ts", "open", "high", "low", "close", "volume", "market_cap", "time_high", "time_low"),
]
STAMPS = {"ts", "time_high", "time_low"}
DAY = pd.Timedelta(days=1)
LAST_MILLISECOND = DAY - pd.Timedelta(milliseconds=1)


class Timeframe(NamedTuple):
    """A row of TIMEFRAMES."""

    tf_id: int
    unit: str
    count: int
    is_anchored: bool


class Refusal(Exception):
    """The market is not one that these clients can work on."""


def timeframes(conn: psycopg.Connection) -> list[Timeframe]:
    """The timeframes that are switched on."""
    return [Timeframe(*row) for row in conn.execute(TIMEFRAMES)]


def periods(conn: psycopg.Connection) -> list[int]:
    """The periods in order of their slots."""
    return [row[0] for row in conn.execute(PERIODS)]


def usual(conn: psycopg.Connection) -> None:
    """Fetch rows, group with pandas, average with TA-Lib, COPY row by row, upsert."""
    wanted, spans = timeframes(conn), periods(conn)
    frame = pd.DataFrame(conn.execute(CANDLES).fetchall(), columns=["id", *FIELDS])
    bars, emas = [], []
    for _, part in frame.groupby("id"):
        candles = part.reset_index(drop=True)
        for timeframe in wanted:
            bars.append(with_pandas(candles, timeframe))
            emas.append(with_talib(bars[-1], spans))
    with conn.transaction(), conn.cursor() as cursor:
        for table, parts in zip(TABLES, (bars, emas), strict=True):
            rows.stage(cursor, table)
            with cursor.copy("copy fresh from stdin") as copy:
                for each in parts:
                    for row in each.itertuples(index=False, name=None):
                        copy.write_row(row)
            cursor.execute(rows.upsert(table))


def _units(unit: str, days: np.ndarray, first: int) -> np.ndarray:
    """The number of the unit that holds each day, counted from 1970."""
    match unit:
        case "session":
            return days - first
        case "day":
            return days - 4
        case "iso week":
            return (days - 4) // 7
        case "us week":
            return (days - 3) // 7
    return days.astype("M8[D]").astype(f"M8[{unit[0].upper()}]").astype("i8")


def _starts(unit: str, numbers: np.ndarray, first: int) -> np.ndarray:
    """The day on which each unit begins."""
    match unit:
        case "session":
            return numbers + first
        case "day":
            return numbers + 4
        case "iso week":
            return 7 * numbers + 4
        case "us week":
            return 7 * numbers + 3
    return numbers.astype(f"M8[{unit[0].upper()}]").astype("M8[D]").astype("i8")


def with_pandas(candles: pd.DataFrame, timeframe: Timeframe) -> pd.DataFrame:
    """The closed bars of one timeframe of one asset."""
    days = candles["ts"].dt.tz_convert(None).to_numpy().astype("M8[D]").astype("i8")
    first, last = int(days[0]), int(days[-1])
    tf_id, unit, count, is_anchored = timeframe
    eve, held, *units = _units(unit, np.append([first - 1, first], days), first).tolist()
    base = held // count * count if is_anchored else held + (eve == held)
    number = (np.array(units) - base) // count
    groups = candles[number >= 0].groupby(number[number >= 0])
    sizes = groups.size()
    numbers = sizes.index.to_numpy()
    begin = _starts(unit, base + numbers * count, first)
    end = _starts(unit, base + (numbers + 1) * count, first) - 1
    bars = pd.DataFrame(
        {
            "id": groups["id"].first(),
            "tf_id": tf_id,
            "time_close": _stamps(end) + LAST_MILLISECOND,
            "time_open": _stamps(begin),
            "bar_seq": numbers + 1,
            "open": groups["open"].first(),
            "high": groups["high"].max(),
            "low": groups["low"].min(),
            "close": groups["close"].last(),
            "volume": groups["volume"].sum(),
            "market_cap": groups["market_cap"].last(),
            "time_high": candles["time_high"].array[groups["high"].idxmax()],
            "time_low": candles["time_low"].array[groups["low"].idxmin()],
            "is_partial_start": begin < first,
            "is_partial_end": False,
            "count_days": sizes,
            "count_missing_days": end - np.maximum(begin, first) + 1 - sizes,
        }
    )
    return bars[end <= last]


def _stamps(days: np.ndarray) -> pd.DatetimeIndex:
    """The beginning of each day."""
    return pd.DatetimeIndex(days.astype("M8[D]").astype("M8[us]"), tz="UTC")


def with_talib(bars: pd.DataFrame, spans: list[int]) -> pd.DataFrame:
    """The EMAs of one timeframe of one asset."""
    emas = bars[[*cmc_ema_multi_tf.primary_key.columns.keys(), "close"]].copy()
    emas["close_before"] = bars["close"].shift().astype(object).where(lambda x: x.notna(), None)
    emas["bar_no"] = np.arange(1, len(bars) + 1)
    close = bars["close"].to_numpy()
    if len(close) > 1:
        found = np.column_stack([talib.EMA(close, span) for span in spans])
    else:
        found = np.full((len(close), len(spans)), np.nan)
    slots = np.where(np.isnan(found), None, found).tolist()
    emas["ema"] = pd.Series(slots, index=bars.index, dtype=object)
    return emas


BARS_KERNEL = plpython.compiled(
    plpython.body("functions/bars/ladder_kernel.sql").rpartition("\nreturn ")[0],
    *("p_ids", "p_tf_ids", "p_units", "p_counts", "p_anchored", "p_weeks", "p_firsts"),
    *("p_previous", "p_offsets", "p_sessions", "p_candles", "p_afters", "p_until", "p_stored"),
    gives="found.packed, columns",
)
EMA_KERNEL = plpython.compiled(
    plpython.body("functions/features/ema_kernel.sql"),
    *("p_ids", "p_periods", "p_of", "p_tf_id", "p_time_close", "p_close", "p_last_id"),
    *("p_last_tf_id", "p_last_close", "p_last_bar_no", "p_last_ema", "p_froms", "p_stored"),
)
ALWAYS = clients.array(1184, np.array([clients.NEVER]))


def best(conn: psycopg.Connection) -> None:
    """The same kernels in the client: binary COPY out and in, an upsert for each table."""
    wanted, spans = timeframes(conn), periods(conn)
    whole = read(conn)
    with conn.transaction(), conn.cursor() as cursor:
        packed = zip(*_with_kernels(whole, wanted, spans), strict=True)
        for table, parts in zip(TABLES, packed, strict=True):
            rows.stage(cursor, table)
            with cursor.copy("copy fresh from stdin (format binary)") as copy:
                for part in (clients.HEADER, *parts, b"\377\377"):
                    copy.write(part)
            cursor.execute(rows.upsert(table))


def read(conn: psycopg.Connection) -> np.ndarray:
    """Candles by binary COPY."""
    query = f"copy ({CANDLES}) to stdout (format binary)"
    with conn.cursor() as cursor, cursor.copy(query) as copy:
        whole = b"".join(bytes(chunk) for chunk in copy)
    layout = [("head", "V6"), ("id", ">i4")]
    for name in FIELDS:
        layout += [(f"length_{name}", ">i4"), (name, ">i8" if name in STAMPS else ">f8")]
    if (len(whole) - 21) % np.dtype(layout).itemsize:
        raise Refusal("a candle of this market lacks its volume or its market cap")
    return np.frombuffer(whole[19:-2], layout)


def bars_of(
    whole: np.ndarray, wanted: list[Timeframe]
) -> Iterator[tuple[int, np.ndarray, bytes, dict[str, Any]]]:
    """Each asset, its candles, its packed bars, and the columns of these."""
    ids, starts = np.unique(whole["id"], return_index=True)
    tf_ids, units, counts, anchored = (list(each) for each in zip(*wanted, strict=True))
    for asset, part in zip(ids.tolist(), np.split(whole, starts[1:]), strict=True):
        candles = [clients.array(1184 if name in STAMPS else 701, part[name]) for name in FIELDS]
        first = int(part["ts"][0]) // 86_400_000_000 + 10_957
        bars, columns = BARS_KERNEL(
            *([asset], tf_ids, units, counts, anchored, [7], [first], [first - 1]),
            *([None], [[None] * 3], [candles], ALWAYS, None, None),
        )
        yield asset, part, bars, columns


def _with_kernels(
    whole: np.ndarray, wanted: list[Timeframe], spans: list[int]
) -> Iterator[tuple[bytes, bytes]]:
    """The packed bars and EMAs of each asset."""
    slots = clients.array(23, np.array(spans, "i4"))
    for asset, _, bars, columns in bars_of(whole, wanted):
        tf_id, time_close, close = (
            np.ascontiguousarray(columns[name][1]) for name in ("tf_id", "time_close", "close")
        )
        emas = EMA_KERNEL(
            [asset],
            slots,
            [asset],
            [clients.array(23, tf_id.astype("i4"))],
            [clients.array(1184, time_close)],
            [clients.array(701, close)],
            *(None, None, None, None, None, ALWAYS, None),
        )
        yield bars, emas[-1]
