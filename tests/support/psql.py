"""What psql prints, without psql: the same table, from the text that the server sends."""

from __future__ import annotations

import psycopg
from psycopg import pq

#: Types that psql puts to the right: numbers and ids of PostgreSQL's own.
_RIGHT = {"int2", "int4", "int8", "float4", "float8", "numeric", "money", "oid", "xid", "xid8"}


def printed(conn: psycopg.Connection, statement: str) -> str:
    """Run a statement and return its rows as psql's aligned table, without blanks at line ends."""
    cursor = conn.cursor(binary=False)
    cursor.execute(statement.encode())
    result = cursor.pgresult
    assert result is not None
    assert result.status == pq.ExecStatus.TUPLES_OK
    names = [column.name for column in cursor.description or []]
    right = [
        (kind := conn.adapters.types.get(column.type_code)) is not None and kind.name in _RIGHT
        for column in cursor.description or []
    ]
    rows = [
        [(result.get_value(row, place) or b"").decode() for place in range(len(names))]
        for row in range(result.ntuples)
    ]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = [
        " " + " | ".join(_centred(n, w) for n, w in zip(names, widths, strict=True)),
        "+".join("-" * (width + 2) for width in widths),
        *(
            " "
            + " | ".join(
                cell.rjust(w) if r else cell.ljust(w)
                for cell, w, r in zip(row, widths, right, strict=True)
            )
            for row in rows
        ),
        f"({len(rows)} row{'' if len(rows) == 1 else 's'})",
    ]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _centred(name: str, width: int) -> str:
    """psql puts the odd blank after the name."""
    before = (width - len(name)) // 2
    return " " * before + name + " " * (width - len(name) - before)
