"""Parquet as text, row by row: what the database judges is the same as of any other file.

pyarrow comes with the extra ``parquet``, and is imported when a Parquet file is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ta_lab2.bars.formats.opening import LINES_LIMIT, Stored, unpacked_limit
from ta_lab2.errors import Refused

if TYPE_CHECKING:
    import pyarrow

_ROWS_AT_ONCE: Final = 500


def header(path: Path) -> tuple[str, ...]:
    """Return a file's columns, a data frame's row numbers left out."""
    with _opened(path) as file:
        names = file.schema_arrow.names
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise Refused(f"{path}: two of its columns are called {twice[0]}")
    return tuple(name for name in names if not _is_row_number(name))


def rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's number, from 1, and its cells of the columns as text."""
    with _opened(path) as file:
        number = 0
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(columns)):
            cells = [_texts(path, name, batch.column(name)) for name in columns]
            for row in zip(*cells, strict=True):
                number += 1
                yield number, list(row)


def verify(path: Path) -> None:
    """Read it to its end and refuse what is broken or too large, before anything is loaded."""
    with _opened(path) as file:
        for _ in file.iter_batches(_ROWS_AT_ONCE):
            pass


@contextmanager
def _opened(path: Path) -> Iterator[pyarrow.parquet.ParquetFile]:
    """Open a Parquet file; refuse one that is broken or too large."""
    if find_spec("pyarrow") is None:
        raise Refused(
            f"{path} is Parquet, which needs pyarrow, and that is not installed",
            "Run `pip install 'ta-lab2[parquet]'`, or save it as CSV.",
        )
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            if file.metadata.num_rows > LINES_LIMIT:
                raise Stored(path).too_large(f"{file.metadata.num_rows:,} rows")
            groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
            size = sum(group.total_byte_size for group in groups)
            if size > unpacked_limit(path.stat().st_size):
                raise Stored(path).too_large(f"{size:,} bytes once unpacked")
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise Refused(
            f"{path} is Parquet that cannot be read: {first}", "Fetch it again."
        ) from None


def _is_row_number(name: str) -> bool:
    return name.startswith("__index_level_") or name == ""


def _texts(path: Path, name: str, column: pyarrow.Array) -> list[str]:
    """Return a column as text: times in UTC, numbers with all their digits, null as nothing."""
    import pyarrow

    kind = column.type
    if pyarrow.types.is_nested(kind) or pyarrow.types.is_binary(kind):
        raise Refused(f"{path}: its column {name} is of type {kind}, not a number, text or time")
    if pyarrow.types.is_timestamp(kind):
        # Python's times have microseconds; a nanosecond more is still the same day.
        column = column.cast(pyarrow.timestamp("us", kind.tz and "UTC"), safe=False)
    return [_text(value) for value in column.to_pylist()]


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.replace(tzinfo=None).isoformat(sep=" ")
        case date():
            return value.isoformat()
        case _:
            return str(value)
