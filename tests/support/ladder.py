"""Bars worked the slow way, from their definitions, to be compared with.

Days are dates, a session is its day's opening and last millisecond. A timeframe is its name.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

ONE_DAY = timedelta(days=1)
MONDAY, SUNDAY = date(1970, 1, 5), date(1970, 1, 4)

#: One of each family, and what is odd among them.
FAMILIES = (
    *("1D", "5D", "31D", "365D", "1W"),
    *("1D_CAL", "7D_CAL", "100D_CAL"),
    *("1W_CAL_ISO", "3W_CAL_ISO", "1W_CAL_US", "2W_CAL_ANCHOR_ISO", "10W_CAL_ANCHOR_US"),
    *("1M_CAL", "2M_CAL", "9M_CAL", "12M_CAL", "1M_CAL_ANCHOR", "6M_CAL_ANCHOR"),
    *("1Y_CAL", "1Y_CAL_ANCHOR"),
)

Sessions = Mapping[date, tuple[datetime, datetime]]


@dataclass(frozen=True)
class Candle:
    """The candle of a day; without stamps of its own the extremes are seen at its end."""

    open: float
    high: float
    low: float
    close: float
    volume: float | None = None
    market_cap: float | None = None
    time_high: datetime | None = None
    time_low: datetime | None = None


def around_the_clock(first: date, last: date) -> dict[date, tuple[datetime, datetime]]:
    """Every UTC day."""
    found = {}
    for n in range((last - first).days + 1):
        opens = datetime.combine(first + n * ONE_DAY, time(), UTC)
        found[opens.date()] = (opens, opens + ONE_DAY - timedelta(milliseconds=1))
    return found


def months_later(start: date, months: int) -> date:
    """The first of a month, so many months later."""
    years, month = divmod(start.month - 1 + months, 12)
    return date(start.year + years, month + 1, 1)


def windows(tf: str, days: list[date], first: date, last: date, week: int) -> Iterator[list[date]]:
    """The scheduled days of each window, from the asset's first to that of its last candle."""
    found = re.fullmatch(r"(\d+)([DWMY])(_CAL)?(_ANCHOR)?(?:_(ISO|US))?", tf)
    assert found
    n, unit, is_calendar, is_anchored, scheme = int(found[1]), *found.groups()[1:]

    if not is_calendar:
        n = n * week if unit == "W" else n
        for at in range(days.index(first), days.index(last) + 1, n):
            yield days[at : at + n]
        return

    if unit == "D" or (unit == "W" and is_anchored):
        length = n if unit == "D" else 7 * n
        grid = SUNDAY if scheme == "US" else MONDAY
        begin = first - (first - grid).days % length * ONE_DAY
    elif unit == "W":
        begin = first - (first - (SUNDAY if scheme == "US" else MONDAY)).days % 7 * ONE_DAY
    elif unit == "M":
        begin = first.replace(day=1)
        if is_anchored:
            begin = begin.replace(month=(first.month - 1) // n * n + 1)
    else:
        begin = date(first.year, 1, 1)

    def later(start: date, units: int) -> date:
        if unit in "DW":
            return start + units * (7 if unit == "W" else 1) * ONE_DAY
        return months_later(start, units * (12 if unit == "Y" else 1))

    if unit != "D" and not is_anchored and days[bisect_left(days, begin)] < first:
        begin = later(begin, 1)
    while begin <= last:
        end = later(begin, n)
        yield days[bisect_left(days, begin) : bisect_left(days, end)]
        begin = end


def bars(
    tf: str,
    sessions: Sessions,
    candles: Mapping[date, Candle],
    *,
    week: int = 7,
    at: datetime | None = None,
) -> list[dict[str, Any]]:
    """The closed bars of a timeframe, or those that are unfinished at a moment.

    ``sessions`` reach from before the first window to after the last one.
    """
    days = sorted(sessions)
    held = [day for day in days if day in candles and (at is None or sessions[day][1] <= at)]
    if not held:
        return []
    found = []
    for seq, window in enumerate(windows(tf, days, held[0], held[-1], week), 1):
        inside = [day for day in window if held[0] <= day <= held[-1] and day in candles]
        is_closed = bool(window) and held[-1] >= window[-1]
        if not inside or is_closed == (at is not None):
            continue
        own = [candles[day] for day in inside]
        high, low = max(c.high for c in own), min(c.low for c in own)
        top = next(day for day in inside if candles[day].high == high)
        bottom = next(day for day in inside if candles[day].low == low)
        volumes = [c.volume for c in own if c.volume is not None]
        ended = [day for day in window if at is None or sessions[day][1] <= at]
        found.append(
            {
                "time_close": sessions[window[-1]][1],
                "time_open": sessions[window[0]][0],
                "bar_seq": seq,
                "open": own[0].open,
                "high": high,
                "low": low,
                "close": own[-1].close,
                "volume": sum(volumes) if volumes else None,
                "market_cap": own[-1].market_cap,
                "time_high": candles[top].time_high or sessions[top][1],
                "time_low": candles[bottom].time_low or sessions[bottom][1],
                "is_partial_start": window[0] < held[0],
                "is_partial_end": at is not None,
                "count_days": len(inside),
                "count_missing_days": sum(day >= held[0] and day not in candles for day in ended),
            }
        )
    return found
