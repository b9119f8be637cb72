"""Errors that the routines of ``db`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class MomentMissing(DatabaseRaised, sqlstate="TAD01"):
    """The rows of a table were asked for as they stood at no moment."""


class NoHistory(DatabaseRaised, sqlstate="TAD02"):
    """A table keeps no history."""


class BeforeHistory(DatabaseRaised, sqlstate="TAD03"):
    """The moment lies before a table's history began."""
