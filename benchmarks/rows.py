"""Rows of some tables: kept to be compared with, packed, and copied back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from sqlalchemy import ARRAY, Double, Table

#: Differences are relative to values of at least this.
LEAST = 1e-3


def named(table: Table) -> str:
    """The table with its schema."""
    return f"{table.schema}.{table.name}"


def settle(conn: psycopg.Connection) -> None:
    """Do what the server would do in the background at some moment."""
    conn.execute("vacuum analyze")
    conn.execute("checkpoint")


def empty(conn: psycopg.Connection, tables: Sequence[Table]) -> None:
    """Take all rows away, as it was before the first refresh: nobody has analysed it either."""
    settle(conn)
    names = ", ".join(map(named, tables))
    conn.execute(f"truncate {names}, features.feature_state")


def keep(conn: psycopg.Connection, tables: Sequence[Table]) -> None:
    """Remember what the tables hold, to be compared with."""
    conn.execute("create schema kept")
    for table in tables:
        key = ", ".join(table.primary_key.columns.keys())
        conn.execute(f"create table kept.{table.name} as table {named(table)}")
        conn.execute(f"alter table kept.{table.name} add primary key ({key})")
    conn.execute("analyze")


def furthest(conn: psycopg.Connection, tables: Sequence[Table]) -> float:
    """The largest relative difference to the rows kept; keys, flags and nulls must be the same."""
    largest = 0.0
    for table in tables:
        numbers = [c.name for c in table.columns if isinstance(c.type, Double)]
        arrays = [c.name for c in table.columns if isinstance(c.type, ARRAY)]
        same = [c.name for c in table.columns if c.name not in {*numbers, *arrays}]
        pair = [
            " || ".join(
                [
                    f"array[{', '.join(f'{side}.{name}' for name in numbers)}]",
                    *(f"{side}.{name}" for name in arrays),
                ]
            )
            for side in "ab"
        ]
        row = conn.execute(
            f"""
            select
                count(*),
                count(*) filter (
                    where a.id is null
                       or b.id is null
                       or ({", ".join(f"a.{name}" for name in same)})
                          is distinct from ({", ".join(f"b.{name}" for name in same)})
                       or f.nulls_differ
                ),
                max(f.apart)
            from {named(table)} as a
            full join kept.{table.name} as b
            using ({", ".join(table.primary_key.columns.keys())})
            cross join lateral (
                select
                    coalesce(bool_or((v.x is null) <> (v.y is null)), false) as nulls_differ,
                    max(abs(v.x - v.y) / greatest(abs(v.y), {LEAST})) as apart
                from unnest({", ".join(pair)}) as v (x, y)
            ) as f
            """
        ).fetchone()
        assert row is not None
        count, others, apart = row
        assert count > 0, named(table)
        assert others == 0, f"{others} of {count} rows of {named(table)} are others"
        largest = max(largest, apart or 0.0)
    return largest


@contextmanager
def packed(conn: psycopg.Connection, tables: Sequence[Table]) -> Iterator[dict[str, Path]]:
    """Yield a file of COPY's binary format for each table, its rows as a refresh writes them."""
    with TemporaryDirectory(prefix="ta-lab2-bench-") as folder:
        files = {named(table): Path(folder, table.name) for table in tables}
        for table, (name, file) in zip(tables, files.items(), strict=True):
            key = ", ".join(table.primary_key.columns.keys())
            query = f"select * from {name} order by {key}"
            with (
                file.open("wb") as sink,
                conn.cursor() as cursor,
                cursor.copy(f"copy ({query}) to stdout (format binary)") as copy,
            ):
                for chunk in copy:
                    sink.write(chunk)
        yield files


def floor(conn: psycopg.Connection, files: dict[str, Path]) -> None:
    """Copy rows that are there already, a commit a table."""
    for name, file in files.items():
        with (
            file.open("rb") as source,
            conn.cursor() as cursor,
            cursor.copy(f"copy {name} from stdin (format binary)") as copy,
        ):
            shutil.copyfileobj(source, copy, 1 << 20)


def upsert(table: Table) -> str:
    """A statement that writes what differs from the rows in the temporary table fresh."""
    key = table.primary_key.columns.keys()
    others = [column.name for column in table.columns if column.name not in key]
    return (
        f"insert into {named(table)} as r select * from fresh"
        f" on conflict ({', '.join(key)})"
        f" do update set {', '.join(f'{name} = excluded.{name}' for name in others)}"
        " where r is distinct from excluded"
    )


def stage(cursor: psycopg.Cursor, table: Table) -> None:
    """Make an empty table for what is to be written."""
    cursor.execute("drop table if exists fresh")
    cursor.execute(f"create temp table fresh (like {named(table)}) on commit drop")
