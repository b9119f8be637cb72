"""Errors of ``bars``: those that its routines raise, and an exchange's."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised, TaLabError


class ExchangeFails(TaLabError):
    """An exchange does not answer, or not as it should: later, the same command may succeed."""


class AssetIsAnother(DatabaseRaised, sqlstate="TA201"):
    """A file's id and slug belong to two assets."""

    exit_code = 2


class PricesAreKept(DatabaseRaised, sqlstate="TA202"):
    """A TRUNCATE would remove candles without a trace."""

    exit_code = 2


class NoMomentGiven(DatabaseRaised, sqlstate="TA203"):
    """What was known when was not said."""

    exit_code = 2


class AssetWithoutPrices(DatabaseRaised, sqlstate="TA204"):
    """No prices of that asset were ever loaded."""

    exit_code = 2


class PricesNotKnownYet(DatabaseRaised, sqlstate="TA205"):
    """The moment lies before the asset's first load."""

    exit_code = 2


class UnknownSource(DatabaseRaised, sqlstate="TA206"):
    """No row of ``dim_sources`` has that name."""

    exit_code = 2


class UnknownLoad(DatabaseRaised, sqlstate="TA207"):
    """No load has that number."""

    exit_code = 2


class LoadIsUndone(DatabaseRaised, sqlstate="TA208"):
    """The load was taken back before."""

    exit_code = 2


class LoadIsBuiltUpon(DatabaseRaised, sqlstate="TA209"):
    """A later change touched candles of the load that is to be taken back."""

    exit_code = 2


class UnknownAsset(DatabaseRaised, sqlstate="TA210"):
    """No asset has that id."""

    exit_code = 2


class SlugIsTaken(DatabaseRaised, sqlstate="TA211"):
    """Another asset has that slug."""

    exit_code = 2


class SessionStands(DatabaseRaised, sqlstate="TA212"):
    """The asset has candles, which are stamped by the session that it has."""

    exit_code = 2


class NameCannotBeShown(DatabaseRaised, sqlstate="TA213"):
    """A ticker or a slug is empty, too long or has what cannot be shown."""

    exit_code = 2


class CalendarEndsBeforeBar(DatabaseRaised, sqlstate="TA231"):
    """An unfinished bar ends later than the sessions that are known."""

    exit_code = 2


class VolumeTooLarge(DatabaseRaised, sqlstate="TA232"):
    """A bar's volume is beyond what a number can hold."""


class CandleOutsideSession(DatabaseRaised, sqlstate="TA233"):
    """A candle's ts is the end of no session of its asset."""


class TimeframeInUse(DatabaseRaised, sqlstate="TA234"):
    """A timeframe that has bars cannot be deleted."""

    exit_code = 2


class SessionIsInUse(DatabaseRaised, sqlstate="TA235"):
    """A session whose assets have candles keeps its clock."""

    exit_code = 2


class IntradayIsKept(DatabaseRaised, sqlstate="TA241"):
    """A TRUNCATE would remove intraday candles without a trace."""

    exit_code = 2


class EditionWasChanged(DatabaseRaised, sqlstate="TA242"):
    """The bars of intraday candles are continuous aggregates, and this server has none."""

    exit_code = 2


class IntradayWasRevised(DatabaseRaised, sqlstate="TA243"):
    """A load that is to be taken back revised intraday candles, whose versions are not kept."""

    exit_code = 2
