"""Errors that the routines of ``signals`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class UnknownType(DatabaseRaised, sqlstate="TA501"):
    """No signal is of this type."""

    exit_code = 2


class NoParameters(DatabaseRaised, sqlstate="TA502"):
    """Parameters are no object of names and values."""

    exit_code = 2


class UnknownParameter(DatabaseRaised, sqlstate="TA503"):
    """A signal of this type has no such parameter."""

    exit_code = 2


class MissingParameter(DatabaseRaised, sqlstate="TA504"):
    """A parameter that has no default is not given."""

    exit_code = 2


class ImpossibleParameter(DatabaseRaised, sqlstate="TA505"):
    """A parameter is not of its kind, or out of its range."""

    exit_code = 2


class ParametersOutOfOrder(DatabaseRaised, sqlstate="TA506"):
    """A parameter that has to be less than another one is not."""

    exit_code = 2


class UnknownPeriod(DatabaseRaised, sqlstate="TA507"):
    """A signal reads an EMA that nobody computes."""

    exit_code = 2


class UnknownIndicator(DatabaseRaised, sqlstate="TA508"):
    """A signal reads an RSI or an ATR that nobody computes."""

    exit_code = 2


class SignalInUse(DatabaseRaised, sqlstate="TA509"):
    """A signal that has rows can't be deleted."""

    exit_code = 2


class SignalFixed(DatabaseRaised, sqlstate="TA510"):
    """A signal that has rows keeps its parameters, but for a new version."""

    exit_code = 2


class UnknownSignal(DatabaseRaised, sqlstate="TA511"):
    """No signal has this id."""

    exit_code = 2


class InputInUse(DatabaseRaised, sqlstate="TA512"):
    """An EMA period or an indicator that an active signal reads can't go."""

    exit_code = 2
