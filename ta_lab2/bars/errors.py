"""Errors that the routines of ``bars`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class AssetIsAnother(DatabaseRaised, sqlstate="TA201"):
    """A file's id and slug belong to two assets."""

    exit_code = 2


class PricesAreKept(DatabaseRaised, sqlstate="TA202"):
    """A TRUNCATE would remove candles without a trace."""

    exit_code = 2
