"""Candles by day number, all by arithmetic, and how they come and go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import psycopg

from tests.support import prices

DAYS = 800


def price(number: int, salt: int) -> float:
    """The close of a day, all by arithmetic: salt 0 never moves, others wander and jump."""
    if not salt:
        return 100.0
    jump = 3.0 if (number * salt) % 97 == 5 else 1.0
    return (50 + (number * 7919 * salt) % 1009 / 10) * jump


def history(days: int = DAYS, salt: int = 1, *, without: int = 11) -> dict[int, float]:
    """Closes by day number, with every n-th day missing."""
    return {n: price(n, salt) for n in range(days) if n % without != 5}


Candle = tuple[
    int,
    datetime,
    float,
    float,
    float,
    float,
    float | None,
    float | None,
    datetime | None,
    datetime | None,
]


def candle(asset: int, number: int, close: float, shape: int) -> Candle:
    """The whole candle of a day round its close: shape 0 is flat and untraded, others differ.

    Two shapes share their close: what reads only that must not write for the other.
    """
    ts = prices.ts(number)
    if not shape:
        return asset, ts, close, close, close, close, None, None, None, None
    wander = (number * 613 * shape) % 101
    opened = close * (1 + (wander - 50) / 1000)
    high = max(opened, close) * (1 + wander % 7 / 100)
    low = min(opened, close) * (1 - wander % 11 / 100)
    volume = float((number * 7001 * shape) % 10007)
    # A source that knows no market cap, or not when the extremes were, has them null.
    cap = None if shape == 2 else close * 1e6
    at = [None, None] if shape == 2 else [ts - timedelta(hours=wander % 23 + n) for n in (0, 1)]
    return asset, ts, opened, high, low, close, volume, cap, at[0], at[1]


def put(conn: psycopg.Connection, asset: int, closes: Mapping[int, float], shape: int = 1) -> None:
    """Store candles in one statement, making the asset."""
    prices.put(conn, asset, {})
    candles = [candle(asset, number, close, shape) for number, close in closes.items()]
    conn.execute(
        """
        insert into bars.cmc_price_histories7 (
            id, ts, open, high, low, close, volume, market_cap, time_high, time_low
        )
        select u.*
        from unnest(
            %s::integer[], %s::timestamptz[], %s::float8[], %s::float8[], %s::float8[],
            %s::float8[], %s::float8[], %s::float8[], %s::timestamptz[], %s::timestamptz[]
        ) as u
        on conflict (id, ts) do update
        set open = excluded.open,
            high = excluded.high,
            low = excluded.low,
            close = excluded.close,
            volume = excluded.volume,
            market_cap = excluded.market_cap,
            time_high = excluded.time_high,
            time_low = excluded.time_low
        """,
        [list(column) for column in zip(*candles, strict=True)] if candles else [[]] * 10,
    )
