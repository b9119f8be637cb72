"""All daily features of the timeframe 1D: built, compared with two clients, and one day later.

Contenders are compared on a few assets, because the usual client takes long. The database alone is
timed on the whole market, against the floor, and each of its steps by itself.
"""

from __future__ import annotations

import os
import statistics

import psycopg

from benchmarks import contest, ladder, market, pipeline_clients, report, rows, timing
from benchmarks.ladder import Measure
from benchmarks.pipeline_clients import TABLES

FEW = min(20, market.ASSETS)
SHORT, LONG = (min(days, market.DAYS) for days in (365, 3650))
ROUNDS = max(5, timing.ROUNDS)
AGREEMENT = 1e-7
STEPS = ("bars", "returns", "volatility", "indicators", "ema", "store")
NOTES = {
    "the database": "refresh_features(): a commit per asset; may be killed and run twice at once;"
    " keeps state and records; looks for findings; the next run begins at what changed",
    "usual client": "psycopg fetch, pandas, TA-Lib, COPY row by row, upsert of what differs; one"
    " commit; keeps no state, sees no revision, knows no gap",
    "best client": "our kernels for bars, returns, volatility and EMAs, TA-Lib for indicators, the"
    " store from memory, binary COPY both ways, upsert of what differs; one commit; keeps no state,"
    " sees no revision, knows no gap",
    "floor": "binary COPY of the same bytes, ready made, into the same tables with their keys;"
    " reads nothing, computes nothing, can't be run twice",
}


def load(conn: psycopg.Connection, assets: int, days: int) -> None:
    """Store whole candles of assets that have one every day; 1D is the one timeframe that is on."""
    ladder.load(conn, assets, days)
    conn.execute("update timemodel.dim_timeframe set is_active = false where tf <> '1D'")


def refresh(conn: psycopg.Connection) -> None:
    """Let the database do it."""
    conn.execute("call public.refresh_features()")


def run(url: str) -> report.Section:
    """Compare the rows and the contenders on a few assets, then time the database on them all."""
    # What other programs wanted of the processors.
    load_before = os.getloadavg()[0]
    with market.database(url) as conn:
        compared = _contenders(conn)
    measures = _market(url)
    return report.Section(
        "All daily features",
        f"Bars and EMAs of the timeframe 1D, returns, volatilities, indicators and the store that"
        f" joins them: all columns of six tables. Contenders: {FEW} assets x {market.DAYS} days;"
        f" median of {timing.ROUNDS}. Differences are relative, to values of at least"
        f" {rows.LEAST:g}. Targets, in the database's times: usual client 3, best client 0.80."
        f" Below, the database alone: {market.ASSETS} assets; a new day is the median of {ROUNDS},"
        f" each of its own. The machine's load average was {load_before:.1f} when it began.",
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
    print(f"pipeline: {FEW} assets x {market.DAYS} days loaded", flush=True)
    refresh(conn)
    rows.keep(conn, TABLES)
    with rows.packed(conn, TABLES) as files:
        contenders = {
            "the database": lambda: refresh(conn),
            "usual client": lambda: pipeline_clients.usual(conn),
            "best client": lambda: pipeline_clients.best(conn),
            "floor": lambda: rows.floor(conn, files),
        }
        return contest.compared(
            conn,
            TABLES,
            contenders,
            start_over=lambda: rows.empty(conn, TABLES),
            agreement=AGREEMENT,
            notes=NOTES,
        )


def _market(url: str) -> list[Measure]:
    """The whole market: built, by step, copied, and one day later after short and long history."""
    with market.database(url) as conn:
        load(conn, market.ASSETS, market.DAYS)
        conn.execute("checkpoint")
        built = timing.seconds(lambda: refresh(conn))
        memory = ladder.peak_memory(conn)
        print(f"pipeline: {market.ASSETS} assets x {market.DAYS} days, {built:.1f} s", flush=True)
        with rows.packed(conn, TABLES) as files:
            size = sum(file.stat().st_size for file in files.values()) / 2**30
            rows.empty(conn, TABLES)
            copied = timing.seconds(lambda: rows.floor(conn, files))
        steps = _steps(conn)
    target = "3 % of the full refresh, flat in history"
    measures = [
        Measure(
            f"full refresh, {market.DAYS} days",
            f"{built:.1f} s",
            f"{market.ASSETS * market.DAYS:,} rows in each of six tables, {size:.1f} GiB",
            f"{built / copied:.2f} floors",
            "",
        ),
        Measure("floor of that", f"{copied:.1f} s", "", "1 floor", ""),
        *steps,
        Measure("peak memory of the back end", *memory, "", "1 GB"),
    ]
    for days in (SHORT, LONG):
        with market.database(url) as conn:
            load(conn, market.ASSETS, days)
            refresh(conn)
            rows.settle(conn)
            times = _new_days(conn, days)
        middle = statistics.median(times)
        measures.append(
            Measure(
                f"one new day for all, after {days} days",
                f"{middle * 1e3:.0f} ms",
                ", ".join(f"{each * 1e3:.0f}" for each in times),
                f"{middle / built:.2%} of the full refresh",
                target,
            )
        )
    return measures


def _steps(conn: psycopg.Connection) -> list[Measure]:
    """Each step of a full refresh by itself, with the records of a refresh."""
    rows.empty(conn, TABLES)
    taken = {
        step: timing.seconds(
            lambda step=step: conn.execute("call public.refresh_features(p_steps => %s)", ([step],))
        )
        for step in STEPS
    }
    whole = sum(taken.values())
    return [
        Measure(f"its step {step}", f"{each:.1f} s", "", f"{each / whole:.0%} of the steps", "")
        for step, each in taken.items()
    ]


def _new_days(conn: psycopg.Connection, days: int) -> list[float]:
    """The seconds for one more candle of every asset, in a session that has done it before."""

    def once() -> float:
        market.next_day(conn)
        return timing.seconds(lambda: refresh(conn))

    once()
    (times,) = timing.in_turn({f"a new day after {days}": once}, ROUNDS).values()
    return times
