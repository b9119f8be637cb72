"""What a test of fetching expects of the exchange, of the database and of the command's words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import psycopg

#: Candles of the server: 40 whole ones and the one that forms.
DAYS = 40
NEW = ("--asset-id", "1", "--slug", "bitcoin")


def today() -> date:
    return datetime.now(UTC).date()


def back(days: int) -> date:
    return today() - timedelta(days=days)


def rows(conninfo, statement, *values):
    with psycopg.connect(conninfo) as conn:
        return conn.execute(statement, values).fetchall()


def stored(conninfo, asset=1) -> list[date]:
    """The days that have a candle."""
    return [
        day
        for (day,) in rows(
            conninfo,
            "select (p.ts at time zone 'UTC')::date from bars.cmc_price_histories7 as p"
            " where p.id = %s order by p.ts",
            asset,
        )
    ]


def whole() -> list[date]:
    """The days that the server has whole candles of."""
    return [back(days) for days in range(DAYS, 0, -1)]


def counts(loaded=0, unchanged=0, revised=0, rejected=0, forming=0, other=0):
    return (
        f"{loaded:,} loaded, {unchanged:,} unchanged, {revised:,} revised, {rejected:,} rejected,"
        f" {forming:,} forming, {other:,} other source\n"
    )
