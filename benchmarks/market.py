"""A synthetic market, and databases that hold one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psycopg
from psycopg.conninfo import make_conninfo

from ta_lab2.db import migrate
from tests.support import servers

ASSETS = int(os.environ.get("BENCH_ASSETS", "100"))
DAYS = int(os.environ.get("BENCH_DAYS", "4000"))

IS_STANDARD = (ASSETS, DAYS) == (100, 4000)
_FIRST = np.datetime64("2010-01-01T23:59:59.999", "us")


@contextmanager
def database(url: str) -> Iterator[psycopg.Connection]:
    """Yield a connection to a migrated database of its own, in autocommit mode."""
    with servers.database(url, "bench") as name:
        conninfo = make_conninfo(url, dbname=name)
        migrate.migrate(conninfo, say=lambda _: None, ours=True)
        with psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute("set client_min_messages = warning")
            yield conn


def load(conn: psycopg.Connection, days: int) -> None:
    """Store the candles of all assets: random walks with jumps, a candle every day."""
    chance = np.random.default_rng(1)
    conn.execute(
        "insert into bars.dim_assets select n, 'T' || n, 't-' || n from generate_series(1, %s) n",
        (ASSETS,),
    )
    stamps = np.datetime_as_string(_FIRST + np.arange(days) * np.timedelta64(1, "D")).tolist()
    with (
        conn.cursor() as cursor,
        cursor.copy(
            "copy bars.cmc_price_histories7 (id, ts, open, high, low, close) from stdin"
        ) as copy,
    ):
        for asset in range(1, ASSETS + 1):
            steps = chance.normal(0, 0.03, days) + (chance.random(days) < 0.01) * 0.3
            closes = (100 * np.exp(np.cumsum(steps - 0.003))).tolist()
            copy.write(
                "".join(
                    f"{asset}\t{stamp}Z\t{close!r}\t{close!r}\t{close!r}\t{close!r}\n"
                    for stamp, close in zip(stamps, closes, strict=True)
                )
            )
    conn.execute("vacuum analyze bars.cmc_price_histories7")


def next_day(conn: psycopg.Connection) -> None:
    """Store one more candle for every asset."""
    conn.execute(
        """
        insert into bars.cmc_price_histories7 (id, ts, open, high, low, close)
        select b.id, b.ts + interval '24 hours', c.x, c.x, c.x, c.x
        from bars.cmc_price_histories7 as b
        cross join lateral (select b.close * (0.95 + 0.1 * (b.id % 7) / 6) as x) as c
        where b.ts = (select max(m.ts) from bars.cmc_price_histories7 as m)
        """
    )
