"""Where the project's own files are, in a checkout and in an installed wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


@cache
def checkout() -> Path | None:
    """Return the root of the checkout that this package runs from, None for an installed wheel."""
    root = _PACKAGE.parent
    return root if (root / "alembic.ini").is_file() and (root / "sql").is_dir() else None


def shipped(name: str) -> Path:
    """Return the folder ``alembic``, ``sql`` or ``docker``."""
    root = checkout()
    return root / name if root else _PACKAGE / "_shipped" / name
