"""Calls into the ``bars`` schema. No arithmetic lives here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
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
    lines: Iterable[tuple[int, str, str | None, Sequence[str | None] | None]],
    *,
    header: Sequence[str | None] = (),
    delimiter: str | None = None,
) -> None:
    """Copy lines into ``bars.price_staging`` as they are.

    One without a fault and without cells holds many, which the database splits as the header says.
    """
    statement = sql.SQL(
        "copy bars.price_staging (load, line, raw, fault, header, delimiter, {}) from stdin"
    ).format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    # As text, once: there are thousands of rows.
    number_of_load, nothing = str(load), (None,) * len(columns)
    places = f"{{{','.join(name or 'null' for name in header)}}}"
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for number, raw, fault, cells in lines:
            if cells is None:
                copy.write_row((number_of_load, number, raw, None, places, delimiter, *nothing))
            else:
                copy.write_row((number_of_load, number, raw, fault, None, None, *cells))


@dataclass(frozen=True, slots=True)
class Undone:
    """What taking a load back did to the candles."""

    removed: int
    restored: int


def register(
    conn: Connection, asset_id: int, *, slug: str | None, symbol: str | None, session: str | None
) -> str:
    """Make an asset if it is new, refuse what contradicts a known one; return its slug."""
    with translated():
        row = conn.execute(
            "select bars.register_asset(%s, %s, %s, %s)", (asset_id, slug, symbol, session)
        ).fetchone()
    assert row is not None
    return str(row[0])


def is_always_open(conn: Connection, asset_id: int, session: str | None) -> bool:
    """Return whether an asset's days are UTC days; a new one's are, if no session is named."""
    with translated():
        row = conn.execute(
            """
            select s.is_24_7
            from timemodel.session(coalesce(
                %s, (select a.session_id from bars.dim_assets as a where a.id = %s), 'CRYPTO'
            )) as s
            """,
            (session, asset_id),
        ).fetchone()
    assert row is not None
    return bool(row[0])


def load_staged(
    conn: Connection,
    load: UUID,
    *,
    file: Path | str,
    asset_id: int,
    slug: str,
    columns: Sequence[str],
    source: str,
    sha256: str | None,
    extend: bool,
    switch: bool,
    session: str | None = None,
    resolution: timedelta | None = None,
) -> Counts:
    """Turn the staged lines of one load into candles; return what became of them.

    With a resolution they are intraday candles of that length, else daily ones.
    """
    routine, length = (
        ("bars.load_staged_prices", "")
        if resolution is None
        else ("bars.load_staged_intraday", "p_resolution => %(resolution)s,")
    )
    statement = sql.SQL(
        """
        select c.loaded, c.unchanged, c.revised, c.rejected, c.forming,
            c.other_source, c.other_differing, c.other_new
        from {}(
            %(load)s, %(file)s, %(id)s, %(slug)s, {}
            p_columns => %(columns)s::text[],
            p_source => %(source)s,
            p_sha256 => %(sha256)s,
            p_extend => %(extend)s,
            p_switch => %(switch)s,
            p_session => %(session)s
        ) as c
        """
    ).format(sql.SQL(routine), sql.SQL(length))
    with conn.cursor(row_factory=class_row(Counts)) as cursor, translated():
        cursor.execute(
            statement,
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
                "session": session,
                "resolution": resolution,
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
    session_id: str
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
            select a.id, a.symbol, a.slug, a.session_id, a.source, a.candles,
                a.first_day, a.last_day, a.revisions, a.loads, a.recorded_at
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


def set_session(conn: Connection, asset_id: int, session_id: str) -> None:
    """Give an asset without candles another session."""
    with translated():
        conn.execute("select bars.set_session(%s, %s)", (asset_id, session_id))


def stray_candles(conn: Connection, session_id: str) -> list[tuple[int, datetime]]:
    """Return id and ts of the candles of a session's assets that stand on none of its days."""
    with translated():
        return conn.execute(
            "select c.id, c.ts from bars.stray_candles(%s) as c", (session_id,)
        ).fetchall()


