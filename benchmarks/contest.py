"""Contenders that fill the same tables: how far their rows are apart, and their times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import psycopg
from sqlalchemy import Table

from benchmarks import report, rows, timing


def compared(
    conn: psycopg.Connection,
    tables: Sequence[Table],
    contenders: Mapping[str, Callable[[], object]],
    *,
    start_over: Callable[[], None],
    agreement: float,
    notes: Mapping[str, str],
) -> list[str]:
    """The contenders in a table: the rows of each against those kept, then their times in turn."""
    apart: dict[str, str] = {}

    def once(work: Callable[[], object]) -> float:
        start_over()
        return timing.seconds(work)

    for who, work in contenders.items():
        seconds = once(work)
        distance = rows.furthest(conn, tables)
        apart[who] = f"{distance:.0e}"
        print(f"{who}: {seconds:.3f} s, rows at most {apart[who]} apart", flush=True)
        assert distance < agreement, (who, distance)
    again = {who: lambda work=work: once(work) for who, work in contenders.items()}
    taken = timing.in_turn(again, timing.ROUNDS)
    return report.compared(taken, "the database", apart, notes)
