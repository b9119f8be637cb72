"""What is typed as NAME=VALUE, for the commands that take parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from ta_lab2.errors import Refused

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
