"""What is typed: parameters as NAME=VALUE, days and moments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final

from ta_lab2.errors import Refused

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
_TRUTHS: Final = {"true": True, "false": False}


def parameters(words: Sequence[str]) -> dict[str, Any]:
    """Return parameters such as ``period=28``; what is no number and no truth stays text."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise Refused(f"{word!r} is no parameter", "Write NAME=VALUE, such as period=28.")
        if name in found:
            raise Refused(f"{name} is given twice")
        found[name] = _TRUTHS.get(value, value)
        if _NUMBER.fullmatch(value):
            found[name] = float(value) if "." in value else int(value)
    return found


def moment(option: str, text: str | None) -> date | datetime | None:
    """Return a day or a moment; one without a zone is UTC."""
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            f"{option} {text} is neither a day nor a moment",
            "Such as 2024-06-01, or 2024-06-01T12:00.",
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def begin(given: date | None) -> datetime | None:
    """Return the moment at which a day begins, or the moment itself."""
    if given is None or isinstance(given, datetime):
        return given
    return datetime.combine(given, time.min, UTC)


def end(given: date | None) -> datetime | None:
    """Return the moment at which a day ends, or the moment itself."""
    if given is None or isinstance(given, datetime):
        return given
    return datetime.combine(given, time.max, UTC)
