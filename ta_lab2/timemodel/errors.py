"""Errors that the routines of ``timemodel`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class UnknownSession(DatabaseRaised, sqlstate="TA101"):
    """No row of dim_sessions has this name."""

    exit_code = 2


class CalendarMissing(DatabaseRaised, sqlstate="TA102"):
    """The session's calendar has never been loaded."""

    exit_code = 2


class OutsideCalendar(DatabaseRaised, sqlstate="TA103"):
    """A date lies outside what the session's calendar covers."""

    exit_code = 2


class AlwaysOpen(DatabaseRaised, sqlstate="TA104"):
    """A calendar was given for what trades around the clock."""

    exit_code = 2


class CalendarDoesNotFit(DatabaseRaised, sqlstate="TA105"):
    """A calendar contradicts itself, or the hours of its session."""

    exit_code = 2


class CalendarShrinks(DatabaseRaised, sqlstate="TA106"):
    """A calendar covers less than the one that is stored."""

    exit_code = 2


class TimeframeIsFixed(DatabaseRaised, sqlstate="TA107"):
    """What a timeframe means cannot be changed."""

    exit_code = 2


class UnknownTimeframe(DatabaseRaised, sqlstate="TA108"):
    """No row of dim_timeframe has this name or number."""

    exit_code = 2


class NoSession(DatabaseRaised, sqlstate="TA109"):
    """A first candle is said to be of a date that is no session."""

    exit_code = 2


class NothingToCheck(DatabaseRaised, sqlstate="TA110"):
    """A relation lacks the columns that tell timeframes and ends of bars."""

    exit_code = 2
