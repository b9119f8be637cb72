"""From files to candles: find them, recognise them, stream them into the database."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from psycopg import Connection

from ta_lab2.bars import queries
from ta_lab2.bars.formats import PriceFile, recognise
from ta_lab2.bars.queries import Counts
from ta_lab2.errors import Refused


@dataclass(frozen=True, slots=True)
class Loaded:
    """One file that is in, and what became of its lines."""

    load: UUID
    file: PriceFile
    symbol: str
    source: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file holds as it stands, before the database judges its lines."""

    lines: int
    faulty: int
    first_day: str
    last_day: str
    start: tuple[str, ...]


def preview(file: PriceFile, *, shown: int = 3) -> Preview:
    """Return what a file holds; nothing is loaded, and no database is asked."""
    place = file.columns().index("day")
    lines = faulty = 0
    first_day = last_day = ""
    start: list[str] = []
    for _, text, fault, cells in file.lines():
        lines += 1
        if len(start) < shown:
            start.append(text)
        if fault:
            faulty += 1
            continue
        # ISO dates sort as text.
        if day := (cells[place] or "")[:10]:
            first_day = min(first_day or day, day)
            last_day = max(last_day, day)
    return Preview(lines, faulty, first_day, last_day, tuple(start))


def find(names: Sequence[str]) -> list[PriceFile]:
    """Return the price files that names, folders and patterns mean, all recognised.

    One that cannot be taken refuses them all, so that a load is never half of what was asked for.
    """
    paths: dict[Path, None] = {}
    for name in names:
        for path in _expand(name):
            paths.setdefault(path.absolute())
    files, refused = [], []
    for path in paths:
        try:
            files.append(recognise(path))
        except Refused as error:
            refused.append(error)
    if len(refused) == 1:
        raise refused[0]
    if refused:
        raise Refused(
            f"{len(refused)} of {len(paths)} files cannot be taken, and nothing was loaded",
            "\n  ".join(error.what for error in refused),
        )
    return files


def load(
    conn: Connection,
    file: PriceFile,
    *,
    source: str | None = None,
    extend: bool = False,
    switch: bool = False,
) -> Loaded:
    """Load one file in one transaction: all of it is in, or nothing.

    A second load of the same file changes nothing. Where the asset's candles come from another
    source, nothing is stored without ``extend`` (new sessions) or ``switch`` (all of them).
    """
    number, source = uuid4(), source or file.format.source
    with file.path.open("rb") as bytes_of:
        sha256 = hashlib.file_digest(bytes_of, "sha256").hexdigest()
    with conn.transaction():
        queries.stage(conn, number, file.columns(), file.lines())
        counts = queries.load_staged(
            conn,
            number,
            file=file.path,
            asset_id=file.asset_id,
            slug=file.slug,
            columns=file.columns(),
            source=source,
            sha256=sha256,
            extend=extend,
            switch=switch,
        )
        return Loaded(number, file, queries.symbol(conn, file.asset_id), source, counts)


def _expand(name: str) -> list[Path]:
    """Return the files that one argument means, a folder's and a pattern's by asset."""
    path = Path(name).expanduser()
    if path.is_dir():
        found = [each for each in path.iterdir() if each.suffix.lower() == ".csv"]
        if not found:
            raise Refused(
                f"{path}: the folder has no .csv files", "Name the folder that holds them itself."
            )
        return sorted(found, key=_by_asset)
    if not path.exists() and glob.has_magic(name):
        found = [Path(each) for each in glob.glob(str(path), recursive=True)]  # noqa: PTH207
        if not found:
            raise Refused(f"{name}: no file fits this pattern")
        return sorted(found, key=_by_asset)
    return [path]


def _by_asset(path: Path) -> tuple[str, int, str]:
    start = path.name.partition("_")[0]
    return str(path.parent), int(start) if start.isdecimal() else 0, path.name