def intraday_candles(conn: Connection, asset_id: int) -> int:
    """Return how many intraday candles an asset has."""
    row = conn.execute(
        "select count(*) from bars.intraday_candles as c where c.id = %s", (asset_id,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def delete_prices(conn: Connection, asset_id: int) -> int:
    """Delete an asset's candles, daily and intraday; return how many there were."""
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


@dataclass(frozen=True, slots=True)
class Stored:
    """What an asset has of one source: its first and last candle, and where to read on."""

    first: datetime
    last: datetime
    again: datetime


def stored_from(
    conn: Connection, asset_id: int, source: str, *, step: timedelta, reread: int
) -> Stored | None:
    """Return the begins of an asset's first, last and ``reread``-last candle of a source.

    A load and its candles share their moment: what another source revised since is not counted.
    """
    with conn.cursor(row_factory=class_row(Stored)) as cursor:
        cursor.execute(
            """
            with own as (
                select
                    p.ts - %(step)s + interval '1 millisecond' as start,
                    row_number() over (order by p.ts desc) as place
                from bars.cmc_price_histories7 as p
                where p.id = %(id)s
                  and exists (
                      select
                      from bars.loads as l
                      where l.id = p.id
                        and l.recorded_at = p.recorded_at
                        and l.source = %(source)s
                  )
            )
            select
                min(o.start) as first,
                max(o.start) as last,
                min(o.start) filter (where o.place <= %(reread)s) as again
            from own as o
            having count(*) > 0
            """,
            {"id": asset_id, "source": source, "step": step, "reread": reread},
        )
        return cursor.fetchone()


def stored_intraday(
    conn: Connection, asset_id: int, source: str, *, resolution: timedelta, reread: int
) -> Stored | None:
    """Return the same of an asset's intraday candles of one resolution."""
    with conn.cursor(row_factory=class_row(Stored)) as cursor:
        cursor.execute(
            """
            with own as (
                select c.ts
                from bars.intraday_candles as c
                where c.id = %(id)s
                  and c.resolution = %(resolution)s
                  and exists (
                      select
                      from bars.loads as l
                      where l.id = c.id
                        and l.resolution = c.resolution
                        and l.recorded_at = c.recorded_at
                        and l.source = %(source)s
                  )
            )
            select
                min(o.ts) as first,
                max(o.ts) as last,
                (
                    select min(t.ts)
                    from (select e.ts from own as e order by e.ts desc limit %(reread)s) as t
                ) as again
            from own as o
            having count(*) > 0
            """,
            {"id": asset_id, "resolution": resolution, "source": source, "reread": reread},
        )
        return cursor.fetchone()


def now(conn: Connection) -> datetime:
    """Return the database's time."""
    row = conn.execute("select clock_timestamp()").fetchone()
    assert row is not None
    at = row[0]
    assert isinstance(at, datetime)
    return at


def assets_called(conn: Connection, symbol: str) -> list[tuple[int, str]]:
    """Return id and slug of the assets with that ticker."""
    return conn.execute(
        """
        select a.id, a.slug
        from bars.dim_assets as a
        where upper(a.symbol) = upper(%s)
        order by a.id
        """,
        (symbol,),
    ).fetchall()


def assets_loaded_from(conn: Connection, file: str) -> list[tuple[int, str]]:
    """Return id and slug of the assets that a file was loaded for, and not taken back."""
    return conn.execute(
        """
        select a.id, a.slug
        from bars.dim_assets as a
        where a.id in (select l.id from bars.loads as l where l.file = %s and l.undone_at is null)
        order by a.id
        """,
        (file,),
    ).fetchall()


def last_file(
    conn: Connection,
    asset_id: int,
    source: str,
    *,
    like: str,
    resolution: timedelta | None = None,
) -> str | None:
    """Return the last file that brought a series candles of a source, of those so named."""
    row = conn.execute(
        """
        select l.file
        from bars.loads as l
        where l.id = %s
          and l.source = %s
          and l.file like %s
          and l.resolution is not distinct from %s
          and l.recorded_at is not null
          and l.undone_at is null
        order by l.recorded_at desc
        limit 1
        """,
        (asset_id, source, like, resolution),
    ).fetchone()
    return None if row is None else str(row[0])


def volume_unit(conn: Connection, source: str) -> str | None:
    """Return what a source's volumes count, None when it is not known."""
    row = conn.execute(
        "select d.volume_unit from bars.dim_sources as d where d.source = %s", (source,)
    ).fetchone()
    return None if row is None else str(row[0])


def add_source(conn: Connection, source: str, *, unit: str, description: str) -> bool:
    """Make a source, unless it is there; return whether it was made."""
    return (
        conn.execute(
            """
            insert into bars.dim_sources (source, volume_unit, description)
            values (%s, %s, %s)
            on conflict (source) do nothing
            """,
            (source, unit, description),
        ).rowcount
        == 1
    )


def reasons(conn: Connection, file: str, lines: Mapping[int, str]) -> list[Reject]:
    """Return why lines of a file, given with their text, are not loaded: those of them."""
    with conn.cursor(row_factory=class_row(Reject)) as cursor:
        cursor.execute(
            """
            select r.line, r.reason
            from bars.price_rejects as r
            join unnest(%s::integer[], %s::text[]) as given (line, raw)
                on given.line = r.line and given.raw = r.raw
            where r.file = %s
            order by r.line
            """,
            (list(lines), list(lines.values()), file),
        )
        return cursor.fetchall()


def source(conn: Connection, asset_id: int, resolution: timedelta | None = None) -> str | None:
    """Return where a series' candles come from, None before the first."""
    row = conn.execute(
        """
        select t.source
        from bars.price_state as t
        where t.id = %(id)s and %(length)s::interval is null
        union all
        select t.source
        from bars.intraday_state as t
        where t.id = %(id)s and t.resolution = %(length)s::interval
        """,
        {"id": asset_id, "length": resolution},
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
