"""Calls that show the whole of what is stored, and make the synthetic market. No arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from psycopg import Connection
from psycopg.rows import class_row

from ta_lab2.bars.queries import Counts
from ta_lab2.charts import Candles, Line
from ta_lab2.errors import translated


@dataclass(frozen=True, slots=True)
class Summary:
    """One row of ``ops.price_summary``; returns are fractions."""

    id: int
    symbol: str
    first_day: date
    last_day: date
    candles: int
    missing_days: int
    last_close: float
    last_return: float | None
    worst_return: float | None
    best_return: float | None


def price_summary(conn: Connection, asset_ids: Sequence[int]) -> list[Summary]:
    """Return what is stored of these assets, by id."""
    with conn.cursor(row_factory=class_row(Summary)) as cursor:
        cursor.execute("select s.* from ops.price_summary(%s::integer[]) as s", (list(asset_ids),))
        return cursor.fetchall()


def price_lines(conn: Connection, asset_ids: Sequence[int]) -> list[Line]:
    """Return what a chart of these assets draws, by id; of very many, the longest histories."""
    with conn.cursor(row_factory=class_row(Line)) as cursor:
        cursor.execute("select l.* from ops.price_lines(%s::integer[]) as l", (list(asset_ids),))
        return cursor.fetchall()


def candles(conn: Connection, asset_id: int, timeframes: Sequence[str]) -> list[Candles]:
    """Return the last bars of an asset with EMAs, for each timeframe that has any."""
    with conn.cursor(row_factory=class_row(Candles)) as cursor:
        cursor.execute(
            """
            select c.*
            from unnest(%s::text[]) with ordinality as t (tf, place)
            cross join ops.candles(%s, t.tf) as c
            order by t.place
            """,
            (list(timeframes), asset_id),
        )
        return cursor.fetchall()


def synthetic_ids(conn: Connection) -> list[int]:
    """Return the ids of the synthetic market's assets."""
    return [row[0] for row in conn.execute("select a.id from ops.synthetic_assets() as a")]


def has_prices(conn: Connection) -> bool:
    """Say whether any candle is stored."""
    row = conn.execute("select exists (select from bars.cmc_price_histories7)").fetchone()
    return row is not None and bool(row[0])


def load_synthetic(conn: Connection, *, revised: bool) -> Counts:
    """Load the synthetic market, as first published or revised; return what became of it."""
    with conn.cursor(row_factory=class_row(Counts)) as cursor, translated():
        cursor.execute("select c.* from ops.load_synthetic_market(%s) as c", (revised,))
        counts = cursor.fetchone()
    assert counts is not None
    return counts
