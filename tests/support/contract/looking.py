"""What stands in the tables, bit by bit, and the refreshes that make it stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg

from ta_lab2.features import queries
from tests.support.contract.computations import EVERY, LAST, Computation, computations, verbs


def look(
    conn: psycopg.Connection, computation: Computation, asset: int, *what: str
) -> dict[Any, tuple[Any, ...]]:
    """Something of each of an asset's rows, by the row's key."""
    key = ", ".join(f"r.{column}" for column in computation.key)
    found = conn.execute(
        f"select {key}, {', '.join(what)} from {computation.table} as r where r.id = %s",
        (asset,),
        binary=True,
    )
    parts = len(computation.key)
    return {row[:parts]: row[parts:] for row in found}


def look_at_one(
    conn: psycopg.Connection, computation: Computation, asset: int, what: str
) -> dict[Any, Any]:
    """The same where it is one thing."""
    return {key: value for key, (value,) in look(conn, computation, asset, what).items()}


def rows(conn: psycopg.Connection, computation: Computation, asset: int = 1) -> dict[Any, bytes]:
    """Every bit of an asset's rows."""
    return look_at_one(conn, computation, asset, "record_send(r)")


def versions(conn: psycopg.Connection, computation: Computation, asset: int = 1) -> dict[Any, str]:
    """The transaction that wrote each of an asset's rows."""
    return look_at_one(conn, computation, asset, "r.xmin::text")


def known(conn: psycopg.Connection, computation: Computation, asset: int = 1) -> dict[Any, Any]:
    """When each of an asset's rows could first be known."""
    return look_at_one(conn, computation, asset, f"r.{computation.known}")


def dated(
    conn: psycopg.Connection, computation: Computation, asset: int
) -> dict[Any, tuple[bytes, Any]]:
    """Both: every bit of an asset's rows, and when each could first be known."""
    return look(conn, computation, asset, "record_send(r)", f"r.{computation.known}")


def digest(conn: psycopg.Connection, upto: str = LAST) -> dict[str, str]:
    """All bits of all columns of each table, its state included, by feature type.

    No table has a wall-clock stamp.
    """
    found = {}
    for computation in computations(upto):
        tables = " || ".join(
            f"""
                coalesce((
                    select string_agg(record_send(r), '' order by record_send(r))
                    from {table} as r
                ), '')
            """
            for table in (computation.table, *computation.also)
        )
        row = conn.execute(
            f"""
            select md5(
                {tables}
                || coalesce((
                    select string_agg(record_send(s), '' order by s.id, s.feature_name)
                    from features.feature_state as s
                    where s.feature_type = %s
                ), '')
            )
            """,
            (computation.feature_type,),
        ).fetchone()
        assert row is not None
        found[computation.feature_type] = row[0]
    return found


def refresh(
    conn: psycopg.Connection, asset_ids: Sequence[int] | None = None, *, upto: str = LAST
) -> list[str]:
    """Run the verbs; return what they said."""
    lines: list[str] = []
    for verb in verbs(upto):
        queries.refresh(conn, asset_ids, on_notice=lines.append, verb=verb)
    failed = [line for line in lines if " failed: " in line]
    assert not failed, failed
    return lines


def written(lines: Sequence[str], upto: str = LAST) -> int:
    """The number of rows that the last lines of a refresh tell."""
    found = [re.search(r" \d+ assets?, (\d+) rows?,", line) for line in lines]
    counts = [int(each[1]) for each in found if each]
    assert len(counts) == len(verbs(upto)), lines
    return sum(counts)


def full(conn: psycopg.Connection, upto: str = LAST) -> dict[str, str]:
    """The digest of a build from nothing."""
    wipe(conn)
    refresh(conn, upto=upto)
    return digest(conn, upto)


def wipe(conn: psycopg.Connection) -> None:
    """Take away what a refresh wrote, so that the next one builds everything."""
    for computation in EVERY:
        for table in (computation.table, *computation.also):
            conn.execute(f"delete from {table}")
    conn.execute("delete from features.feature_state")
    conn.execute("update features.refresh_state set refreshed_at = null")


def start_over(conn: psycopg.Connection) -> None:
    """Take away the candles too, and what is known of them; this is no change to log."""
    wipe(conn)
    with conn.transaction():
        conn.execute("set local session_replication_role = replica")
        for table in ("cmc_price_histories7", "price_revisions", "dirty_range"):
            conn.execute(f"delete from bars.{table}")
