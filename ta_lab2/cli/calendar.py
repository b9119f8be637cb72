"""``ta-lab2 calendar``: when exchanges are open."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import psycopg
import typer

from ta_lab2.bars import queries as bars
from ta_lab2.cli import console
from ta_lab2.counted import counted
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused
from ta_lab2.timemodel import exchange, queries

_SHOWN_STRAYS = 5

app = typer.Typer(no_args_is_help=True, help="When exchanges are open: holidays, early closes.")


@app.callback()
def _calendar() -> None:
    """Keep `refresh` a word of its own, although it is the only one."""


@app.command()
def refresh(
    session: Annotated[
        str | None,
        typer.Option(metavar="SESSION", help="Only this one, such as EQUITY; all by default."),
    ] = None,
) -> None:
    """Load the calendars of exchanges, from 1990 to two years ahead. A second run changes nothing.

    Every calendar is a transaction. Run it about monthly: holidays and closings are announced.
    """
    exchange.require()
    today = datetime.now(UTC).date()
    with psycopg.connect(
        app_conninfo(), autocommit=True, application_name="ta-lab2 calendar"
    ) as conn:
        for chosen, calendar in _chosen(queries.sessions(conn), session):
            schedule = exchange.schedule(calendar, today)
            changes = queries.load_calendar(conn, chosen, schedule)
            console.say(
                f"{chosen}: {counted(len(schedule.dates), 'session')} of {calendar}"
                f" from {schedule.first} to {schedule.last}:"
                f" {changes.inserted:,} inserted, {changes.changed:,} changed,"
                f" {changes.removed:,} removed"
            )
            _show_stray_candles(conn, chosen)


def _show_stray_candles(conn: psycopg.Connection, session: str) -> None:
    """Print which candles stand on days that are no sessions any more, and what can be done."""
    stray = bars.stray_candles(conn, session)
    for asset_id, ts in stray[:_SHOWN_STRAYS]:
        console.say(f"{session}: asset {asset_id} has a candle at {ts}, which is no session's end")
    if stray:
        console.say(
            f"{session}: {counted(len(stray), 'candle')} outside all sessions; the refresh of these"
            f" assets fails until they are deleted; bars.stray_candles('{session}') lists them"
        )


def _chosen(known: list[queries.Session], wanted: str | None) -> list[tuple[str, str]]:
    """Return the sessions to refresh, each with the name of its calendar."""
    if wanted is None:
        return [(each.session_id, each.calendar) for each in known if each.calendar]
    for each in known:
        if each.session_id == wanted:
            if each.calendar:
                return [(wanted, each.calendar)]
            if each.is_24_7:
                raise Refused(
                    f"the session {wanted} is always open and has no calendar",
                    "There is nothing to load: its sessions are the UTC days.",
                )
            raise Refused(
                f"the session {wanted} names no calendar of exchange_calendars",
                "Name one in dim_sessions.calendar, or load yours by timemodel.load_calendar().",
            )
    raise Refused(
        f"no session is called {wanted}",
        f"Known are {', '.join(each.session_id for each in known)};"
        " another exchange is a row of dim_sessions.",
    )
