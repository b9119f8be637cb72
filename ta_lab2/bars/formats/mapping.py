"""A layout of the user's own: a TOML file that says which column is which.

    [columns]          # the file's column = ours
    Datum = "day"
    Eröffnung = "open"

Above it stand ``delimiter``, ``header``, ``skip``, ``time`` and ``source``; see docs/ingest.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ta_lab2.bars.formats.layouts import Format
from ta_lab2.bars.formats.moments import UNITS
from ta_lab2.errors import Refused

OURS: Final = (
    *("day", "ticker", "open", "high", "low", "close"),
    *("volume", "market_cap", "time_high", "time_low"),
)
_NEEDED: Final = ("day", "open", "high", "low", "close")
_KEYS: Final = ("delimiter", "header", "skip", "time", "source", "columns")


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a mapping file says."""

    path: Path
    columns: Mapping[str, str]
    delimiter: str
    has_header: bool
    skip: int
    time: str | None
    source: str | None

    def match(self, file: Path, names: Sequence[str]) -> Format:
        """Return how a file with these columns is read; without a header they are numbered."""
        header = tuple(names) if self.has_header else _numbers(len(names))
        missing = [name for name in self.columns if name not in header]
        if missing:
            raise Refused(
                f"{file} has no column {missing[0]}, which {self.path} names",
                f"It has {', '.join(header)}; written with {self.delimiter!r} between them.",
            )
        return Format(
            name=self.path.name,
            title="a layout of your own",
            delimiter=self.delimiter,
            header=header,
            staged=tuple((header.index(name), ours) for name, ours in self.columns.items()),
            above=self.skip + self.has_header,
            source=self.source,
            time=self.time,
        )


def read(path: Path) -> Mapped:
    """Return what a mapping file says; refuse what does not fit together, by name."""
    try:
        with path.open("rb") as file:
            said = tomllib.load(file)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused(f"{path} is no TOML: {error}") from None
    unknown = [key for key in said if key not in _KEYS]
    if unknown:
        raise Refused(f"{path}: {unknown[0]} is not known", f"Known are {', '.join(_KEYS)}.")
    columns = _columns(path, said.get("columns"))
    delimiter = _typed(path, said, "delimiter", str, ",")
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise Refused(f"{path}: delimiter has to be one character, such as ';' or '\\t'")
    skip = _typed(path, said, "skip", int, 0)
    if not 0 <= skip <= 1000:
        raise Refused(f"{path}: skip is the number of lines above the header, 0 to 1000")
    time = _typed(path, said, "time", str, "")
    if time and time not in UNITS:
        raise Refused(f"{path}: time is not known: {time}", f"Known are {', '.join(UNITS)}.")
    has_header = _typed(path, said, "header", bool, True)
    if not has_header and not all(name.isdecimal() for name in columns):
        raise Refused(
            f"{path}: without a header columns are called by their number",
            'The first is "1": `1 = "day"`.',
        )
    return Mapped(
        path=path,
        columns=columns,
        delimiter=delimiter,
        has_header=has_header,
        skip=skip,
        time=time or None,
        source=_typed(path, said, "source", str, "") or None,
    )


def _columns(path: Path, said: object) -> Mapping[str, str]:
    """Return the table ``columns``: each of ours once, and those that a candle needs."""
    if not isinstance(said, dict) or not said:
        raise Refused(f"{path} has no table [columns]", 'Its lines are like `Date = "day"`.')
    ours = list(said.values())
    for name, column in said.items():
        if column not in OURS:
            raise Refused(
                f"{path}: {name} = {column!r} is not known", f"Known are {', '.join(OURS)}."
            )
        if ours.count(column) > 1:
            raise Refused(f"{path}: {column} is given twice")
    missing = [name for name in _NEEDED if name not in ours]
    if missing:
        raise Refused(f"{path} does not say which column is {missing[0]}")
    return said


def _typed(path: Path, said: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    value = said.get(key, default)
    if type(value) is not kind:
        names = {str: "a text in quotes", int: "a whole number", bool: "true or false"}
        raise Refused(f"{path}: {key} has to be {names[kind]}")
    return value


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, count + 1))
