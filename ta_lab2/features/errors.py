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
    """Packed rows were given for a time series, or what is no asset table of ``features``."""


class CloseBeyondAverages(DatabaseRaised, sqlstate="TA406"):
    """A bar's close is so large that a sum of them is no number."""


class VolatilityBeyondNumbers(DatabaseRaised, sqlstate="TA409"):
    """Prices are so far apart that a volatility is no number."""


class RuleHasNoFunction(DatabaseRaised, sqlstate="TA4F1"):
    """A rule of ``dim_finding_rules`` has no function that looks for it."""


class UnknownStep(DatabaseRaised, sqlstate="TA418"):
    """A step was asked for that no refresh has."""

    exit_code = 2


class NoMarketTime(DatabaseRaised, sqlstate="TA419"):
    """Features were asked for as of no moment."""


class PolicyMeansNothing(DatabaseRaised, sqlstate="TA420"):
    """Gaps were to be filled, or outliers flagged, in a way that would say something false."""

    exit_code = 2


class UnknownIndicator(DatabaseRaised, sqlstate="TA421"):
    """Indicators were asked for that no active row of dim_indicators has."""

    exit_code = 2


class StepsAndIndicators(DatabaseRaised, sqlstate="TA422"):
    """Steps and indicators were chosen together."""

    exit_code = 2


class ColumnTaken(DatabaseRaised, sqlstate="TA423"):
    """An indicator would have the name of a column that the feature store has from elsewhere."""

    exit_code = 2


class IndicatorKept(DatabaseRaised, sqlstate="TA411"):
    """An indicator whose columns stand in the table was to be deleted."""

    exit_code = 2


class IndicatorUnchangeable(DatabaseRaised, sqlstate="TA412"):
    """What the columns of an indicator are named after was to be changed."""

    exit_code = 2


class NoSuchIndicator(DatabaseRaised, sqlstate="TA413"):
    """A column was asked for that no active row of dim_indicators names."""


class CandleBeyondIndicators(DatabaseRaised, sqlstate="TA414"):
    """A candle's prices or volume are too large or too small to be worked with."""
