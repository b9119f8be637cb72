"""Numbers of things in words, as ``db.counted`` says them in the database."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """Return how many of what, in the singular for 1: ``1 asset``, ``1,096 bars``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
