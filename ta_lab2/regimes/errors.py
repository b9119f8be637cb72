"""Errors that the routines of ``regimes`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class UnknownPeriod(DatabaseRaised, sqlstate="TAR01"):
    """A layer names an EMA that nobody computes."""

    exit_code = 2


class NoRegime(DatabaseRaised, sqlstate="TAR02"):
    """A key is not trend-volatility-liquidity, each a word that exists."""

    exit_code = 2


class NoMoment(DatabaseRaised, sqlstate="TAR03"):
    """Regimes were asked for as of no moment."""

    exit_code = 2


class PeriodInUse(DatabaseRaised, sqlstate="TAR04"):
    """An EMA period that a layer reads can't go."""

    exit_code = 2
