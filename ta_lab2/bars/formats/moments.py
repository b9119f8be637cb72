"""What a file writes as a date or a time; the database reads them alike (``bars._stamp``)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

#: How a time can be written. The digits of a number tell its unit, from 1973 to 2286.
UNITS: Final = {
    "date": re.compile(
        r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?(Z|\+00:00)?", re.ASCII
    ),
    "s": re.compile(r"[1-9]\d{8,9}(\.0+)?", re.ASCII),
    "ms": re.compile(r"[1-9]\d{11,12}(\.0+)?", re.ASCII),
    "us": re.compile(r"[1-9]\d{14,15}(\.0+)?", re.ASCII),
}
#: Any of them; the group that matches is the key of UNITS.
_ANY: Final = re.compile(
    "|".join(
        f"(?P<{name}>{pattern.pattern.replace('(', '(?:')})" for name, pattern in UNITS.items()
    ),
    re.ASCII,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTHS: Final = {
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}


def unit(text: str) -> str | None:
    """Return how a time is written, a key of UNITS; None if it is none."""
    found = _ANY.fullmatch(text)
    return found.lastgroup if found else None


def moment(text: str) -> datetime | None:
    """Return the time that a text means, None if it means none."""
    try:
        # Most are a date and no more, which is fast to see.
        if len(text) == 10 and text[4] == text[7] == "-":
            return datetime.fromisoformat(f"{text}T00:00:00+00:00")
        written = unit(text)
        if written is None:
            return None
        if written == "date":
            # Python 3.11 takes fractions of three or six digits.
            plain = text.removesuffix("Z").removesuffix("+00:00")
            whole, _, fraction = plain.partition(".")
            parsed = datetime.fromisoformat(whole).replace(tzinfo=UTC)
            if not fraction:
                return parsed
            return parsed + timedelta(microseconds=int(fraction.ljust(6, "0")))
        return _EPOCH + int(text.partition(".")[0]) * _LENGTHS[written]
    except (ValueError, OverflowError):
        return None
