"""From files to candles: find them, recognise them, stream them into the database."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from psycopg import Connection

from ta_lab2.bars import queries
from ta_lab2.bars.formats import LAYOUTS, UNSAID, Layout, PriceFile, Wanted, members, recognise
from ta_lab2.bars.formats.moments import moment
from ta_lab2.bars.formats.opening import SUFFIXES
from ta_lab2.bars.queries import Counts
from ta_lab2.errors import Refused


@dataclass(frozen=True, slots=True)
class Loaded:
    """One file that is in, and what became of its lines."""

    load: UUID
    file: PriceFile
    slug: str
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
        if at := moment(cells[place] or ""):
            # ISO dates sort as text.
            day = at.date().isoformat()
            first_day = min(first_day or day, day)
            last_day = max(last_day, day)
    return Preview(lines, faulty, first_day, last_day, tuple(start))


def layout(name: str) -> Layout:
    """Return the layout of that name, as ``--format`` has it."""
    for known in LAYOUTS:
        if known.name == name:
            return known
    raise Refused(
        f"there is no format {name}", f"Known are {', '.join(known.name for known in LAYOUTS)}."
    )


def find(names: Sequence[str], wanted: Wanted = UNSAID) -> list[PriceFile]:
    """Return the price files that names, folders and patterns mean, all recognised.

    One that cannot be taken refuses them all, so that a load is never half of what was asked for.
    """
    paths: dict[Path, None] = {}
    for name in names:
        for path in _expand(name):
            paths.setdefault(path.absolute())
    files: list[PriceFile] = []
    refused: list[Refused] = []
    for path in paths:
        try:
            inside = members(path)
        except Refused as error:
            refused.append(error)
            continue
        for member in inside:
            try:
                files.append(recognise(path, wanted, member=member))
            except Refused as error:
                refused.append(error)
    if len(refused) == 1:
        raise refused[0]
    if refused:
        raise Refused(
            f"{len(refused)} of {len(refused) + len(files)} files cannot be taken,"
            " and nothing was loaded",
            "\n  ".join(error.what for error in refused),
        )
    return files


def source_of(file: PriceFile) -> str:
    """Return where a file's prices come from; refuse one that does not say it."""
    if file.source is None:
        raise Refused(
            f"{file.path}: its layout does not say where the prices come from",
            "Say --source; `select * from dim_sources` lists them.",
        )
    return file.source


def refuse_without_lines(files: Sequence[PriceFile]) -> None:
    """Refuse files that have a header and nothing below it, all of them at once."""
    empty = [file.path for file in files if next(file.lines(), None) is None]
    if empty:
        raise Refused(
            f"{empty[0]} has a header and no line below it"
            + (f", and so have {len(empty) - 1} more files" if empty[1:] else ""),
            "Fetch it again, or leave it out; nothing was loaded.",
        )


def refuse_other_days(conn: Connection, file: PriceFile) -> None:
    """Refuse a file whose days are no UTC days, unless its asset's market opens and closes."""
    if file.within and queries.is_always_open(conn, file.asset_id, file.session):
        raise Refused(
            f"{file.path}: its bars do not begin or end with a UTC day: {file.within:%Y-%m-%d %X}",
            "Fetch daily candles of the UTC day; of an exchange that closes, say its --session.",
        )


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
    number, source = uuid4(), source or source_of(file)
    with file.stored.path.open("rb") as bytes_of:
        sha256 = hashlib.file_digest(bytes_of, "sha256").hexdigest()
    with _explained(file), conn.transaction():
        if file.resolution is None:
            refuse_other_days(conn, file)
        queries.stage(
            conn,
            number,
            file.columns(),
            file.staged(),
            header=file.header(),
            delimiter=file.format.delimiter,
        )
        slug = queries.register(
            conn, file.asset_id, slug=file.slug, symbol=file.symbol, session=file.session
        )
        counts = queries.load_staged(
            conn,
            number,
            file=file.path,
            asset_id=file.asset_id,
            slug=slug,
            columns=file.columns(),
            source=source,
            sha256=sha256,
            extend=extend,
            switch=switch,
            resolution=file.resolution,
        )
        # What was looked at, what was hashed and what was loaded have to be one.
        if file.stored.state() != file.state:
            raise Refused(
                f"{file.path} changed while it was being loaded",
                "Nothing of it is in; load it again when it is written to its end.",
            )
        return Loaded(number, file, slug, queries.symbol(conn, file.asset_id), source, counts)


@contextmanager
def _explained(file: PriceFile) -> Iterator[None]:
    """Say which file was on its way when the database went away or was full."""
    again = "Nothing of it is loaded, what came before it is; the same command goes on from here."
    try:
        yield
    except (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory) as error:
        raise Refused(
            f"the database has no room for {file.path}: {error.diag.message_primary}",
            f"Make room on its machine, or ask whoever runs it. {again}",
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        # The connection is lost, or an operator or the machine stopped the server or this session.
        if error.sqlstate is not None and not error.sqlstate.startswith(("08", "57P")):
            raise
        first = (str(error).strip() or "no answer").splitlines()[0]
        raise Refused(
            f"the database went away while {file.path} was being loaded: {first}",
            f"`ta-lab2 db status` says whether it is back. {again}",
        ) from error


def _expand(name: str) -> list[Path]:
    """Return the files that one argument means, a folder's and a pattern's by asset.

    A folder gives its own files first, then those of its folders, one level deep, by name.
    """
    if not name:
        # To pathlib it is the folder that one stands in, all of it.
        raise Refused("a file is named by nothing", 'Write "." for the folder you are in.')
    path = Path(name).expanduser()
    if name == "-" and not path.exists():
        raise Refused(
            "prices cannot come from standard input", "Each file is read twice: save them as one."
        )
    try:
        if path.is_dir():
            folders = [path, *sorted(each for each in path.iterdir() if _is_folder(each))]
            found = [each for folder in folders for each in _price_files(folder)]
            if not found:
                raise Refused(
                    f"{path}: the folder has no files that end in {', '.join(SUFFIXES)}",
                    "Name the folder that holds them itself.",
                )
            return found
        if path.exists() or not glob.has_magic(name):
            return [path]
    except PermissionError as error:
        raise Refused(f"{error.filename} cannot be read: {error.strerror}") from None
    found = [Path(each) for each in glob.glob(str(path), recursive=True)]  # noqa: PTH207
    if not found:
        raise Refused(f"{name}: no file fits this pattern")
    return sorted(found, key=_by_asset)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _price_files(folder: Path) -> list[Path]:
    return sorted(
        (
            each
            for each in folder.iterdir()
            if each.name.lower().endswith(SUFFIXES)
            and not each.name.startswith(".")
            and not each.is_dir()
        ),
        key=_by_asset,
    )


def _by_asset(path: Path) -> tuple[str, int, str]:
    start = path.name.partition("_")[0]
    return str(path.parent), int(start) if start.isdecimal() else 0, path.name
