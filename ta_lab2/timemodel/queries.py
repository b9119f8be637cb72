"""Calls into the ``timemodel`` schema. No arithmetic lives here."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import class_row

from ta_lab2.errors import translated
from ta_lab2.timemodel import errors as errors  # the classes of the SQLSTATEs that are raised here
from ta_lab2.timemodel.exchange import Schedule


@dataclass(frozen=True, slots=True)
class Session:
    """A row of ``dim_sessions``, as far as its calendar is concerned."""

    session_id: str
    is_24_7: bool
    calendar: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a refresh did to the rows of one session's calendar."""

    inserted: int
    changed: int
    removed: int


def sessions(conn: Connection) -> list[Session]:
    """Return every session, by name."""
    with conn.cursor(row_factory=class_row(Session)) as cursor:
        cursor.execute(
            """
            select s.session_id, s.is_24_7, s.calendar
            from timemodel.dim_sessions as s
            order by s.session_id
            """
        )
        return cursor.fetchall()


def load_calendar(conn: Connection, session_id: str, schedule: Schedule) -> Changes:
    """Make a session's calendar equal to a schedule; return how many rows that took."""
    with conn.cursor(row_factory=class_row(Changes)) as cursor, translated():
        cursor.execute(
            """
            select c.inserted, c.changed, c.removed
            from timemodel.load_calendar(
                %(session_id)s, %(from)s, %(to)s, %(dates)s::date[],
                %(opens)s::timestamptz[], %(closes)s::timestamptz[], %(early)s::boolean[]
            ) as c
            """,
            {
                "session_id": session_id,
                "from": schedule.first,
                "to": schedule.last,
                "dates": schedule.dates,
                "opens": schedule.opens,
                "closes": schedule.closes,
                "early": schedule.early,
            },
        )
        changes = cursor.fetchone()
    assert changes is not None
    return changes
