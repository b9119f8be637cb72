"""Intraday candles for tests, and their bars worked the slow way, from the definitions."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from ta_lab2.bars import queries

#: A partition of the candles ends five days later.
FIRST = datetime(2024, 2, 25, tzinfo=UTC)
FIVE = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
#: Four days of five minutes.
LENGTH = 4 * 288
VIEWS = {"bars.intraday_1h": HOUR, "bars.intraday_1d": DAY}


class Candle(NamedTuple):
    """Prices and volume."""

    open: float
    high: float
    low: float
    close: float
    volume: float | None


def candle(number: int, salt: int = 1) -> Candle:
    """A candle by its number, all by arithmetic; every seventh has no volume."""
    first = 50 + (number * 7919 * salt) % 1009 / 10
    last = 50 + (number * 104729 * salt) % 997 / 10
    volume = None if number % 7 == salt else (number * 31 * salt) % 101 / 10
    return Candle(first, max(first, last) + 0.3, min(first, last) - 0.7, last, volume)


def history(length: int = LENGTH, salt: int = 1, *, without: int = 11) -> dict[int, Candle]:
    """Candles by number, with one of so many left out."""
    return {number: candle(number, salt) for number in range(length) if number % without != 5}


def ts(number: int, resolution: timedelta = FIVE) -> datetime:
    """The start of a candle by its number."""
    return FIRST + number * resolution


def put(
    conn: psycopg.Connection,
    asset: int,
    candles: Mapping[int, Candle],
    *,
    resolution: timedelta = FIVE,
) -> None:
    """Store candles by number in one statement, making the asset."""
    conn.execute(
        "insert into bars.dim_assets (id, symbol, slug) values (%s, %s, %s) on conflict do nothing",
        (asset, f"T{asset}", f"test-{asset}"),
    )
    conn.execute(
        """
        insert into bars.intraday_candles (id, resolution, ts, open, high, low, close, volume)
        select %s, %s, u.*
        from unnest(
            %s::timestamptz[], %s::float8[], %s::float8[], %s::float8[], %s::float8[], %s::float8[]
        ) as u
        on conflict (id, resolution, ts) do update
        set open = excluded.open,
            high = excluded.high,
            low = excluded.low,
            close = excluded.close,
            volume = excluded.volume
        """,
        (
            asset,
            resolution,
            [ts(number, resolution) for number in candles],
            *(
                [getattr(one, name) for one in candles.values()]
                for name in ("open", "high", "low", "close", "volume")
            ),
        ),
    )


def drop(
    conn: psycopg.Connection, asset: int, numbers: Iterable[int], *, resolution: timedelta = FIVE
) -> None:
    """Delete candles by number."""
    conn.execute(
        "delete from bars.intraday_candles where id = %s and resolution = %s and ts = any (%s)",
        (asset, resolution, [ts(number, resolution) for number in numbers]),
    )


def refresh(conn: psycopg.Connection, *, rebuild: bool = False) -> str:
    """Run the verb and return its last line."""
    lines: list[str] = []
    queries.refresh_intraday(conn, rebuild=rebuild, on_notice=lines.append)
    return next(line for line in reversed(lines) if line.startswith("refresh_intraday: "))


def written(line: str) -> int | None:
    """The number of rows that a refresh tells; None where the server keeps bars by itself."""
    found = re.search(r", (\d+) rows?,", line)
    return int(found[1]) if found else None


def digest(conn: psycopg.Connection) -> str:
    """Every bit of every bar, open ones too."""
    row = conn.execute(
        """
        select md5(string_agg(record_send(b), '' order by b.id, b.bucket, b.resolution, b.ts))
        from bars.intraday_buckets as b
        """
    ).fetchone()
    assert row is not None
    return str(row[0])


def bars(conn: psycopg.Connection, view: str, asset: int = 1) -> dict[Any, tuple[Any, ...]]:
    """An asset's closed bars by resolution and start."""
    return {
        (row[0], row[1]): row[2:]
        for row in conn.execute(
            f"""
            select b.resolution, b.ts, b.time_close, b.open, b.high, b.low, b.close, b.volume,
                b.candles, b.missing_candles
            from {view} as b
            where b.id = %s
            """,
            (asset,),
        )
    }


def naive(
    candles: Mapping[int, Candle], bucket: timedelta, *, resolution: timedelta = FIVE
) -> dict[Any, tuple[Any, ...]]:
    """The closed bars of one series, one after the other."""
    found: dict[Any, tuple[Any, ...]] = {}
    if not candles:
        return found
    known = max(ts(number, resolution) for number in candles) + resolution
    start = FIRST
    while start + bucket <= known:
        inside = [
            one
            for number, one in sorted(candles.items())
            if start <= ts(number, resolution) < start + bucket
        ]
        if inside:
            volumes = [one.volume for one in inside if one.volume is not None]
            found[resolution, start] = (
                start + bucket - timedelta(milliseconds=1),
                inside[0].open,
                max(one.high for one in inside),
                min(one.low for one in inside),
                inside[-1].close,
                functools.reduce(operator.add, volumes) if volumes else None,
                len(inside),
                bucket // resolution - len(inside),
            )
        start += bucket
    return found


def full(conn: psycopg.Connection) -> str:
    """The digest of a build from nothing."""
    refresh(conn, rebuild=True)
    return digest(conn)


def can_roll_up(conn: psycopg.Connection) -> bool:
    """Whether this TimescaleDB is the community edition."""
    return conn.execute("select db.can_roll_up()").fetchone() == (True,)


def as_naive(
    conn: psycopg.Connection,
    candles: Mapping[int, Candle],
    *,
    asset: int = 1,
    resolution: timedelta = FIVE,
) -> None:
    """Hold the stored bars of a series to the definitions."""
    for view, bucket in VIEWS.items():
        found = {key: row for key, row in bars(conn, view, asset).items() if key[0] == resolution}
        assert found == naive(candles, bucket, resolution=resolution), view
