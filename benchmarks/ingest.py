"""Price files into an empty database, against a bare COPY of the same rows.

TA_LAB2_DATA names the folder of real files, as in the tests; without it files of the same shape are
made up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psycopg

from benchmarks import market, report, timing
from ta_lab2.bars import ingest

_ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("TA_LAB2_DATA") or _ROOT.parents[1] / "shared" / "data")
PLACES = "id, ts, open, high, low, close, volume"
NOTES = {
    "ta-lab2 ingest": "recognises and reads the files, checks every line, keeps rejects, sources,"
    " revisions and what became due; one transaction a file; a second load changes nothing",
    "bare COPY": "the same rows, parsed before, as text into an ordinary table of these columns"
    " with the same key; no partitions, no constraints, checks nothing, can't be run twice",
}


@contextmanager
def files() -> Iterator[tuple[str, Path]]:
    """Yield what the files are, and their folder."""
    if (DATA / "cmc").is_dir():
        yield "real files", DATA / "cmc"
        return
    with TemporaryDirectory(prefix="ta-lab2-bench-") as made:
        chance = np.random.default_rng(2)
        for asset in range(1, 17):
            closes = 100 * np.exp(np.cumsum(chance.normal(0, 0.03, 3625)))
            days = np.arange("2014-01-01", 3625, dtype="datetime64[D]")
            lines = ["date,ticker,open,high,low,close,volume"]
            lines += [
                f"{day},T{asset},{x!r},{x * 1.02!r},{x * 0.97!r},{x * 1.01!r},{x * 1e6:.2f}"
                for day, x in zip(days.tolist(), closes.tolist(), strict=True)
            ]
            Path(made, f"{asset}_made-up-{asset}.csv").write_text("\n".join(lines) + "\n")
        yield "made-up files", Path(made)


def load_files(conn: psycopg.Connection, folder: Path) -> None:
    """What ``ta-lab2 ingest FOLDER`` does."""
    for file in ingest.find([str(folder)]):
        ingest.load(conn, file)


def load_bare(conn: psycopg.Connection, text: bytes) -> None:
    """Copy rows that are parsed already."""
    with conn.cursor() as cursor, cursor.copy("copy public.bare from stdin") as copy:
        copy.write(text)


def start_over(conn: psycopg.Connection) -> None:
    """Empty all tables that a load writes; this is no change to log."""
    with conn.transaction():
        conn.execute("set local session_replication_role = replica")
        conn.execute(
            """
            truncate bars.cmc_price_histories7, bars.dirty_range, bars.price_state, bars.loads,
                bars.price_rejects, bars.price_staging, bars.price_revisions, public.bare cascade
            """
        )
    conn.execute("vacuum")
    conn.execute("checkpoint")


def run(url: str) -> report.Section:
    """Compare what is stored, then take the times in turn, each into empty tables."""
    with files() as (kind, folder), market.database(url) as conn:
        own = f"select {PLACES} from bars.cmc_price_histories7"
        conn.execute(f"create table public.bare as {own} with no data")
        conn.execute("alter table public.bare add primary key (id, ts)")
        load_files(conn, folder)
        with conn.cursor() as cursor, cursor.copy(f"copy ({own} order by id, ts) to stdout") as out:
            text = b"".join(bytes(chunk) for chunk in out)
        load_bare(conn, text)
        apart = conn.execute(
            f"""
            select count(*)
            from (
                ({own} except table public.bare) union all (table public.bare except {own})
            ) as apart
            """
        ).fetchone()
        assert apart == (0,), apart
        count = text.count(b"\n")
        print(f"ingest: {count:,} rows of {kind}, the same in both tables", flush=True)

        def once(work: Callable[[], object]) -> float:
            start_over(conn)
            return timing.seconds(work)

        taken = timing.in_turn(
            {
                "ta-lab2 ingest": lambda: once(lambda: load_files(conn, folder)),
                "bare COPY": lambda: once(lambda: load_bare(conn, text)),
            },
            timing.ROUNDS,
        )
    return report.Section(
        "Price files into empty tables",
        f"{count:,} rows of {kind}. Median of {timing.ROUNDS}.",
        report.compared(taken, "bare COPY", dict.fromkeys(taken, "0"), NOTES),
    )
