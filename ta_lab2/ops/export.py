"""A published view as a file: CSV by COPY, Parquet by batches; memory is bounded either way.

The file gets its name when it is whole: until then it stands beside it under another. pyarrow comes
with the extra ``parquet``, and is imported when a Parquet file is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row, scalar_row

from ta_lab2.bars.names import asset_ids
from ta_lab2.errors import Refused

if TYPE_CHECKING:
    import pyarrow

ROWS_AT_ONCE: Final = 20_000
SUFFIXES: Final = (".csv", ".parquet")

_SETTINGS: Final = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    # Everything is fetched: a plan that is quick with its first rows would not be the best.
    "cursor_tuple_fraction": "1",
}

#: Hears how many rows (Parquet) or bytes (CSV) are written so far.
Hear = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a published view."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a view is wanted; None is all of it."""

    columns: Sequence[str] | None = None
    assets: Sequence[str] = ()
    since: date | datetime | None = None
    until: date | datetime | None = None


def views(conn: psycopg.Connection) -> list[str]:
    """Return the published views that may be exported."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(
            """
            select c.relname::text
            from pg_class as c
            where c.relnamespace = to_regnamespace('published')
              and c.relkind = 'v'
              and has_table_privilege(c.oid, 'select')
            order by 1
            """
        ).fetchall()


def write(
    conn: psycopg.Connection,
    view: str,
    path: Path,
    wanted: Wanted,
    *,
    force: bool = False,
    hear: Hear = lambda _: None,
) -> int:
    """Write a view to a file whose name says in which format; return the number of rows.

    Times are UTC, numbers come back as the very same numbers. Nothing is left of a file that
    could not be written to its end.
    """
    suffix = _suffix(path)
    _refuse_existing(path, force)
    with conn.transaction():
        conn.execute("set transaction read only")
        for name, value in _SETTINGS.items():
            conn.execute("select set_config(%s, %s, true)", (name, value))
        statement, columns = _statement(conn, view, wanted, as_text=suffix == ".csv")
        with _aside(path, force=force) as file:
            if suffix == ".csv":
                rows = _csv(conn, statement, file, hear)
            else:
                rows = _parquet(conn, statement, columns, file, path, hear)
    return rows


def _suffix(path: Path) -> str:
    """Return how the file's name ends; refuse what is no format, or can't be written here."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise Refused(f"{path} is neither .csv nor .parquet", "Its name says the format.")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise Refused(
            "Parquet needs pyarrow, and that is not installed",
            "Run `pip install 'ta-lab2[parquet]'`, or export .csv.",
        )
    return suffix


def _refuse_existing(path: Path, force: bool) -> None:
    if path.is_dir():
        raise Refused(f"{path} is a folder", "Give the name of a file.")
    if not path.absolute().parent.is_dir():
        raise Refused(f"there is no folder {path.absolute().parent}", "Make it first.")
    if path.exists() and not force:
        raise Refused(f"{path} exists", "--force writes over it.")


