"""Errors that the routines of ``backtest`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class UnknownSignal(DatabaseRaised, sqlstate="TA601"):
    """No signal has the name."""

    exit_code = 2


class SignalsOutrun(DatabaseRaised, sqlstate="TA602"):
    """Stored signals are not up to date with the candles."""

    exit_code = 2


class UnknownCostModel(DatabaseRaised, sqlstate="TA603"):
    """No cost model has the name."""

    exit_code = 2


class NoAssetToTrade(DatabaseRaised, sqlstate="TA604"):
    """The universe of a run is empty."""

    exit_code = 2


class ImpossibleSettings(DatabaseRaised, sqlstate="TA605"):
    """A run was asked for with a setting that it can't have."""

    exit_code = 2


class NoCandleInRange(DatabaseRaised, sqlstate="TA606"):
    """No asset of a run has a candle in its range."""

    exit_code = 2


class NoRunMade(DatabaseRaised, sqlstate="TA607"):
    """Of all runs that were asked for none could be made."""

    exit_code = 2


class RunBeyondNumbers(DatabaseRaised, sqlstate="TA608"):
    """A run comes to more than a number can hold."""


class SignalWithoutCandle(DatabaseRaised, sqlstate="TA609"):
    """A signal stands where its asset has no candle."""


class ExitBeforeEntry(DatabaseRaised, sqlstate="TA610"):
    """A signal closes a position that it doesn't follow."""


class RunExists(DatabaseRaised, sqlstate="TA611"):
    """A run was asked for under the id of another."""

    exit_code = 2


class UnknownRun(DatabaseRaised, sqlstate="TA612"):
    """No run has the id."""

    exit_code = 2


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
