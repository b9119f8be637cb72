"""Errors that the routines of ``indicators`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class UnknownIndicator(DatabaseRaised, sqlstate="TA301"):
    """No kind of indicator has this name."""

    exit_code = 2


class ParametersNoObject(DatabaseRaised, sqlstate="TA302"):
    """The parameters are JSON, but no object."""

    exit_code = 2


class UnknownParameter(DatabaseRaised, sqlstate="TA303"):
    """The kind has no parameter of this name."""

    exit_code = 2


class ParameterOutOfRange(DatabaseRaised, sqlstate="TA304"):
    """A parameter is no number, or none that the kind can work with."""

    exit_code = 2


class ParametersInTheWrongOrder(DatabaseRaised, sqlstate="TA305"):
    """One parameter has to be less than another and is not."""

    exit_code = 2


class ArraysDiffer(DatabaseRaised, sqlstate="TA306"):
    """Arrays that belong together have different lengths, or more than one dimension."""


class ParameterChanges(DatabaseRaised, sqlstate="TA307"):
    """A parameter is not the same for all rows of a window."""
