"""Two programs that work the returns out outside the database, as well as they can.

The usual client fetches rows, computes with pandas and copies row by row. The best client runs our
own kernel and moves packed bytes both ways. Both write what differs in one transaction. For one
new day each takes its shortest correct way: the last candles that the windows need, and the last
row of each asset. Neither keeps state: it must know that nothing else has changed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pandas as pd
import psycopg
from psycopg import sql

from ta_lab2.features.tables import cmc_returns_daily
from tests.support import plpython

SPANS = (1, 3, 5, 7, 14, 21, 30, 63, 126, 252)
SCORED = (1, 7, 30)
#: 252 values of the 30-session return, one more for the flags, and the day itself.
LOOK = 30 + 252 + 2
TABLE = "features.cmc_returns_daily"
COLUMNS = [column.name for column in cmc_returns_daily.columns]
NEVER = -(2**63)
HEADER = b"PGCOPY\n\377\r\n\0" + bytes(8)

UPSERT = sql.SQL(
    "insert into {table} as r select * from fresh"
    " on conflict (id, ts) do update set {sets} where r is distinct from excluded"
).format(
    table=sql.SQL(TABLE),
    sets=sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in COLUMNS[2:]
    ),
)
ALL = "select b.id, b.ts, b.close from bars.cmc_price_histories7 as b order by b.id, b.ts"
TAIL = f"""
    select b.id, b.ts, b.close
    from bars.cmc_price_histories7 as b
    where b.ts > (
        select max(m.ts) - interval '{LOOK} days' from bars.cmc_price_histories7 as m
    )
    order by b.id, b.ts
"""


def usual(conn: psycopg.Connection, *, last_only: bool = False) -> None:
    """Fetch rows, compute with pandas, COPY row by row into a temporary table, upsert."""
    fetched = conn.execute(TAIL if last_only else ALL).fetchall()
    frame = pd.DataFrame(fetched, columns=["id", "ts", "close"])
    parts = [with_pandas(part.copy()) for _, part in frame.groupby("id")]
    if last_only:
        parts = [part.tail(1) for part in parts]
    result = pd.concat(parts)[COLUMNS]
    result = result.astype(object).where(result.notna(), None)
    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute(f"create temp table fresh (like {TABLE}) on commit drop")
        with cursor.copy("copy fresh from stdin") as copy:
            for row in result.itertuples(index=False, name=None):
                copy.write_row(row)
        cursor.execute(UPSERT)


def with_pandas(part: pd.DataFrame) -> pd.DataFrame:
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
    *("p_ids", "p_calendars", "p_sessions", "p_ts", "p_close"),
    *("p_whole", "p_after", "p_stored", "p_look_back", "p_sigmas", "p_fence"),
)


def best(conn: psycopg.Connection, *, last_only: bool = False) -> None:
    """The same kernel in the client: binary COPY out and in, one upsert."""
    candles = _read(conn, TAIL if last_only else ALL)
    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute(f"create temp table fresh (like {TABLE}) on commit drop")
        with cursor.copy("copy fresh from stdin (format binary)") as copy:
            copy.write(HEADER)
            for packed in _with_kernel(candles, last_only=last_only):
                copy.write(packed)
            copy.write(b"\377\377")
        cursor.execute(UPSERT)


def packed_rows(conn: psycopg.Connection) -> bytes:
    """All rows of the table as the best client copies them."""
    candles = _read(conn, ALL)
    return b"".join([HEADER, *_with_kernel(candles, last_only=False), b"\377\377"])


def _read(conn: psycopg.Connection, query: str) -> np.ndarray:
    """Candles by binary COPY."""
    with conn.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout (format binary)") as copy:
        whole = b"".join(bytes(chunk) for chunk in copy)
    layout = [("head", "V6"), ("id", ">i4"), ("l1", ">i4"), ("ts", ">i8"), ("l2", ">i4")]
    return np.frombuffer(whole[19:-2], [*layout, ("close", ">f8")])


def _with_kernel(candles: np.ndarray, *, last_only: bool) -> Iterator[bytes]:
    """The packed rows: whole histories an asset at a time, one day of all at once."""
    ids, starts = np.unique(candles["id"], return_index=True)
    parts = np.split(candles, starts[1:])
    size = len(ids) if last_only else 1
    for at in range(0, len(ids), size):
        some = parts[at : at + size]
        ts = [array(1184, part["ts"]) for part in some]
        after = [part["ts"][-2] if last_only else NEVER for part in some]
        yield KERNEL(
            ids[at : at + size].tolist(),
            # The candles have no gaps: the longest of them is a calendar of all.
            [1] * len(some),
            [max(ts, key=len)],
            ts,
            [array(701, part["close"]) for part in some],
            [not last_only] * len(some),
            array(1184, np.array(after)),
            None,
            *(252, 4, 1.5),
        )[-1]


def array(kind: int, values: np.ndarray) -> bytes:
    """What array_send makes of the values."""
    pairs = np.empty(len(values), [("length", ">i4"), ("value", values.dtype.newbyteorder(">"))])
    pairs["length"], pairs["value"] = values.itemsize, values
    return struct.pack(">iiIii", 1, 0, kind, len(values), 1) + pairs.tobytes()


def stored(conn: psycopg.Connection, *, last_only: bool = False) -> pd.DataFrame:
    """The rows that stand, for comparison."""
    where = f"where r.ts = (select max(m.ts) from {TABLE} as m)" if last_only else ""
    found = conn.execute(f"select r.* from {TABLE} as r {where} order by r.id, r.ts").fetchall()
    return pd.DataFrame(found, columns=COLUMNS)


def furthest(one: pd.DataFrame, other: pd.DataFrame, *, rows: int) -> float:
    """The largest relative difference of two results; flags, days and nulls must be the same."""
    assert len(one) == len(other) == rows, (len(one), len(other), rows)
    largest = 0.0
    for name in COLUMNS:
        a, b = one[name], other[name]
        assert (a.isna() == b.isna()).all(), name
        if name.startswith("ret_"):
            a, b = a.astype(float), b.astype(float)
            apart = ((a - b).abs() / b.abs().clip(lower=1e-3)).max()
            largest = max(largest, 0.0 if np.isnan(apart) else float(apart))
        else:
            assert (a.dropna() == b.dropna()).all(), name
    return largest
