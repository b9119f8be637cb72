"""Full refresh of the returns: the database, the usual client and the best client, side by side.

``make bench`` runs it on a server of its own and writes benchmarks/RESULTS.md anew. All three fill
the same empty table from the same synthetic candles, and their rows are compared before a time
is taken. BENCH_ASSETS and BENCH_DAYS make a smaller market.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import statistics
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ta_lab2.db import migrate
from ta_lab2.features.tables import cmc_returns_daily
from tests.support import plpython, servers

ASSETS = int(os.environ.get("BENCH_ASSETS", "100"))
DAYS = int(os.environ.get("BENCH_DAYS", "4000"))
ROUNDS = 3
AGREEMENT = 1e-12
SPANS = (1, 3, 5, 7, 14, 21, 30, 63, 126, 252)
SCORED = (1, 7, 30)
TABLE = "features.cmc_returns_daily"
COLUMNS = [column.name for column in cmc_returns_daily.columns]
FIRST = np.datetime64("2010-01-01T23:59:59.999", "us")
EPOCH = np.datetime64("2000-01-01", "us")
RESULTS = Path(__file__).with_name("RESULTS.md")

UPSERT = sql.SQL(
    "insert into {table} as r select * from fresh"
    " on conflict (id, ts) do update set {sets} where r is distinct from excluded"
).format(
    table=sql.SQL(TABLE),
    sets=sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in COLUMNS[2:]
    ),
)


def market(conn: psycopg.Connection) -> None:
    """Load the candles: random walks with jumps, a candle every day."""
    chance = np.random.default_rng(1)
    conn.execute(
        "insert into bars.dim_assets select n, 'T' || n, 't-' || n from generate_series(1, %s) n",
        (ASSETS,),
    )
    stamps = (FIRST + np.arange(DAYS) * np.timedelta64(1, "D")).astype(object)
    with (
        conn.cursor() as cursor,
        cursor.copy(
            "copy bars.cmc_price_histories7 (id, ts, open, high, low, close) from stdin"
        ) as copy,
    ):
        for asset in range(1, ASSETS + 1):
            steps = chance.normal(0, 0.03, DAYS) + (chance.random(DAYS) < 0.01) * 0.3
            closes = (100 * np.exp(np.cumsum(steps - 0.003))).tolist()
            for stamp, close in zip(stamps, closes, strict=True):
                copy.write_row((asset, stamp.replace(tzinfo=dt.UTC), close, close, close, close))
    conn.execute("analyze bars.cmc_price_histories7")


def database(conn: psycopg.Connection) -> None:
    """Let the database do it: a commit per asset, safe to kill, nothing written twice."""
    conn.execute("call public.refresh_features()")


def usual_client(conn: psycopg.Connection) -> None:
    """Fetch rows, compute with pandas, COPY row by row into a temporary table, upsert."""
    fetched = conn.execute(
        "select b.id, b.ts, b.close from bars.cmc_price_histories7 as b order by b.id, b.ts"
    ).fetchall()
    frame = pd.DataFrame(fetched, columns=["id", "ts", "close"])
    parts = [_with_pandas(part.copy()) for _, part in frame.groupby("id")]
    result = pd.concat(parts)[COLUMNS]
    result = result.astype(object).where(result.notna(), None)
    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute(f"create temp table fresh (like {TABLE}) on commit drop")
        with cursor.copy("copy fresh from stdin") as copy:
            for row in result.itertuples(index=False, name=None):
                copy.write_row(row)
        cursor.execute(UPSERT)


def _with_pandas(part: pd.DataFrame) -> pd.DataFrame:
    """The columns of one asset without gaps."""
    part["available_at"] = part["ts"]
    for n in SPANS:
        ratio = part["close"] / part["close"].shift(n)
        part[f"ret_pct_{n}"] = ratio - 1
        part[f"ret_log_{n}"] = np.log(ratio)
    for n in SCORED:
        x = part[f"ret_pct_{n}"]
        window, past = x.rolling(252), x.shift(1).rolling(252)
        part[f"ret_z_{n}"] = (x - window.mean()) / window.std()
        known = past.count() == 252
        low, high = past.quantile(0.25), past.quantile(0.75)
        reach = 1.5 * (high - low)
        far = (x - past.mean()).abs() > 4 * past.std()
        part[f"outlier_z_{n}"] = far.astype("boolean").where(known)
        outside = (x < low - reach) | (x > high + reach)
        part[f"outlier_iqr_{n}"] = outside.astype("boolean").where(known)
    part["gap_days"] = pd.Series(1, part.index, dtype="Int64").where(part["close"].shift().notna())
    part["is_gap"] = False
    return part


KERNEL = plpython.compiled(
    plpython.body("functions/features/returns_kernel.sql"),
    *("p_id", "p_sessions", "p_ts", "p_close", "p_whole", "p_after", "p_stored"),
)


def best_client(conn: psycopg.Connection) -> None:
    """The same kernel in the client: binary COPY out and in, one upsert."""
    chunks: list[bytes] = []
    with (
        conn.cursor() as cursor,
        cursor.copy(
            "copy (select b.id, b.ts, b.close from bars.cmc_price_histories7 as b"
            " order by b.id, b.ts) to stdout (format binary)"
        ) as copy,
    ):
        chunks.extend(bytes(chunk) for chunk in copy)
    layout = [("head", "V6"), ("id", ">i4"), ("l1", ">i4"), ("ts", ">i8"), ("l2", ">i4")]
    candles = np.frombuffer(b"".join(chunks)[19:-2], [*layout, ("close", ">f8")])
    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute(f"create temp table fresh (like {TABLE}) on commit drop")
        with cursor.copy("copy fresh from stdin (format binary)") as copy:
            copy.write(b"PGCOPY\n\377\r\n\0" + bytes(8))
            for packed in _with_kernel(candles):
                copy.write(packed)
            copy.write(b"\377\377")
        cursor.execute(UPSERT)


def _with_kernel(candles: np.ndarray) -> Iterator[bytes]:
    """The packed rows of each asset."""
    ids, starts = np.unique(candles["id"], return_index=True)
    for asset, part in zip(ids.tolist(), np.split(candles, starts[1:]), strict=True):
        ts = _array(1184, part["ts"])
        never = struct.pack(">q", -(2**63))
        yield KERNEL(asset, ts, ts, _array(701, part["close"]), True, never, None)[-1]


def _array(kind: int, values: np.ndarray) -> bytes:
    """What array_send makes of the values."""
    pairs = np.empty(len(values), [("length", ">i4"), ("value", values.dtype)])
    pairs["length"], pairs["value"] = 8, values
    return struct.pack(">iiIii", 1, 0, kind, len(values), 1) + pairs.tobytes()


def start_over(conn: psycopg.Connection) -> None:
    """Empty the table, as it was before the first refresh."""
    conn.execute(f"truncate {TABLE}, features.feature_state")
    conn.execute("vacuum")
    conn.execute("checkpoint")


def stored(conn: psycopg.Connection) -> pd.DataFrame:
    """Every row, for comparison."""
    found = conn.execute("select * from features.cmc_returns_daily order by id, ts").fetchall()
    return pd.DataFrame(found, columns=COLUMNS)


def furthest(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """The largest relative difference of two results; flags, days and nulls must be the same."""
    assert len(one) == len(other) == ASSETS * DAYS
    largest = 0.0
    for name in COLUMNS:
        a, b = one[name], other[name]
        assert (a.isna() == b.isna()).all(), name
        if name.startswith("ret_"):
            a, b = a.astype(float), b.astype(float)
            apart = ((a - b).abs() / b.abs().clip(lower=1e-3)).max()
            largest = max(largest, float(apart))
        else:
            assert (a.dropna() == b.dropna()).all(), name
    return largest


def timed(conn: psycopg.Connection, work: Callable[[psycopg.Connection], None]) -> float:
    """The seconds that one full build takes."""
    start_over(conn)
    began = time.perf_counter()
    work(conn)
    return time.perf_counter() - began


CONTENDERS = {
    "the database": database,
    "usual client": usual_client,
    "best client": best_client,
}


def processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores"


def main() -> None:
    """Compare, take the times in turn, write them down."""
    with (
        servers.test_server() as url,
        servers.database(url, "bench") as name,
    ):
        conninfo = make_conninfo(url, dbname=name)
        migrate.migrate(conninfo, say=lambda _: None, ours=True)
        with psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute("set client_min_messages = warning")
            market(conn)
            print(f"{ASSETS} assets x {DAYS} days loaded", flush=True)
            apart: dict[str, float] = {}
            reference = None
            for who, work in CONTENDERS.items():
                timed(conn, work)
                found = stored(conn)
                reference = found if reference is None else reference
                apart[who] = furthest(found, reference)
                print(f"{who}: rows at most {apart[who]:.1e} apart", flush=True)
                assert apart[who] < AGREEMENT
            del reference, found
            seconds: dict[str, list[float]] = {who: [] for who in CONTENDERS}
            for _ in range(ROUNDS):
                for who, work in CONTENDERS.items():
                    seconds[who].append(timed(conn, work))
                    print(f"{who}: {seconds[who][-1]:.2f} s", flush=True)
            version = conn.execute("show server_version").fetchone()
    RESULTS.write_text(report(seconds, apart, version[0] if version else ""))
    print(RESULTS.read_text())


NOTES = {
    "the database": "a commit per asset; may be killed and run twice at once; keeps state,"
    " so that the next run begins at what changed",
    "usual client": "psycopg fetch, pandas, COPY row by row, upsert of what differs; one commit;"
    " keeps no state, sees no revision",
    "best client": "our kernel in the client, binary COPY both ways, upsert of what differs;"
    " one commit; keeps no state, sees no revision",
}


def report(seconds: dict[str, list[float]], apart: dict[str, float], version: str) -> str:
    """The table of RESULTS.md."""
    base = statistics.median(seconds["the database"])
    lines = [
        "# Results",
        "",
        "Written by `make bench`. Times are of one machine on one day; the ratios are the point.",
        "",
        f"## Full refresh of the returns, {ASSETS} assets x {DAYS} days into an empty table",
        "",
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {processor()}, PostgreSQL {version.split()[0]}"
        f" with fsync off, numpy {np.__version__} and pandas {pd.__version__} in the clients."
        f" Median of {ROUNDS}, in turn. Differences are relative, to values of at least 0.001.",
        "",
        "| who | seconds | all | times the database's | rows apart | does and does not |",
        "|---|---|---|---|---|---|",
    ]
    for who, taken in seconds.items():
        middle = statistics.median(taken)
        each = ", ".join(f"{one:.2f}" for one in taken)
        lines.append(
            f"| {who} | {middle:.2f} | {each} | {middle / base:.2f} | {apart[who]:.0e}"
            f" | {NOTES[who]} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
