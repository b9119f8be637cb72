"""Candles of an asset that trades in New York, by the number of their session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import psycopg

from ta_lab2.timemodel.exchange import Schedule

EQUITY = 900_001
MILLISECOND = timedelta(milliseconds=1)


def ends(schedule: Schedule) -> list[datetime]:
    """The ts of each session's candle."""
    return [close - MILLISECOND for close in schedule.closes]


def part(schedule: Schedule, first: int, count: int) -> Schedule:
    """So many sessions of a schedule, from the number first on."""
    cut = slice(first, first + count)
    dates = schedule.dates[cut]
    return Schedule(
        first=dates[0],
        last=dates[-1],
        dates=dates,
        opens=schedule.opens[cut],
        closes=schedule.closes[cut],
        early=schedule.early[cut],
    )


def without(schedule: Schedule, numbers: Iterable[int], early: Iterable[int] = ()) -> Schedule:
    """The same calendar with some days closed, and some that close two hours earlier."""
    shut, short = set(numbers), set(early)
    kept = [n for n in range(len(schedule.dates)) if n not in shut]
    return Schedule(
        first=schedule.first,
        last=schedule.last,
        dates=[schedule.dates[n] for n in kept],
        opens=[schedule.opens[n] for n in kept],
        closes=[schedule.closes[n] - timedelta(hours=2 * (n in short)) for n in kept],
        early=[schedule.early[n] or n in short for n in kept],
    )


def put(conn: psycopg.Connection, closes: Mapping[datetime, float], asset: int = EQUITY) -> None:
    """Store flat candles by their ts in one statement, making the asset."""
    conn.execute(
        """
        insert into bars.dim_assets (id, symbol, slug, session_id)
        values (%s, %s, %s, 'EQUITY')
        on conflict do nothing
        """,
        (asset, f"E{asset}", f"equity-{asset}"),
    )
    conn.execute(
        """
        insert into bars.cmc_price_histories7 (id, ts, open, high, low, close)
        select %s, u.ts, u.x, u.x, u.x, u.x
        from unnest(%s::timestamptz[], %s::float8[]) as u (ts, x)
        on conflict (id, ts) do update
        set open = excluded.open,
            high = excluded.high,
            low = excluded.low,
            close = excluded.close
        """,
        (asset, list(closes), list(closes.values())),
    )


def drop(conn: psycopg.Connection, stamps: Iterable[datetime], asset: int = EQUITY) -> None:
    """Delete candles by their ts."""
    conn.execute(
        "delete from bars.cmc_price_histories7 where id = %s and ts = any (%s)",
        (asset, list(stamps)),
    )
