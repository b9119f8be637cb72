"""The schedules of exchanges, from the library exchange_calendars.

It comes with the extra ``calendars`` and brings pandas, so it is imported when a calendar is
refreshed and by nothing else: what is in the database needs neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from importlib.util import find_spec
from typing import Final

from ta_lab2.errors import Refused

#: The first year of a calendar, and how many years after this one it reaches, to their ends.
FIRST_YEAR: Final = 1990
YEARS_AHEAD: Final = 2


@dataclass(frozen=True, slots=True)
class Schedule:
    """All sessions of an exchange from the first to the last date, a place in the lists each."""

    first: date
    last: date
    dates: list[date]
    opens: list[datetime]
    closes: list[datetime]
    early: list[bool]


def require() -> None:
    """Refuse, before any work is done, when exchange_calendars is not installed."""
    if find_spec("exchange_calendars") is None:
        raise Refused(
            "calendars need exchange_calendars, which is not installed",
            "Run `pip install 'ta-lab2[calendars]'`.",
        )


def schedule(calendar: str, today: date) -> Schedule:
    """Return an exchange's sessions from 1990 to the end of the second year after today's.

    Some exchanges announce their holidays year by year, some are recorded from later on: there
    the schedule covers what is known.
    """
    import exchange_calendars as library
    from exchange_calendars.errors import InvalidCalendarName

    try:
        kind = type(library.get_calendar(calendar))
    except InvalidCalendarName:
        raise Refused(
            f"exchange_calendars has no calendar {calendar}",
            "Correct it in dim_sessions; New York is XNYS, London XLON, Tokyo XTKS.",
        ) from None
    low, high = kind.bound_min(), kind.bound_max()
    first, last = date(FIRST_YEAR, 1, 1), date(today.year + YEARS_AHEAD, 12, 31)
    first = max(first, low.date()) if low is not None else first
    last = min(last, high.date()) if high is not None else last
    known = library.get_calendar(calendar, start=first, end=last)
    early = set(known.early_closes)
    return Schedule(
        first=first,
        last=last,
        dates=[session.date() for session in known.sessions],
        opens=[moment.to_pydatetime() for moment in known.schedule["open"]],
        closes=[moment.to_pydatetime() for moment in known.schedule["close"]],
        early=[session in early for session in known.sessions],
    )
