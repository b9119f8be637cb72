"""Errors that the routines of ``features`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class RefreshFailed(DatabaseRaised, sqlstate="TA401"):
    """Not one asset could be refreshed."""


class UnknownAsset(DatabaseRaised, sqlstate="TA402"):
    """An asset was asked for that has never been loaded."""

    exit_code = 2


class ReturnBeyondNumbers(DatabaseRaised, sqlstate="TA403"):
    """Two candles are so far apart that their return is no number."""


class CandleOutsideSessions(DatabaseRaised, sqlstate="TA404"):
    """A candle's ts is not the last millisecond of a session."""


class NoPackedRows(DatabaseRaised, sqlstate="TA405"):
    """Packed rows were given for something that is no asset table of ``features``."""


class CloseBeyondAverages(DatabaseRaised, sqlstate="TA406"):
    """A bar's close is so large that a sum of them is no number."""


class StageInTheWay(DatabaseRaised, sqlstate="TA407"):
    """A session has a temporary table of its own where packed rows would be kept."""


class VolatilityBeyondNumbers(DatabaseRaised, sqlstate="TA409"):
    """Prices are so far apart that a volatility is no number."""
