"""Bars and EMAs of every timeframe: the whole ladder, a new day, a revised candle, and reads.

Contenders are compared on a few assets, because the usual client takes long. The database alone is
timed on the whole market, against the floor.
"""

from __future__ import annotations

import itertools
import os
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psycopg

from benchmarks import contest, ladder_clients, market, report, rows, timing
from benchmarks.ladder_clients import TABLES
from ta_lab2.features.tables import cmc_returns_daily

FEW = min(5, market.ASSETS)
SHORT = min(730, market.DAYS)
ROUNDS = max(3, timing.ROUNDS)
READS = 21
BACK = min(300, market.DAYS // 2)
AGREEMENT = 1e-9
STEPS = (
    "select features.refresh_bars('{{{}}}', '{{-infinity}}')",
    "select features.refresh_emas('{{{}}}', '{{-infinity}}')",
)
NOTES = {
    "the database": "refresh_features(): bars and EMAs; a commit per asset; may be"
    " killed and run twice at once; keeps state, so that the next run begins at what changed",
    "its bars and EMAs": "the two steps of that alone, a commit each; without returns and records",
    "usual client": "psycopg fetch, pandas groupby per timeframe and asset, TA-Lib, COPY row by"
    " row, upsert of what differs; one commit; keeps no state, sees no revision, knows no session"
    " but the UTC day",
    "best client": "our kernels in the client, binary COPY both ways, upsert of what differs; one"
    " commit; keeps no state, sees no revision",
    "floor": "binary COPY of the same bytes, ready made, into the same tables with their keys;"
    " reads nothing, computes nothing, can't be run twice",
}

SERIES = """
    select u.ts, {}
    from features.cmc_ema_multi_tf_u as u
    where u.id = 1 and u.tf = '1D' and u.period = 21
    order by u.ts
"""
LATEST = """
    select u.*
    from bars.dim_assets as a
    cross join lateral (
        select u.id, u.ts, u.ema, u.d1, u.d2
        from features.cmc_ema_multi_tf_u as u
        where u.id = a.id
          and u.period = 21
          and u.tf_id = (select t.tf_id from timemodel.dim_timeframe as t where t.tf = '1D')
        order by u.ts desc
        limit 1
    ) as u
"""


class Measure(NamedTuple):
    """A line of the whole market's table."""

    what: str
    taken: str
    each: str
    share: str
    target: str


def load(conn: psycopg.Connection, assets: int, days: int) -> None:
    """Store candles with extremes, volume and market cap, every day; every timeframe is on."""
    conn.execute("update timemodel.dim_timeframe set is_active = true where not is_active")
    conn.execute(
        "insert into bars.dim_assets select n, 'T' || n, 't-' || n from generate_series(1, %s) n",
        (assets,),
    )
    chance = np.random.default_rng(4)
    first = np.datetime64("2010-01-01T23:59:59.999", "us")
    stamps = np.datetime_as_string(first + np.arange(days) * np.timedelta64(1, "D")).tolist()
    with (
        conn.cursor() as cursor,
        cursor.copy(
            "copy bars.cmc_price_histories7 (id, ts, open, high, low, close, volume, market_cap)"
            " from stdin"
        ) as copy,
    ):
        for asset in range(1, assets + 1):
            close = 100 * np.exp(np.cumsum(chance.normal(0, 0.03, days)))
            opened = np.append(100.0, close[:-1])
            high = np.maximum(opened, close) * (1 + chance.random(days) * 0.03)
            low = np.minimum(opened, close) * (1 - chance.random(days) * 0.03)
            columns = (opened, high, low, close, chance.random(days) * 1e9, close * 1e7)
            copy.write(
                "".join(
                    f"{asset}\t{stamp}Z\t" + "\t".join(map(repr, values)) + "\n"
                    for stamp, *values in zip(
                        stamps, *(column.tolist() for column in columns), strict=True
                    )
                )
            )
    conn.execute("vacuum analyze bars.cmc_price_histories7")


def refresh(conn: psycopg.Connection) -> None:
    """Let the database do it."""
    conn.execute("call public.refresh_features(p_steps => '{bars,ema}')")


def start_over(conn: psycopg.Connection) -> None:
    """Empty what a refresh fills, as it was before the first: nobody has analysed it either."""
    rows.empty(conn, (*TABLES, cmc_returns_daily))


def steps(conn: psycopg.Connection, assets: int) -> None:
    """Bars and EMAs of each asset, as refresh_features() has them worked out."""
    for asset in range(1, assets + 1):
        for step in STEPS:
            conn.execute(step.format(asset))


def run(url: str) -> report.Section:
    """Compare the rows and the contenders on a few assets, then time the database on them all."""
    # What other programs wanted of the processors.
    load_before = os.getloadavg()[0]
    with market.database(url) as conn:
        compared = _contenders(conn)
    measures = _market(url)
    return report.Section(
        "Bars and EMAs of every timeframe",
        f"Contenders: {FEW} assets x {market.DAYS} days, 199 timeframes, 17 periods; median of"
        f" {timing.ROUNDS}. Differences are relative. Targets, in the database's times: usual"
        f" client 20, best client 0.80, floor 0.50. Below, the database alone:"
        f" {market.ASSETS} assets; a new day and a revision are medians of {ROUNDS}, each of its"
        f" own, reads of {READS}. The machine's load average was {load_before:.1f} when it began.",
        [
            *compared,
            "",
            report.line(["what", "seen", "all", "share", "target"]),
            report.line(["---"] * 5),
            *(report.line(measure) for measure in measures),
        ],
    )


def _contenders(conn: psycopg.Connection) -> list[str]:
    """All of them on a few assets: their rows first, then their times in turn."""
    load(conn, FEW, market.DAYS)
    print(f"ladder: {FEW} assets x {market.DAYS} days loaded", flush=True)
    refresh(conn)
    rows.keep(conn, TABLES)
    with rows.packed(conn, TABLES) as files:
        contenders = {
            "the database": lambda: refresh(conn),
            "its bars and EMAs": lambda: steps(conn, FEW),
            "usual client": lambda: ladder_clients.usual(conn),
            "best client": lambda: ladder_clients.best(conn),
            "floor": lambda: rows.floor(conn, files),
        }
        return contest.compared(
            conn,
            TABLES,
            contenders,
            start_over=lambda: start_over(conn),
            agreement=AGREEMENT,
            notes=NOTES,
        )


def _market(url: str) -> list[Measure]:
    """The whole market: built, copied, one day and one revision later, and read."""
    with market.database(url) as conn:
        load(conn, market.ASSETS, market.DAYS)
        built = _build(conn, market.DAYS)
        memory = peak_memory(conn)
        emas = conn.execute("select count(*) from features.cmc_ema_multi_tf").fetchone() or (0,)
        with rows.packed(conn, TABLES) as files:
            size = sum(file.stat().st_size for file in files.values()) / 2**30
            # What is copied is what stood there: the record of it stays right.
            rows.settle(conn)
            conn.execute(f"truncate {', '.join(map(rows.named, TABLES))}")
            copied = timing.seconds(lambda: rows.floor(conn, files))
        print(f"ladder: floor {copied:.1f} s", flush=True)
        rows.settle(conn)
        measures = [
            Measure(
                f"full build, {market.DAYS} days, the returns too",
                f"{built:.1f} s",
                f"{emas[0]:,} bars and as many rows of EMAs, {size:.1f} GiB",
                f"{built / copied:.2f} floors",
                "2 floors",
            ),
            Measure("floor of that", f"{copied:.1f} s", "", "1 floor", ""),
            Measure("peak memory of the back end", *memory, "", "1 GB"),
        ]
        later = [_new_day(conn, market.DAYS, built, built), _revision(conn, built)]
        reads = [
            _read(conn, "one series through the view", SERIES.format("u.ema")),
            _read(conn, "the same with d1 and d2", SERIES.format("u.ema, u.d1, u.d2")),
            _read(conn, "latest row of all assets, d1 and d2 too", LATEST),
        ]
    with market.database(url) as conn:
        load(conn, market.ASSETS, SHORT)
        short = _new_day(conn, SHORT, _build(conn, SHORT), built)
    return [*measures, short, *later, *reads]


def _build(conn: psycopg.Connection, days: int) -> float:
    """The seconds of a refresh from nothing; says how far it is."""
    print(f"ladder: {market.ASSETS} assets x {days} days loaded", flush=True)
    conn.execute("checkpoint")
    conn.execute("set client_min_messages = notice")
    conn.add_notice_handler(_say)
    taken = timing.seconds(lambda: refresh(conn))
    conn.remove_notice_handler(_say)
    conn.execute("set client_min_messages = warning")
    rows.settle(conn)
    return taken


def _say(notice: psycopg.errors.Diagnostic) -> None:
    """Show a message of the server."""
    print(notice.message_primary, flush=True)


def peak_memory(conn: psycopg.Connection) -> tuple[str, str]:
    """How much of its own the session's back end held at most, and what that counts."""
    kept = Path(f"/proc/{conn.info.backend_pid}")
    try:
        title = (kept / "cmdline").read_text()
        status = (kept / "status").read_text()
    except OSError:
        title = status = ""
    if conn.info.dbname not in title:
        return "not seen", "the server runs elsewhere"
    lines = (line.partition(":")[::2] for line in status.splitlines())
    facts = {name: int(value.split()[0]) >> 10 for name, value in lines if value.endswith(" kB")}
    return (
        f"{facts['VmHWM'] - facts['RssShmem']} MiB",
        f"VmHWM after the full build, {facts['VmHWM']} MiB, less {facts['RssShmem']} MiB of shared"
        f" buffers; it holds {facts['RssAnon']} MiB at the end",
    )


def _new_day(conn: psycopg.Connection, days: int, own: float, whole: float) -> Measure:
    """One more candle of every asset."""

    def once() -> float:
        market.next_day(conn)
        return timing.seconds(lambda: refresh(conn))

    once()
    times = timing.in_turn({f"a new day after {days}": once}, ROUNDS)
    return _share(f"one new day for all, after {days} days", *times.values(), own, whole, "3 %")


def _revision(conn: psycopg.Connection, whole: float) -> Measure:
    """One older candle of one asset after the other has another close."""
    assets = itertools.cycle(range(1, market.ASSETS + 1))

    def once() -> float:
        conn.execute(
            """
            update bars.cmc_price_histories7 as c
            set close = (c.close + c.high) / 2
            where c.id = %s
              and c.ts = (
                  select max(m.ts) - %s * interval '24 hours' from bars.cmc_price_histories7 as m
              )
            """,
            (next(assets), BACK),
        )
        return timing.seconds(lambda: refresh(conn))

    once()
    times = timing.in_turn({f"a candle revised {BACK} days back": once}, ROUNDS)
    return _share(f"one candle revised {BACK} days back", *times.values(), whole, whole, "1 %")


def _share(what: str, times: list[float], own: float, whole: float, target: str) -> Measure:
    """A part of the full build, and of that of the same history where it is another."""
    middle = statistics.median(times)
    share = f"{middle / whole:.2%} of the full build"
    if own != whole:
        share += f", {middle / own:.2%} of its own"
    each = ", ".join(f"{one * 1e3:.0f}" for one in times)
    return Measure(what, f"{middle * 1e3:.0f} ms", each, share, target)


def _read(conn: psycopg.Connection, what: str, query: str) -> Measure:
    """The milliseconds of a query with all its rows."""
    found = conn.execute(query).fetchall()
    times = [timing.seconds(lambda: conn.execute(query).fetchall()) for _ in range(READS)]
    middle, slowest = statistics.median(times) * 1e3, max(times) * 1e3
    seen = f"{len(found)} rows, at most {slowest:.1f} ms"
    print(f"{what}: {middle:.2f} ms, {seen}", flush=True)
    return Measure(what, f"{middle:.2f} ms", seen, "", "a few ms")
