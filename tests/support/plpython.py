"""PL/Python bodies, compiled from the shipped file, and what PostgreSQL would hand to them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SQL = Path(__file__).parents[2] / "sql"


class Raised(Exception):
    """What ``plpy.error`` was given."""

    def __init__(self, message: str, **facts: str) -> None:
        super().__init__(message)
        self.facts = facts


def _error(message: str, **facts: str) -> None:
    raise Raised(message, **facts)


#: What the routines of a session share.
GD: dict[str, Any] = {}


def _execute(query: str) -> None:
    """Run the one query that a kernel makes: it asks for the modules that kernels share."""
    assert re.fullmatch(r"select \w+\.\w+\(\)(, \w+\.\w+\(\))*", query)
    for slice_, name in re.findall(r"(\w+)\.(\w+)\(\)", query):
        kind = name.removeprefix("_").removesuffix("_kernel")
        if name.startswith("_") and kind not in GD.setdefault("indicators", {}):
            compiled(body(f"functions/{slice_}/{kind}.sql", rf"{slice_}\.{name}"))()
        elif not name.startswith("_") and name not in GD:
            compiled(body(f"functions/{slice_}/{name}.sql"))()


FAKE_PLPY = SimpleNamespace(error=_error, execute=_execute)


def body(path: str, routine: str = "") -> str:
    """The text between the dollars of the file's one routine, or of the named one."""
    start = rf"^create or replace function {routine}\((?:(?!^create).)*?" if routine else ""
    found = re.findall(rf"{start}^as \$\$\n(.*?)^\$\$;", (SQL / path).read_text(), re.M | re.S)
    assert len(found) == 1, f"sql/{path} has {len(found)} bodies"
    return found[0]


def changed(path: str, *changes: tuple[str, str]) -> str:
    """The text between the dollars with something changed in it."""
    text = body(path)
    for old, new in changes:
        assert text.count(old) == 1, f"sql/{path} has {text.count(old)} times {old!r}"
        text = text.replace(old, new)
    return text


def change(path: str, *changes: tuple[str, str]) -> None:
    """Share a module with something changed in it from now on."""
    _execute("select db.packing()")
    compiled(changed(path, *changes))()


def compiled(text: str, *arguments: str, gives: str = "") -> Callable[..., Any]:
    """Make a function of a body, as PL/Python does; ``gives`` is an expression to end with."""
    lines = [f"def routine({', '.join(arguments)}):", *text.splitlines()]
    if gives:
        lines.append(f"return {gives}")
    space: dict[str, Any] = {"plpy": FAKE_PLPY, "GD": GD, "SD": {}}
    exec("\n    ".join(lines), space)
    return space["routine"]


def array_send(kind: int, values: Sequence[float] | Sequence[int]) -> bytes | None:
    """The bytes of an array of integers (23), floats (701), dates (1082) or stamps (1184)."""
    if not values:
        return None
    form = struct.Struct(">" + {23: "i", 701: "d", 1082: "i", 1184: "q"}[kind])
    head = struct.pack(">iiIii", 1, 0, kind, len(values), 1)
    return head + b"".join(struct.pack(">i", form.size) + form.pack(value) for value in values)


def fields(packed: bytes, columns: int) -> Iterable[list[bytes | None]]:
    """The rows of COPY's binary format, each value as its bytes."""
    at = 0
    while at < len(packed):
        (count,) = struct.unpack_from(">h", packed, at)
        assert count == columns
        at += 2
        row: list[bytes | None] = []
        for _ in range(columns):
            (length,) = struct.unpack_from(">i", packed, at)
            at += 4
            row.append(None if length == -1 else packed[at : at + length])
            at += max(length, 0)
        yield row


def tuples(packed: bytes, kinds: str) -> Iterable[list[Any]]:
    """The rows of COPY's binary format; ``kinds`` has struct's letter for each column."""
    for row in fields(packed, len(kinds)):
        yield [
            None if value is None else struct.unpack(f">{kind}", value)[0]
            for kind, value in zip(kinds, row, strict=True)
        ]


def floats(array: bytes) -> list[float | None]:
    """The values of array_send of floats."""
    dimensions, nulls, kind, count, lower = struct.unpack_from(">iiIii", array)
    assert (dimensions, kind, lower) == (1, 701, 1)
    found: list[float | None] = []
    at = 20
    for _ in range(count):
        (length,) = struct.unpack_from(">i", array, at)
        at += 4 + max(length, 0)
        found.append(None if length == -1 else struct.unpack(">d", array[at - 8 : at])[0])
    assert (None in found) == bool(nulls)
    assert at == len(array)
    return found
