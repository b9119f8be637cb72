"""Calls into the ``bars`` schema. No arithmetic lives here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

from psycopg import Connection, sql
from psycopg.errors import Diagnostic
from psycopg.rows import class_row

from ta_lab2.bars import errors as errors  # the classes of the SQLSTATEs that are raised here
from ta_lab2.errors import translated


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the lines of one file."""

    loaded: int
    unchanged: int
    revised: int
    rejected: int
    forming: int
    other_source: int = 0
    other_differing: int = 0
    other_new: int = 0


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that was not loaded."""

    line: int
    reason: str


def stage(
    conn: Connection,
    load: UUID,
    columns: Sequence[str],
    lines: Iterable[tuple[int, str, str | None, Sequence[str | None]]],
) -> None:
    """Copy lines into ``bars.price_staging`` as they are."""
    statement = sql.SQL("copy bars.price_staging (load, line, raw, fault, {}) from stdin").format(
        sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for number, raw, fault, cells in lines:
            copy.write_row((load, number, raw, fault, *cells))


@dataclass(frozen=True, slots=True)
class Undone:
    """What taking a load back did to the candles."""

    removed: int
    restored: int


def load_staged(
    conn: Connection,
    load: UUID,
    *,
    file: Path,
    asset_id: int,
    slug: str,
    columns: Sequence[str],
    source: str,
    sha256: str,
    extend: bool,
    switch: bool,
) -> Counts:
    """Turn the staged lines of one load into candles; return what became of them."""
    with conn.cursor(row_factory=class_row(Counts)) as cursor, translated():
        cursor.execute(
            """
            select c.loaded, c.unchanged, c.revised, c.rejected, c.forming,
                c.other_source, c.other_differing, c.other_new
            from bars.load_staged_prices(
                %(load)s, %(file)s, %(id)s, %(slug)s, %(columns)s::text[],
                p_source => %(source)s,
                p_sha256 => %(sha256)s,
                p_extend => %(extend)s,
                p_switch => %(switch)s
            ) as c
            """,
            {
                "load": load,
                "file": str(file),
                "id": asset_id,
                "slug": slug,
                "columns": list(columns),
                "source": source,
                "sha256": sha256,
                "extend": extend,
                "switch": switch,
            },
        )
        counts = cursor.fetchone()
    assert counts is not None
    return counts


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset and what is stored of it."""

    id: int
    symbol: str
    slug: str
    source: str | None
    candles: int
    first_day: date | None
    last_day: date | None
    revisions: int
    loads: int
    recorded_at: datetime | None


def assets(conn: Connection, asset_id: int | None = None) -> list[Asset]:
    """Return every asset by id, or the one that is asked for."""
    with conn.cursor(row_factory=class_row(Asset)) as cursor:
        cursor.execute(
            """
            select a.id, a.symbol, a.slug, a.source, a.candles, a.first_day, a.last_day,
                a.revisions, a.loads, a.recorded_at
            from bars.asset_summary(%s) as a
            order by a.id
            """,
            (asset_id,),
        )
        return cursor.fetchall()


def rename(conn: Connection, asset_id: int, *, symbol: str | None, slug: str | None) -> None:
    """Give an asset another ticker or slug; None leaves it."""
    with translated():
        conn.execute("select bars.rename_asset(%s, %s, %s)", (asset_id, symbol, slug))


def delete_prices(conn: Connection, asset_id: int) -> int:
    """Delete an asset's candles, which the revision log keeps; return how many there were."""
    with translated():
        row = conn.execute("select bars.delete_prices(%s)", (asset_id,)).fetchone()
    assert row is not None
    return int(row[0])


def undo(conn: Connection, load: UUID) -> Undone:
    """Take a load back; return what that did to the candles."""
    with conn.cursor(row_factory=class_row(Undone)) as cursor, translated():
        cursor.execute("select u.removed, u.restored from bars.undo_load(%s) as u", (load,))
        undone = cursor.fetchone()
    assert undone is not None
    return undone


def source(conn: Connection, asset_id: int) -> str | None:
    """Return where an asset's candles come from, None before the first."""
    row = conn.execute(
        "select t.source from bars.price_state as t where t.id = %s", (asset_id,)
    ).fetchone()
    return None if row is None else row[0]


def symbol(conn: Connection, asset_id: int) -> str:
    """Return an asset's ticker."""
    row = conn.execute(
        "select a.symbol from bars.dim_assets as a where a.id = %s", (asset_id,)
    ).fetchone()
    assert row is not None
    return str(row[0])


def rejects(conn: Connection, file: Path, *, limit: int) -> list[Reject]:
    """Return the first lines of a file that were rejected, in the file's order."""
    with conn.cursor(row_factory=class_row(Reject)) as cursor:
        cursor.execute(
            """
            select r.line, r.reason
            from bars.price_rejects as r
            where r.file = %s
            order by r.line, r.rejected_at
            limit %s
            """,
            (str(file), limit),
        )
        return cursor.fetchall()


def refresh_intraday(
    conn: Connection,
    *,
    rebuild: bool = False,
    on_notice: Callable[[str], None] = lambda _: None,
) -> None:
    """Run ``refresh_intraday``, passing each of its lines to ``on_notice``.

    The connection must be in autocommit mode: the procedure commits as it goes.
    """
    if not conn.autocommit:
        raise ValueError("refresh_intraday needs an autocommit connection")

    def heard(diag: Diagnostic) -> None:
        on_notice(diag.message_primary or "")

    conn.add_notice_handler(heard)
    try:
        with translated():
            conn.execute("call public.refresh_intraday(%s)", (rebuild,))
    finally:
        conn.remove_notice_handler(heard)