@contextmanager
def _aside(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """Yield a file beside the one that is wanted, which it becomes; or remove it again."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # Somebody else may have written one meanwhile.
        _refuse_existing(path, force)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _statement(
    conn: psycopg.Connection, view: str, wanted: Wanted, *, as_text: bool
) -> tuple[sql.Composed, list[Column]]:
    """Return the query for what is wanted, in the order of the table's key, and its columns."""
    known = _columns(conn, view)
    if not known:
        raise Refused(f"there is no view {view} to export", f"There are: {', '.join(views(conn))}.")
    columns = _picked(view, known, wanted.columns)
    conditions = [*_of_assets(conn, view, known, wanted), *_in_time(view, known, wanted)]
    where = sql.SQL(" where {}").format(sql.SQL(" and ").join(conditions)) if conditions else None
    order = _order(conn, view, known)
    return (
        sql.SQL("select {columns} from published.{view} as v{where}{order}").format(
            columns=sql.SQL(", ").join(
                _column(c.name) if as_text else sql.SQL(_expression(c.kind)).format(_column(c.name))
                for c in columns
            ),
            view=sql.Identifier(view),
            where=where or sql.SQL(""),
            order=sql.SQL(" order by {}").format(sql.SQL(", ").join(map(_column, order)))
            if order
            else sql.SQL(""),
        ),
        columns,
    )


def _column(name: str) -> sql.Composed:
    return sql.SQL("v.{}").format(sql.Identifier(name))


def _columns(conn: psycopg.Connection, view: str) -> list[Column]:
    with conn.cursor(row_factory=class_row(Column)) as cursor:
        return cursor.execute(
            """
            select a.attname::text as name, format_type(a.atttypid, null) as kind
            from pg_class as c
            join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            where c.relnamespace = to_regnamespace('published')
              and c.relkind = 'v'
              and c.relname = %s
              and has_table_privilege(c.oid, 'select')
            order by a.attnum
            """,
            (view,),
        ).fetchall()


def _picked(view: str, known: Sequence[Column], names: Sequence[str] | None) -> list[Column]:
    """Return the columns that were asked for, in that order."""
    if names is None:
        return list(known)
    by_name = {column.name: column for column in known}
    for name in names:
        if name not in by_name:
            raise Refused(f"{view} has no column {name!r}", f"It has: {', '.join(by_name)}.")
        if names.count(name) > 1:
            raise Refused(f"the column {name} is asked for twice")
    return [by_name[name] for name in names]


def _of_assets(
    conn: psycopg.Connection, view: str, known: Sequence[Column], wanted: Wanted
) -> list[sql.Composed]:
    """Return the condition that a row is of one of the assets."""
    if not wanted.assets:
        return []
    if Column("id", "integer") not in known:
        raise Refused(f"{view} is not of assets", "Leave --asset out.")
    ids = asset_ids(conn, wanted.assets)
    return [sql.SQL("{} = any ({})").format(_column("id"), sql.Literal(ids))]


def _in_time(view: str, known: Sequence[Column], wanted: Wanted) -> list[sql.Composed]:
    """Return the conditions that a row lies in the range; a last day counts whole."""
    if wanted.since is None and wanted.until is None:
        return []
    name = _time_column(known)
    if name is None:
        raise Refused(f"{view} has no times", "Leave --from and --to out.")
    conditions = []
    if wanted.since is not None:
        conditions.append(sql.SQL("{} >= {}").format(_column(name), sql.Literal(str(wanted.since))))
    if isinstance(wanted.until, datetime):
        conditions.append(sql.SQL("{} <= {}").format(_column(name), sql.Literal(str(wanted.until))))
    elif wanted.until is not None:
        conditions.append(
            sql.SQL("{} < {}::date + 1").format(_column(name), sql.Literal(str(wanted.until)))
        )
    return conditions


def _time_column(known: Sequence[Column]) -> str | None:
    """Return the column that says when: ts, else time_close, else the first moment or date."""
    times = [c.name for c in known if c.kind in {"timestamp with time zone", "date"}]
    return min(times, key=lambda name: (name != "ts", name != "time_close"), default=None)


def _order(conn: psycopg.Connection, view: str, known: Sequence[Column]) -> list[str]:
    """Return the key of the table that the view shows; of any other view, id and time."""
    names = [column.name for column in known]
    with conn.cursor(row_factory=scalar_row) as cursor:
        key = cursor.execute(
            """
            select a.attname::text
            from pg_class as c
            join pg_index as i on i.indrelid = c.oid and i.indisprimary
            join pg_attribute as a on a.attrelid = c.oid and a.attnum = any (i.indkey::int2[])
            where c.relname = %s
              and c.relnamespace <> to_regnamespace('published')
              and pg_get_userbyid(c.relowner) = 'ta_lab2_owner'
            order by array_position(i.indkey::int2[], a.attnum)
            """,
            (view,),
        ).fetchall()
    if key and set(key) <= set(names):
        return key
    return [
        name
        for name in ("id", "tf_id", "resolution", "period", _time_column(known))
        if name in names
    ]


def _csv(conn: psycopg.Connection, statement: sql.Composed, file: IO[bytes], hear: Hear) -> int:
    """Copy the rows as the server writes them: its numbers have all the digits that they need."""
    size = 0
    command = sql.SQL("copy ({}) to stdout (format csv, header)").format(statement)
    with conn.cursor() as cursor:
        with cursor.copy(command) as copy:
            for block in copy:
                file.write(block)
                size += len(block)
                hear(size)
        # Known when the copy has ended; the header does not count.
        return cursor.rowcount


def _parquet(
    conn: psycopg.Connection,
    statement: sql.Composed,
    columns: Sequence[Column],
    file: IO[bytes],
    path: Path,
    hear: Hear,
) -> int:
    """Write batches of a server-side cursor, a row group each."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([(column.name, _type(column.kind)) for column in columns])
    rows = 0
    with (
        pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer,
        conn.cursor("ta_lab2_export", binary=True) as cursor,
    ):
        cursor.execute(statement)
        try:
            while batch := cursor.fetchmany(ROWS_AT_ONCE):
                cells = zip(*batch, strict=True)
                arrays = [
                    pyarrow.array(values, field.type)
                    for values, field in zip(cells, schema, strict=True)
                ]
                writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
                rows += len(batch)
                hear(rows)
        except psycopg.DataError as error:
            # The server's own errors have a SQLSTATE.
            if error.sqlstate is not None:
                raise
            raise Refused(
                f"{path}: a value is none that Parquet can hold: {error}",
                "CSV holds it; or leave its column out with --columns.",
            ) from None
    return rows


_NUMBERS: Final = {
    "boolean": "bool_",
    "smallint": "int16",
    "integer": "int32",
    "bigint": "int64",
    "real": "float32",
    "double precision": "float64",
    "date": "date32",
    "bytea": "binary",
    "text": "string",
}


def _type(kind: str) -> pyarrow.DataType:
    """Return Arrow's type for PostgreSQL's; what has none is text, as the server writes it."""
    import pyarrow

    if kind == "timestamp with time zone":
        return pyarrow.timestamp("us", tz="UTC")
    if kind.endswith("[]") and kind[:-2] in _NUMBERS:
        return pyarrow.list_(_type(kind[:-2]))
    made: Any = getattr(pyarrow, _NUMBERS.get(kind, "string"))
    return made()


def _expression(kind: str) -> str:
    """Return how a column is read for Parquet."""
    plain = kind.removesuffix("[]") in _NUMBERS or kind == "timestamp with time zone"
    return "{}" if plain else "{}::text"
