"""A small market of random candles, with all of its features and signals worked out."""

from __future__ import annotations

import random

import psycopg

from tests.support import prices

#: Asset, seed, first and last day. 2 was delisted, 3 is too young for any signal.
ASSETS = ((1, 11, 0, 420), (2, 12, 0, 300), (3, 13, 415, 420), (4, 14, 60, 420))


def put(conn: psycopg.Connection, asset: int, seed: int, first: int, last: int) -> None:
    """Store candles of a random walk, one for each day from the first to the last."""
    walk = random.Random(seed)
    conn.execute(
        "insert into bars.dim_assets (id, symbol, slug) values (%s, %s, %s)",
        (asset, f"T{asset}", f"test-{asset}"),
    )
    close = 100.0
    rows = []
    for day in range(first, last + 1):
        opened = close * walk.uniform(0.98, 1.02)
        close = opened * walk.gauss(1.0, 0.05)
        high = max(opened, close) * walk.uniform(1.0, 1.03)
        low = min(opened, close) * walk.uniform(0.97, 1.0)
        rows.append((asset, prices.ts(day), opened, high, low, close))
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into bars.cmc_price_histories7 (id, ts, open, high, low, close)"
            " values (%s, %s, %s, %s, %s, %s)",
            rows,
        )


def refresh(conn: psycopg.Connection) -> None:
    """Bring all features, regimes and signals up to date; in autocommit mode."""
    for verb in ("features", "regimes", "signals"):
        conn.execute(f"call refresh_{verb}()")


def make(conninfo: str) -> None:
    """Fill a database of the test's own."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        for asset in ASSETS:
            put(conn, *asset)
        refresh(conn)
