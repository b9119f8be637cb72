"""Faults planted into shipped routines, so that each check is seen to fail."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.support.plpython import SQL


def broken(conn: psycopg.Connection, path: str, *changes: tuple[str, str]) -> None:
    """Apply a shipped routine file with something changed in it."""
    text = (SQL / path).read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"sql/{path} has {text.count(old)} times {old!r}"
        text = text.replace(old, new)
    conn.execute(text.encode())


def is_found(check: Callable[[], object], says: str | None = None) -> None:
    """See a check fail, and say so in these words."""
    with pytest.raises(AssertionError, match=says):
        check()
