"""Run the benchmarks, side by side on a server of their own: ``make bench``.

``make bench ARGS='day ingest'`` runs some of them; benchmarks/RESULTS.md keeps the others as they
stand. BENCH_ASSETS and BENCH_DAYS make a smaller market, to try them: nothing is kept then.
BENCH_ROUNDS takes each time more often than three times.
"""

from __future__ import annotations

import argparse

import psycopg

from benchmarks import day, full, ingest, ladder, market, report, strategies
from tests.support import servers

TABLES = {
    "full": full.run,
    "day": day.run,
    "ingest": ingest.run,
    "ladder": ladder.run,
    "strategies": strategies.run,
}


def main() -> None:
    """Run the tables that are named, all by default, and write each down as soon as it is there."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    chosen = parser.parse_args().tables or list(TABLES)
    if unknown := set(chosen) - set(TABLES):
        parser.error(f"no such table: {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    with servers.test_server() as url:
        with psycopg.connect(url) as conn:
            about = report.machine(conn)
        for name in chosen:
            section = TABLES[name](url)
            report.show(section, about)
            if market.IS_STANDARD:
                report.keep(section, about)


if __name__ == "__main__":
    main()
