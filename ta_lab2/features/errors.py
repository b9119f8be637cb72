"""Errors that the routines of ``features`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class RefreshFailed(DatabaseRaised, sqlstate="TA401"):
    """Not one asset could be refreshed."""


class UnknownAsset(DatabaseRaised, sqlstate="TA402"):
    """An asset was asked for that has never been loaded."""

    exit_code = 2
