"""Run the benchmarks, side by side on a server of their own: ``make bench``.

``make bench ARGS='day ingest'`` runs some of them; benchmarks/RESULTS.md keeps the others as they
stand. ``scale`` takes a quarter of an hour and runs only when it is named. BENCH_ASSETS and
BENCH_DAYS make a smaller market, to try them: nothing is kept then. BENCH_ROUNDS takes each time
more often than three times.
"""

from __future__ import annotations

import argparse

import psycopg

from benchmarks import (
    day,
    full,
    ingest,
    ladder,
    market,
    pipeline,
    qlib,
    report,
    scale,
    strategies,
)
from tests.support import servers

TABLES = {
    "full": full.run,
    "day": day.run,
    "ingest": ingest.run,
    "ladder": ladder.run,
    "pipeline": pipeline.run,
    "qlib": qlib.run,
    "strategies": strategies.run,
}
#: Too long to be run unasked.
NAMED = {"scale": scale.run}


def main() -> None:
    """Run the tables that are named, all by default, and write each down as soon as it is there."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES | NAMED))
    chosen = parser.parse_args().tables or list(TABLES)
    tables = TABLES | NAMED
    if unknown := set(chosen) - set(tables):
        parser.error(f"no such table: {', '.join(sorted(unknown))}; there are {', '.join(tables)}")
    with servers.test_server() as url:
        with psycopg.connect(url) as conn:
            about = report.machine(conn)
        for name in chosen:
            section = tables[name](url)
            report.show(section, about)
            if market.IS_STANDARD:
                report.keep(section, about)


if __name__ == "__main__":
    main()
