"""Full refresh of the returns into an empty table."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from benchmarks import clients, market, report, timing

AGREEMENT = 1e-12
NOTES = {
    "the database": "a commit per asset; may be killed and run twice at once; keeps state,"
    " so that the next run begins at what changed",
    "usual client": "psycopg fetch, pandas, COPY row by row, upsert of what differs; one commit;"
    " keeps no state, sees no revision",
    "best client": "our kernel in the client, binary COPY both ways, upsert of what differs;"
    " one commit; keeps no state, sees no revision",
    "floor": "binary COPY of the same bytes, ready made, into the same table with its keys;"
    " reads nothing, computes nothing, can't be run twice",
}


def floor(conn: psycopg.Connection, packed: bytes) -> None:
    """Copy rows that are there already."""
    with (
        conn.cursor() as cursor,
        cursor.copy(f"copy {clients.TABLE} from stdin (format binary)") as copy,
    ):
        for at in range(0, len(packed), 1 << 20):
            copy.write(packed[at : at + (1 << 20)])


def start_over(conn: psycopg.Connection) -> None:
    """Empty the table, as it was before the first refresh."""
    conn.execute(f"truncate {clients.TABLE}, features.feature_state")
    conn.execute("vacuum")
    conn.execute("checkpoint")


def run(url: str) -> report.Section:
    """Compare the rows, then take the times in turn."""
    with market.database(url) as conn:
        market.load(conn, market.DAYS)
        print(f"full: {market.ASSETS} assets x {market.DAYS} days loaded", flush=True)
        packed = clients.packed_rows(conn)
        contenders: dict[str, Callable[[], object]] = {
            "the database": lambda: conn.execute(
                "call public.refresh_features(p_steps => '{returns}')"
            ),
            "usual client": lambda: clients.usual(conn),
            "best client": lambda: clients.best(conn),
            "floor": lambda: floor(conn, packed),
        }
        apart: dict[str, str] = {}
        reference = None
        for who, work in contenders.items():
            start_over(conn)
            work()
            found = clients.stored(conn)
            reference = found if reference is None else reference
            distance = clients.furthest(found, reference, rows=market.ASSETS * market.DAYS)
            apart[who] = f"{distance:.0e}"
            print(f"{who}: rows at most {apart[who]} apart", flush=True)
            assert distance < AGREEMENT
        del reference, found

        def once(work: Callable[[], object]) -> float:
            start_over(conn)
            return timing.seconds(work)

        taken = timing.in_turn(
            {who: lambda work=work: once(work) for who, work in contenders.items()}, timing.ROUNDS
        )
    return report.Section(
        "Full refresh of the returns into an empty table",
        f"{market.ASSETS} assets x {market.DAYS} days, the step returns alone. Median of"
        f" {timing.ROUNDS}. Differences are relative, to values of at least 0.001.",
        report.compared(taken, "the database", apart, NOTES),
    )
