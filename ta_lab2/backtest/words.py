"""Values as one reads them: the page of a run and the command line say them alike."""

from __future__ import annotations

from datetime import UTC, datetime
from math import log10
from typing import Final

from ta_lab2.backtest.runs import Metric

MINUS: Final = "\N{MINUS SIGN}"
NOTHING: Final = "\N{EN DASH}"
_UNITS: Final = "kMBT"
_WORDS: Final = {"cagr": "CAGR", "var": "VaR"}


def words(name: str) -> str:
    """Return a metric's name as one reads it: ``max_drawdown`` is Max drawdown."""
    first, *rest = name.split("_")
    return " ".join([_WORDS.get(first, first.capitalize()), *rest])


def valued(metric: Metric) -> str:
    """Return a metric's value in its unit; a dash where it is undefined."""
    match metric.value, metric.unit:
        case None, _:
            return NOTHING
        case value, "fraction":
            return percent(value, 1)
        case value, "count" | "days" | "bars":
            return f"{value:,.1f}".removesuffix(".0")
        case value, _:
            return ratio(value)


def ratio(value: float | None) -> str:
    """Return a ratio to two decimals."""
    return NOTHING if value is None else f"{value:,.2f}".replace("-", MINUS)


def percent(value: float | None, digits: int) -> str:
    """Return a fraction as a percentage with a true minus; a dash where there is none.

    Of large ones three digits are as many as anybody reads: 46609227 % is 46.6M%.
    """
    if value is None:
        return NOTHING
    large = abs(value) * 100
    if large < 999.5:
        return f"{value:,.{digits}%}".replace("-", MINUS)
    if large < 9999.5:
        return f"{value:,.0%}".replace("-", MINUS)
    thousands = min(int(log10(large * 1.0005)) // 3, len(_UNITS))
    shown = f"{large / 1000**thousands:.3g}{_UNITS[thousands - 1]}%"
    return MINUS + shown if value < 0 else shown


def bare(value: float, digits: int) -> str:
    """Return a fraction as a percentage without its sign, for a table that says so above it."""
    if abs(value) >= 9.995 and not digits:
        # A cell of a phone has room for no more.
        thousands = value / 10
        shown = f"{thousands:.1f}" if abs(thousands) < 9.95 else f"{thousands:,.0f}"
        return f"{shown}k".replace("-", MINUS)
    text = percent(value, digits).removesuffix("%")
    return text.lstrip(MINUS) if set(text) <= set("-0.," + MINUS) else text


def count(value: float) -> str:
    """Return a whole number with its thousands parted."""
    return f"{value:,.0f}"


def money(value: float) -> str:
    """Return an amount with cents."""
    return f"{value:,.2f}".replace("-", MINUS)


def signed(value: float) -> str:
    """Return an amount with its sign, be it a plus."""
    return f"{value:+,.2f}".replace("-", MINUS)


def price(value: float) -> str:
    """Return a price with at least six digits that count."""
    return f"{value:,.2f}" if value >= 1000 else f"{value:.6g}"


def tone(value: float | None) -> str:
    """Return the class of a gain or a loss."""
    if not value:
        return ""
    return "up" if value > 0 else "down"


def day(value: datetime) -> str:
    """Return the day of a bar's last millisecond, in UTC."""
    return value.astimezone(UTC).date().isoformat()


def moment(value: datetime) -> str:
    """Return a moment in UTC, to the microsecond that tells versions apart."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
