"""Calls of observability's functions, and what they left in its tables."""

from __future__ import annotations

import psycopg
from psycopg.types.json import Jsonb

from ta_lab2.errors import translated

HEX = "0123456789abcdef" * 2
TABLES = ("metrics", "traces", "alerts", "workflow_state")


def call(conn, function, *parameters, **named):
    """Call a function of observability and return its one value."""
    places = ["%s"] * len(parameters) + [f"{name} => %s" for name in named]
    values = [
        Jsonb(value) if isinstance(value, dict) else value
        for value in (*parameters, *named.values())
    ]
    with translated(), conn.transaction():
        row = conn.execute(
            f"select observability.{function}({', '.join(places)})", values
        ).fetchone()
    return row[0]


def row_of(conn, table, **key):
    ((name, value),) = key.items()
    cursor = conn.cursor(row_factory=psycopg.rows.dict_row)
    return cursor.execute(
        f"select * from observability.{table} where {name} = %s", (value,)
    ).fetchone()


def counts(conn, schema="observability"):
    return [
        conn.execute(f"select count(*) from {schema}.{table}").fetchone()[0] for table in TABLES
    ]
