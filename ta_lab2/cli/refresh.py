"""``ta-lab2 refresh``: bring the features up to date."""

from __future__ import annotations

from typing import Annotated

import psycopg
import typer

from ta_lab2.cli import console
from ta_lab2.db.connect import app_conninfo
from ta_lab2.features import queries


def refresh(
    assets: Annotated[
        str | None, typer.Option(metavar="ID,ID", help="Only these assets; all by default.")
    ] = None,
) -> None:
    """Bring the features up to date. Safe to stop, to repeat, and to run twice at once."""
    with psycopg.connect(
        app_conninfo(), autocommit=True, application_name="ta-lab2 refresh"
    ) as conn:
        queries.refresh(conn, _ids(assets), on_notice=console.say)


def _ids(text: str | None) -> list[int] | None:
    """Return the ids in a list such as ``1,1027``."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and len(word) < 10 for word in words):
        raise typer.BadParameter(f"{text!r} is no list of asset ids such as 1,1027")
    return [int(word) for word in words]
