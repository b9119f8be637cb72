"""How the ladder grows: what two sessions bring, and ten times as many assets.

Takes a quarter of an hour and 20 GB, so it runs only when it is named.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from benchmarks import ladder, market, report, rows, timing

TIMES = 10
DAYS_AFTER = 3


def run(url: str) -> report.Section:
    """One and two sessions over the same assets, then the market ten times as large."""
    load_before = os.getloadavg()[0]
    many = TIMES * market.ASSETS
    with market.database(url) as conn:
        ladder.load(conn, market.ASSETS, market.DAYS)
        lines = _sessions(conn)
    with market.database(url) as conn:
        ladder.load(conn, many, market.DAYS)
        print(f"scale: {many} assets x {market.DAYS} days loaded", flush=True)
        lines += _large(conn, many)
    return report.Section(
        "The ladder as it grows",
        f"Bars and EMAs of {market.DAYS} days, 199 timeframes, 17 periods, each once. CPU is the"
        f" back end's: what a busy machine leaves alone. The machine's load average was"
        f" {load_before:.1f} when it began.",
        [report.line(["what", "seen", "remark"]), report.line(["---"] * 3), *lines],
    )


def _sessions(conn: psycopg.Connection) -> list[str]:
    """The same build by one session, and by two that share the assets."""
    taken = {}
    for count in (1, 2):
        ladder.start_over(conn)
        taken[count] = timing.seconds(lambda count=count: _refresh_by(conn.info.dsn, conn, count))
        print(f"scale: {count} sessions, {taken[count]:.1f} s", flush=True)
    return [
        report.line(
            [
                f"{market.ASSETS} assets, one session and two",
                f"{taken[1]:.1f} s and {taken[2]:.1f} s",
                f"two are {taken[1] / taken[2]:.2f} times as fast",
            ]
        )
    ]


def _refresh_by(dsn: str, conn: psycopg.Connection, count: int) -> None:
    """Let so many sessions of their own share a refresh."""

    def one(_: int) -> None:
        with psycopg.connect(dsn, password=conn.info.password, autocommit=True) as session:
            session.execute("set client_min_messages = warning")
            ladder.refresh(session)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(one, range(count)))


def _large(conn: psycopg.Connection, many: int) -> list[str]:
    """The whole build of the large market, its size, and days after it."""
    before = _cpu(conn)
    wall = timing.seconds(lambda: ladder.refresh(conn))
    cpu = _cpu(conn) - before
    memory, of_what = ladder.peak_memory(conn)
    print(f"scale: {many} assets, {wall:.1f} s", flush=True)
    sizes = conn.execute(
        """
        select
            (select count(*) from features.cmc_ema_multi_tf),
            pg_size_pretty(sum(db_size)), pg_size_pretty(sum(bars)), pg_size_pretty(sum(emas))
        from (
            select
                pg_database_size(current_database()) as db_size,
                hypertable_size('bars.cmc_price_bars_multi_tf') as bars,
                pg_total_relation_size('features.cmc_ema_multi_tf') as emas
        ) as s
        """
    ).fetchone()
    assert sizes is not None
    count, whole, bars, emas = sizes
    rows.settle(conn)
    days = []
    for _ in range(DAYS_AFTER):
        market.next_day(conn)
        start = _cpu(conn)
        days.append((timing.seconds(lambda: ladder.refresh(conn)), _cpu(conn) - start))
    walls, cpus = (", ".join(f"{one:.1f}" for one in each) for each in zip(*days, strict=True))
    return [
        report.line(row)
        for row in (
            [f"{many} assets, full build", f"{wall:.1f} s, {cpu:.1f} s of CPU", "one session"],
            ["its rows", f"{count:,} bars and as many rows of EMAs", ""],
            ["its disk", whole, f"bars {bars}, EMAs {emas}, keys included"],
            ["its memory", memory, of_what],
            [
                f"{many} assets, one new day",
                f"{walls} s, {cpus} s of CPU",
                f"days {', '.join(map(str, range(1, DAYS_AFTER + 1)))} after it",
            ],
        )
    ]


def _cpu(conn: psycopg.Connection) -> float:
    """The seconds of processor that the session's back end has had, itself and in the kernel."""
    fields = Path(f"/proc/{conn.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
