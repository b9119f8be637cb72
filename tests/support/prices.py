"""Candles and price files for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg

#: A partition ends eleven days later, and the year in 24.
FIRST = date(2020, 12, 8)
EXPORT = "timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;timestamp"


def day(number: int) -> date:
    """The day that many days after the first of the tests."""
    return FIRST + timedelta(days=number)


def ts(number: int) -> datetime:
    """The stamp of that day's candle."""
    end = datetime.combine(day(number) + timedelta(days=1), datetime.min.time(), UTC)
    return end - timedelta(milliseconds=1)


def put(conn: psycopg.Connection, asset: int, closes: Mapping[int, float]) -> None:
    """Store flat candles by day number, making the asset."""
    conn.execute(
        "insert into bars.dim_assets (id, symbol, slug) values (%s, %s, %s) on conflict do nothing",
        (asset, f"T{asset}", f"test-{asset}"),
    )
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into bars.cmc_price_histories7 (id, ts, open, high, low, close)
            values (%(id)s, %(ts)s, %(x)s, %(x)s, %(x)s, %(x)s)
            on conflict (id, ts) do update
            set open = excluded.open,
                high = excluded.high,
                low = excluded.low,
                close = excluded.close
            """,
            [{"id": asset, "ts": ts(number), "x": close} for number, close in closes.items()],
        )


def drop(conn: psycopg.Connection, asset: int, numbers: Iterable[int]) -> None:
    """Delete candles by day number."""
    conn.execute(
        "delete from bars.cmc_price_histories7 where id = %s and ts = any (%s)",
        (asset, [ts(number) for number in numbers]),
    )


def write(folder: Path, name: str, lines: Iterable[str], *, end: str = "\n") -> Path:
    """Write a file of lines, without a newline at the end, and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join(lines).encode())
    return path


def daily(folder: Path, *rows: str, name: str = "1_bitcoin.csv") -> Path:
    """Write a file of the comma layout."""
    return write(folder, name, ["date,ticker,open,high,low,close,volume", *rows])


def export(folder: Path, *rows: str, name: str = "1_bitcoin.csv") -> Path:
    """Write a file as CoinMarketCap exports it, with byte order mark and CRLF."""
    return write(folder, name, ["\ufeff" + EXPORT, *rows], end="\r\n")


def export_row(
    when: str,
    prices: str = "1;3;0.5;2",
    *,
    volume: str = "10",
    cap: str = "99",
    quote: str = "2781",
) -> str:
    """One line of an export."""
    stamps = [f"{when}T{clock}Z" for clock in ("00:00:00.000", "23:59:59.999", "07:01:00.000")]
    opened, closed, high = (f'"{stamp}"' for stamp in stamps)
    low = f'"{when}T09:30:00.000Z"'
    return ";".join([opened, closed, high, low, f'"{quote}"', prices, volume, cap, closed])
