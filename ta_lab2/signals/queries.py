"""Calls into the ``signals`` schema. No arithmetic lives here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from psycopg import Connection

from ta_lab2.features import queries as features
from ta_lab2.signals import errors as errors  # the classes of the SQLSTATEs that are raised here


def refresh(
    conn: Connection,
    asset_ids: Sequence[int] | None = None,
    *,
    rebuild: bool = False,
    dry_run: bool = False,
    on_notice: Callable[[str], None] = lambda _: None,
) -> None:
    """Run ``refresh_signals`` as ``features.queries.refresh`` runs its verb."""
    features.refresh(
        conn,
        asset_ids,
        rebuild=rebuild,
        dry_run=dry_run,
        on_notice=on_notice,
        verb="refresh_signals",
    )
