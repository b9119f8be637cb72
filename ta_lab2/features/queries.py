"""Calls into the ``features`` schema. No arithmetic lives here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from psycopg import Connection, sql
from psycopg.errors import Diagnostic

from ta_lab2.errors import translated
from ta_lab2.features import errors as errors  # the classes of the SQLSTATEs that are raised here
from ta_lab2.indicators import errors as indicator_errors  # noqa: F401 - and there


def refresh(
    conn: Connection,
    asset_ids: Sequence[int] | None = None,
    *,
    rebuild: bool = False,
    dry_run: bool = False,
    on_notice: Callable[[str], None] = lambda _: None,
    verb: str = "refresh_features",
) -> None:
    """Run ``refresh_features``, or a verb like it, passing each progress line to ``on_notice``.

    The connection must be in autocommit mode: the procedure commits as it goes,
    which Postgres refuses inside an open transaction.
    """
    if not conn.autocommit:
        raise ValueError("refresh needs an autocommit connection")

    def heard(diag: Diagnostic) -> None:
        on_notice(diag.message_primary or "")

    conn.add_notice_handler(heard)
    try:
        with translated():
            conn.execute(
                sql.SQL(
                    """
                    call public.{verb}(
                        p_asset_ids => %(ids)s::integer[],
                        p_rebuild => %(rebuild)s,
                        p_dry_run => %(dry_run)s
                    )
                    """
                ).format(verb=sql.Identifier(verb)),
                {
                    "ids": None if asset_ids is None else list(asset_ids),
                    "rebuild": rebuild,
                    "dry_run": dry_run,
                },
            )
    finally:
        conn.remove_notice_handler(heard)
