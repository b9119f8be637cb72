"""One new day for all assets, at one and at ten years of history."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import psycopg

from benchmarks import clients, market, report, timing

YEARS = {"1 year": 365, "10 years": 3650}
ROUNDS = max(5, timing.ROUNDS)
AGREEMENT = 1e-12
NOTES = {
    "the database": "finds what is due; takes revisions, deletions and gaps as they come; may be"
    " killed and run twice at once; keeps its record",
    "usual client": "the last 284 candles of all assets with pandas, the last row of each,"
    " upserted; right only if nothing else has changed",
    "best client": "the same with our kernel and binary COPY both ways; right only if nothing else"
    " has changed",
}


def refresh(conn: psycopg.Connection) -> None:
    """Let the database do it."""
    conn.execute("call public.refresh_features(p_steps => '{returns}')")


def run(url: str) -> report.Section:
    """Take the times at each length of history, and the share of a full refresh of the same."""
    lines = [
        report.line(
            [
                *("history", "who", "median ms", "all", "times the database's"),
                *("share of its full refresh", "rows apart", "does and does not"),
            ]
        ),
        report.line(["---"] * 8),
    ]
    for history, days in YEARS.items():
        with market.database(url) as conn:
            market.load(conn, days)
            whole = timing.seconds(lambda conn=conn: refresh(conn))
            print(f"day: {history} loaded and refreshed in {whole:.2f} s", flush=True)
            taken, apart = _days(conn)
        base = statistics.median(taken["the database"])
        for who, times in taken.items():
            middle = statistics.median(times)
            lines.append(
                report.line(
                    [
                        history,
                        who,
                        f"{middle * 1e3:.0f}",
                        ", ".join(f"{each * 1e3:.0f}" for each in times),
                        f"{middle / base:.2f}",
                        f"{middle / whole:.1%}",
                        f"{apart[who]:.0e}",
                        NOTES[who],
                    ]
                )
            )
    return report.Section(
        "One new day of the returns",
        f"{market.ASSETS} assets, the step returns alone. Median of {ROUNDS}, each on a day of"
        " its own, in a session that has done it before. Differences"
        " are relative, to values of at least 0.001.",
        lines,
    )


def _days(conn: psycopg.Connection) -> tuple[dict[str, list[float]], dict[str, float]]:
    """The seconds of each contender, and how far its rows are from the database's own."""
    contenders: dict[str, Callable[[psycopg.Connection], object]] = {
        "the database": refresh,
        "usual client": lambda conn: clients.usual(conn, last_only=True),
        "best client": lambda conn: clients.best(conn, last_only=True),
    }
    apart = dict.fromkeys(contenders, 0.0)

    def once(who: str) -> float:
        market.next_day(conn)
        taken = timing.seconds(lambda: contenders[who](conn))
        found = clients.stored(conn, last_only=True)
        # The day that a client did is due still: the database does it too, and its state moves on.
        refresh(conn)
        ours = clients.stored(conn, last_only=True)
        apart[who] = max(apart[who], clients.furthest(found, ours, rows=market.ASSETS))
        assert apart[who] < AGREEMENT, (who, apart[who])
        return taken

    for who in contenders:
        once(who)
    return timing.in_turn({who: lambda who=who: once(who) for who in contenders}, ROUNDS), apart
