"""The windows of a timeframe worked the slow way: walk the calendar, unit by unit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

DAY = timedelta(days=1)
MONDAY, SUNDAY = date(1970, 1, 5), date(1970, 1, 4)


@dataclass(frozen=True)
class Timeframe:
    """A row of ``dim_timeframe``, as far as its windows are concerned."""

    alignment: str
    base_unit: str
    tf_qty: int
    anchor: str | None
    calendar_scheme: str | None


#: bar_seq, starts_on, ends_on, first_session, last_session, sessions, is_partial_start
Window = tuple[int, date, date, date, date, int, bool]


def _units(timeframe: Timeframe, start: date) -> Iterator[date]:
    """The first days of the calendar's units from the one that begins on a day, endlessly."""
    while True:
        yield start
        if timeframe.base_unit == "D":
            start += DAY
        elif timeframe.base_unit == "W":
            start += 7 * DAY
        elif timeframe.base_unit == "M":
            start = (start.replace(day=28) + 4 * DAY).replace(day=1)
        else:
            start = start.replace(year=start.year + 1)


def _beginning(timeframe: Timeframe, day: date) -> date:
    """The first day of the unit that holds a day."""
    if timeframe.base_unit == "D":
        return day
    if timeframe.base_unit == "M":
        return day.replace(day=1)
    if timeframe.base_unit == "Y":
        return day.replace(month=1, day=1)
    wanted = "Monday" if timeframe.calendar_scheme == "ISO" else "Sunday"
    while day.strftime("%A") != wanted:
        day -= DAY
    return day


def _origin(timeframe: Timeframe, first: date, sessions: Sequence[date]) -> date:
    """The day on which the first window begins."""
    held = _beginning(timeframe, first)
    if timeframe.anchor is None:
        if any(held <= day < first for day in sessions):
            units = _units(timeframe, held)
            next(units)
            return next(units)
        return held
    if timeframe.anchor == "YEAR":
        start = first.replace(month=1, day=1)
    else:
        start = SUNDAY if timeframe.calendar_scheme == "US" else MONDAY
    begins = start
    for number, unit in enumerate(_units(timeframe, start)):
        if unit > first:
            return begins
        if number % timeframe.tf_qty == 0:
            begins = unit
    raise AssertionError


def windows(
    timeframe: Timeframe, first: date, last: date, sessions: Sequence[date], a_week: int
) -> list[Window]:
    """Every window from the first to the one that holds the last date; empty ones left out."""
    found: list[Window] = []
    if timeframe.alignment == "trading":
        count = timeframe.tf_qty * (a_week if timeframe.base_unit == "W" else 1)
        left = list(sessions[sessions.index(first) :])
        while left and left[0] <= last:
            bar, left = left[:count], left[count:]
            found.append((len(found) + 1, bar[0], bar[-1], bar[0], bar[-1], len(bar), False))
        return found
    start, number = _origin(timeframe, first, sessions), 0
    while start <= last:
        number += 1
        units = _units(timeframe, start)
        for _ in range(timeframe.tf_qty):
            next(units)
        after = next(units)
        held = sessions[bisect_left(sessions, start) : bisect_left(sessions, after)]
        if held:
            found.append(
                (number, start, after - DAY, held[0], held[-1], len(held), held[0] < first)
            )
        start = after
    return found
