"""Features worked the slow way, from their definitions, to be compared with."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping
from typing import Any

SPANS = (1, 3, 5, 7, 14, 21, 30, 63, 126, 252)
SCORED = (1, 7, 30)


def percentile_cont(values: list[float], share: float) -> float:
    """PostgreSQL's percentile_cont."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = math.ceil(place)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


#: An outlier lies over so many deviations from the mean, or quartile ranges beyond the quartiles.
Rule = tuple[float, float]


def returns(
    closes: Mapping[int, float], *, window: int = 252, rule: Rule = (4, 1.5)
) -> dict[int, dict[str, Any]]:
    """The row of each session, by its number, from the closes by session."""
    found: dict[int, dict[str, Any]] = {}
    if not closes:
        return found
    before: dict[int, list[float]] = {span: [] for span in SCORED}
    previous = None
    for session in range(min(closes), max(closes) + 1):
        close = closes.get(session)
        row: dict[str, Any] = {"gap_days": None, "is_gap": close is None}
        if close is not None:
            if previous is not None:
                row["gap_days"] = session - previous
            previous = session
        for span in SPANS:
            earlier = closes.get(session - span)
            both = close is not None and earlier is not None
            row[f"ret_pct_{span}"] = close / earlier - 1 if both else None
            row[f"ret_log_{span}"] = math.log(close / earlier) if both else None
        for span in SCORED:
            row |= _judged(span, row[f"ret_pct_{span}"], before[span], window, rule)
        found[session] = row
    return found


def _judged(
    span: int, x: float | None, before: list[float], window: int, rule: Rule
) -> dict[str, Any]:
    """Score and flags of one value; it joins those before it."""
    row: dict[str, Any] = dict.fromkeys(
        (f"ret_z_{span}", f"outlier_z_{span}", f"outlier_iqr_{span}")
    )
    if x is None:
        return row
    if len(before) >= window:
        past = before[-window:]
        mean, deviation = statistics.mean(past), statistics.stdev(past)
        row[f"outlier_z_{span}"] = abs(x - mean) > rule[0] * deviation
        first, third = percentile_cont(past, 0.25), percentile_cont(past, 0.75)
        reach = rule[1] * (third - first)
        row[f"outlier_iqr_{span}"] = x < first - reach or x > third + reach
    before.append(x)
    if len(before) >= window:
        last = before[-window:]
        if deviation := statistics.stdev(last):
            row[f"ret_z_{span}"] = (x - statistics.mean(last)) / deviation
    return row


def ema(closes: list[float], period: int) -> list[float | None]:
    """The EMA of each close: the mean of the first n, from then on 2 / (n + 1) of the new one."""
    weight = 2 / (period + 1)
    found: list[float | None] = []
    for n, close in enumerate(closes, 1):
        if n < period:
            found.append(None)
        elif n == period:
            found.append(math.fsum(closes[:n]) / n)
        else:
            assert found[-1] is not None
            found.append(weight * close + (1 - weight) * found[-1])
    return found


MEASURES = ("parkinson", "garman_klass", "rogers_satchell", "close_to_close")
VOL_WINDOWS = (20, 63, 126)
Candle = tuple[float, float, float, float]


def _parkinson(candle: Candle) -> float:
    _, high, low, _ = candle
    return math.log(high / low) ** 2 / (4 * math.log(2))


def _garman_klass(candle: Candle) -> float:
    opened, high, low, close = candle
    body = (2 * math.log(2) - 1) * math.log(close / opened) ** 2
    return math.log(high / low) ** 2 / 2 - body


def _rogers_satchell(candle: Candle) -> float:
    opened, high, low, close = candle
    above = math.log(high / close) * math.log(high / opened)
    return above + math.log(low / close) * math.log(low / opened)


def volatilities(
    candles: Mapping[int, Candle],
    year: int = 365,
    *,
    window: int = 252,
    rule: Rule = (4, 1.5),
) -> dict[int, dict[str, Any]]:
    """The row of each session, by its number, from the (open, high, low, close) by session."""
    found: dict[int, dict[str, Any]] = {}
    seen: list[Candle] = []
    before: dict[str, list[float]] = {name: [] for name in MEASURES}
    atr = None
    for session in range(min(candles), max(candles) + 1) if candles else ():
        if session not in candles:
            last = found[session - 1]
            filled = last["atr_14"] is not None
            found[session] = last | {"is_gap": True, "is_filled": filled}
            continue
        seen.append(candles[session])
        row: dict[str, Any] = {"is_gap": False, "is_filled": False}
        for name, of in zip(
            MEASURES[:3], (_parkinson, _garman_klass, _rogers_satchell), strict=True
        ):
            for n in VOL_WINDOWS:
                full = len(seen) >= n
                mean = math.fsum(map(of, seen[-n:])) / n
                row[f"{name}_{n}"] = math.sqrt(max(mean, 0.0) * year) if full else None
        for n in VOL_WINDOWS:
            pairs = itertools.pairwise(seen[-n - 1 :])
            steps = [math.log(after[3] / former[3]) for former, after in pairs]
            full = len(steps) == n
            row[f"close_to_close_{n}"] = statistics.stdev(steps) * math.sqrt(year) if full else None
        atr = _atr(seen, atr)
        row["atr_14"] = atr
        for name in MEASURES:
            judged = _judged(1, row[f"{name}_20"], before[name], window, rule)
            row |= {
                f"z_{name}_20": judged["ret_z_1"],
                f"outlier_z_{name}_20": judged["outlier_z_1"],
                f"outlier_iqr_{name}_20": judged["outlier_iqr_1"],
            }
        found[session] = row
    return found


def filled(rows: Mapping[int, dict[str, Any]], policy: str) -> dict[int, dict[str, Any]]:
    """The rows of volatilities with gaps that are null (skip) or on the line to the next candle."""
    found = dict(rows)
    candles = [n for n, row in rows.items() if not row["is_gap"]]
    for n, row in rows.items():
        if row["is_gap"]:
            row = dict.fromkeys(row) | {"is_gap": True, "is_filled": False}
            if policy == "interpolate":
                before = max(m for m in candles if m < n)
                after = min(m for m in candles if m > n)
                share = (n - before) / (after - before)
                for name, value in rows[before].items():
                    if isinstance(value, float) and rows[after][name] is not None:
                        row[name] = value * (1 - share) + rows[after][name] * share
                        row["is_filled"] = True
            found[n] = row
    return found


def _true_range(former: Candle, candle: Candle) -> float:
    _, high, low, _ = candle
    close = former[3]
    return max(high - low, abs(close - high), abs(close - low))


def _atr(seen: list[Candle], before: float | None) -> float | None:
    """Wilder's average of the true ranges, as after the last candle."""
    if before is not None:
        return (before * 13 + _true_range(seen[-2], seen[-1])) / 14
    if len(seen) <= 14:
        return None
    return sum(_true_range(former, candle) for former, candle in itertools.pairwise(seen)) / 14
