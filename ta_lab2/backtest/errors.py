"""Errors that the routines of ``backtest`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class UnknownMode(DatabaseRaised, sqlstate="TA641"):
    """A run can't be repeated in a mode that does not exist."""

    exit_code = 2


class ToleranceOutOfRange(DatabaseRaised, sqlstate="TA642"):
    """A tolerance is no share of equity."""

    exit_code = 2


class InputsDiffer(DatabaseRaised, sqlstate="TA643"):
    """What a run was made from is not the same any more."""

    exit_code = 2


class ResultDiffers(DatabaseRaised, sqlstate="TA644"):
    """The same inputs give another result."""
