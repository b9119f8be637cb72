"""``ta-lab2 refresh``: bring the features up to date."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Annotated, Final

import psycopg
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ta_lab2.bars import queries as prices
from ta_lab2.bars.names import asset_ids
from ta_lab2.cli import console
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused
from ta_lab2.features import queries
from ta_lab2.regimes import queries as regimes
from ta_lab2.signals import queries as signals

_DONE: Final = re.compile(r"refresh_\w+: (\d+) more assets? done, \d+ of (\d+)")


def refresh(
    assets: Annotated[
        str | None,
        typer.Option(
            metavar="SYMBOL,SYMBOL",
            help="Only these assets, by symbol, name or id; all by default.",
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(metavar="STEP,STEP", help="Only these, such as returns,volatility,store."),
    ] = None,
    indicators: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME", help="Only these kinds or columns, such as RSI,MACD."),
    ] = None,
    sessions: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="Database sessions that share the work.")
    ] = 1,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Work everything out anew; write what differs.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is due and write nothing.")
    ] = False,
    intraday: Annotated[
        bool, typer.Option("--intraday", help="The bars of intraday candles, not the features.")
    ] = False,
) -> None:
    """Bring features up to date; regimes and signals too unless a part is named. Safe to repeat."""
    if intraday:
        if assets or steps or indicators or sessions > 1 or dry_run:
            raise Refused("--intraday goes with --rebuild only")
        _roll_up(rebuild)
        return
    count = 1 if dry_run else sessions
    with ExitStack() as stack:
        conns = [
            stack.enter_context(
                psycopg.connect(app_conninfo(), autocommit=True, application_name="ta-lab2 refresh")
            )
            for _ in range(count)
        ]
        ids = asset_ids(conns[0], _words(assets))
        features = partial(queries.refresh, steps=_words(steps), indicators=_words(indicators))
        verbs = (features, regimes.refresh, signals.refresh)
        # Regimes read what all sessions have left of the features, signals what is left of both.
        for verb in verbs[:1] if steps or indicators else verbs:
            with _progress() as hear:
                _share(
                    conns,
                    partial(verb, asset_ids=ids, rebuild=rebuild, dry_run=dry_run, on_notice=hear),
                )


def _share(conns: Sequence[psycopg.Connection], run: Callable[[psycopg.Connection], None]) -> None:
    """Run it on all connections at once, until all are done."""
    with ThreadPoolExecutor(len(conns)) as pool:
        runs = [pool.submit(run, conn) for conn in conns]
        try:
            wait(runs)
        except BaseException:
            # Ctrl-C: what is committed stays, the next run goes on from there.
            for conn in conns:
                conn.cancel_safe()
            raise
    for done in runs:
        done.result()


def _roll_up(rebuild: bool) -> None:
    """Bring the bars of intraday candles up to date."""
    with psycopg.connect(
        app_conninfo(), autocommit=True, application_name="ta-lab2 refresh"
    ) as conn:
        prices.refresh_intraday(conn, rebuild=rebuild, on_notice=_say_own)


def _say_own(line: str) -> None:
    """Pass on what our procedure says; TimescaleDB's own notices explain nothing here."""
    if line.startswith("refresh_intraday: "):
        console.say(line)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Yield what shows the sessions' lines: a bar on a terminal, the lines themselves elsewhere."""
    if not console.err.is_terminal:
        yield console.say
        return
    columns = (
        TextColumn("refresh"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("assets"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console.err, transient=True) as bar:
        task = bar.add_task("refresh", total=None)

        def hear(line: str) -> None:
            if found := _DONE.match(line):
                bar.update(task, advance=int(found[1]), total=int(found[2]))
            else:
                console.say(line)

        yield hear


def _words(text: str | None) -> list[str] | None:
    """Return the words in a list such as ``returns,store``."""
    return None if text is None else [word.strip() for word in text.split(",")]
