"""Files as bounded lines, whatever they are packed in: no more than one line is in memory."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, NamedTuple

from ta_lab2.errors import Refused

#: What is kept of a line, for whoever looks for the reason of its rejection.
RAW_LIMIT: Final = 2000
#: A longer line is rejected; what is beyond is never in memory.
LINE_LIMIT: Final = 64 * 1024
#: More is no file of daily prices: three thousand years have fewer days.
LINES_LIMIT: Final = 1_000_000
#: What a file may unpack to, and how many times its size, which counts from a few MB on.
SIZE_LIMIT: Final = 2**30
RATIO_LIMIT: Final = 100
_RATIO_COUNTS_FROM: Final = 8 * 2**20
MEMBERS_LIMIT: Final = 10_000
_CHUNK: Final = 2**20
#: Lines that are read together: with their last one they mostly fit into a row of the database,
#: which price_staging's toast_tuple_target keeps in one piece.
_BLOCK: Final = 7600
_MARK: Final = b"\xef\xbb\xbf"
#: A zip archive ends with a comment of at most so many bytes.
_COMMENT_LIMIT: Final = 64 * 1024

SUFFIXES: Final = (".csv", ".csv.gz", ".zip", ".parquet")
_NESTED: Final = (".zip", ".gz", ".7z", ".rar", ".bz2", ".xz", ".zst", ".tar", ".tgz")
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_PARQUET: Final = b"PAR1"
_ENCRYPTED: Final = 0x1
_REFETCH: Final = "Fetch it again; nothing is lost by loading it twice."
_BROKEN: Final = (EOFError, OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


class Line(NamedTuple):
    """A line of a file."""

    number: int
    text: str
    #: What is wrong with it; None: nothing is.
    fault: str | None


class Block(NamedTuple):
    """Lines of a file that follow each other."""

    #: The first one's number.
    number: int
    text: bytes

    def after(self, number: int) -> Block:
        """Return what comes after the line of that number."""
        above = number + 1 - self.number
        if above <= 0:
            return self
        return Block(number + 1, b"".join(self.text.split(b"\n", above)[above:]))

    def lines(self) -> Iterator[Line]:
        """Yield them, cut where they are too long, without their ends."""
        lines = self.text.removesuffix(b"\n").split(b"\n")
        for number, line in enumerate(lines, start=self.number):
            fault = fault_of(line)
            line = line[: LINE_LIMIT + 1]
            try:
                text = line.decode()
            except UnicodeDecodeError:
                text = line.decode(errors="backslashreplace")
                fault = fault or "not UTF-8"
            yield Line(number, text.rstrip("\r\n"), fault)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where prices lie: a file, or one inside an archive."""

    path: Path
    member: str = ""

    @property
    def name(self) -> Path:
        """What it is called in tables and messages."""
        # An archive may call its files what it likes, /etc/passwd too.
        return Path(f"{self.path}/{printable(self.member)}") if self.member else self.path

    def state(self) -> tuple[int, int, int]:
        """Return what changes when somebody writes to the file or puts another in its place."""
        found = self.path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns

    def is_parquet(self) -> bool:
        """Return whether it begins as Parquet does; refuse what cannot be read or is empty."""
        return start_of(self.path).startswith(_PARQUET)

    def blocks(self) -> Iterator[Block]:
        """Yield all of it as blocks of whole lines; one that is too long is cut."""
        with self.opened() as stream:
            number = 1
            while start := stream.read(_BLOCK):
                if not start.endswith(b"\n"):
                    start += stream.readline(LINE_LIMIT + 1)
                if not start.endswith(b"\n"):
                    while (rest := stream.readline(_CHUNK)) and not rest.endswith(b"\n"):
                        pass
                ends = start.count(b"\n") + (not start.endswith(b"\n"))
                yield Block(number, start.removeprefix(_MARK) if number == 1 else start)
                number += ends

    def lines(self) -> Iterator[Line]:
        """Yield every line, cut where it is too long, without its end."""
        for block in self.blocks():
            yield from block.lines()

    def verify(self) -> None:
        """Read it to its end and refuse what is broken or too large, before anything is loaded."""
        ends = size = 0
        with self.opened() as stream:
            start = stream.read(_CHUNK)
            if not start or start.isspace():
                raise Refused(f"{self.name} is empty", _REFETCH)
            if start.startswith((_GZIP, *_ZIP)):
                raise Refused(f"{self.name} is an archive in an archive", "Unpack the outer one.")
            while start:
                # Looking is much faster than counting, and one line may be all of it.
                ends += start.count(b"\n") if b"\n" in start else 0
                size += len(start)
                if size > SIZE_LIMIT:
                    raise self.too_large(f"more than {SIZE_LIMIT:,} bytes")
                if ends > LINES_LIMIT:
                    raise self.too_large(f"more than {LINES_LIMIT:,} lines")
                start = stream.read(_CHUNK)

    def too_large(self, what: str) -> Refused:
        """Return the error for a file that is too large for what it should be."""
        return Refused(
            f"{self.name} is no file of daily prices: it has {what}",
            "Daily prices of one asset are some thousand short lines.",
        )

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open it as plain bytes."""
        start = start_of(self.path)
        if start.startswith(_GZIP):
            with gzip.open(self.path) as packed:
                yield self._unpacked(packed, self.path.stat().st_size)
        elif start.startswith(_ZIP):
            with _archive(self.path) as archive:
                info = archive.getinfo(self.member)
                with archive.open(info) as packed:
                    yield self._unpacked(packed, info.compress_size)
        else:
            with self.path.open("rb", buffering=_CHUNK) as plain:
                yield plain

    def _unpacked(self, packed: IO[bytes] | gzip.GzipFile, packed_size: int) -> IO[bytes]:
        return io.BufferedReader(_Unpacking(packed, packed_size, self), _CHUNK)


class _Unpacking(io.RawIOBase):
    """What comes out of a packed file, until it is too much or turns out to be broken."""

    def __init__(self, packed: IO[bytes] | gzip.GzipFile, packed_size: int, stored: Stored) -> None:
        self._packed = packed
        self._limit = unpacked_limit(packed_size)
        self._stored = stored
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            got = self._packed.read(len(buffer))
        except _BROKEN as error:
            raise Refused(
                f"{self._stored.name} is broken or cut off: {str(error) or 'it ends too early'}",
                _REFETCH,
            ) from None
        self._size += len(got)
        if self._size > self._limit:
            raise self._stored.too_large(f"more than {self._limit:,} bytes once unpacked")
        buffer[: len(got)] = got
        return len(got)


def start_of(path: Path) -> bytes:
    """Return the first bytes of a file; refuse what is no file, cannot be read or is empty."""
    try:
        if path.is_dir():
            raise Refused(f"{path} is a folder where a file is needed")
        if path.exists() and not path.is_file():
            raise Refused(f"{path} is no file", "A pipe cannot be read twice: save it as a file.")
        with path.open("rb") as file:
            start = file.read(8)
    except FileNotFoundError:
        raise Refused(f"{path}: there is no such file") from None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    if not start:
        raise Refused(f"{path} is empty", _REFETCH)
    return start


def members(path: Path) -> list[str]:
    """Return the price files inside an archive by name; of any other file one, without a name."""
    if not start_of(path).startswith(_ZIP):
        return [""]
    with _archive(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    if any(info.filename.startswith("xl/") for info in infos):
        raise Refused(f"{path} is a spreadsheet", "Save it as CSV in UTF-8, and load that.")
    nested = [info for info in infos if info.filename.lower().endswith(_NESTED)]
    if nested:
        raise Refused(
            f"{path} has an archive in it: {printable(nested[0].filename)}", "Unpack the outer one."
        )
    found = [info for info in infos if info.filename.lower().endswith(".csv")]
    found = [info for info in found if not _is_hidden(info.filename)]
    if not found:
        raise Refused(f"{path}: no .csv file is in it", "Unpack it, and name the files.")
    for info in found:
        if info.flag_bits & _ENCRYPTED:
            raise Refused(
                f"{path} has a password: {printable(info.filename)} cannot be read",
                "Unpack it with the password, and load what comes out.",
            )
    size = sum(info.file_size for info in found)
    # Parts that are larger than their archive overlap, which only a bomb's do.
    if size > SIZE_LIMIT or sum(info.compress_size for info in found) > path.stat().st_size:
        raise Stored(path).too_large(f"{size:,} bytes once unpacked")
    return sorted({info.filename for info in found})


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive; refuse one that is broken or has too many files."""
    _refuse_a_crowd(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise Refused(f"{path} is no zip archive that can be read: {error}", _REFETCH) from None


def _refuse_a_crowd(path: Path) -> None:
    """Refuse an archive whose table of contents would not fit into memory."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _COMMENT_LIMIT - 22))
        end = file.read()
    place = end.rfind(b"PK\x05\x06")
    if place >= 0 and len(end) >= place + 12:
        (count,) = struct.unpack_from("<H", end, place + 10)
        if count > MEMBERS_LIMIT:
            raise Stored(path).too_large(f"more than {MEMBERS_LIMIT:,} files in it")


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def fault_of(line: bytes) -> str | None:
    """Return why a line cannot be taken whatever is in its columns, None if it can."""
    if len(line.removesuffix(b"\n")) > LINE_LIMIT:
        return f"longer than {LINE_LIMIT:,} bytes"
    return "zero byte" if b"\0" in line else None


def unpacked_limit(packed_size: int) -> int:
    """Return how many bytes a file of this size may unpack to."""
    return min(SIZE_LIMIT, max(_RATIO_COUNTS_FROM, RATIO_LIMIT * packed_size))


def printable(text: str) -> str:
    """Return a text that a terminal can show, however it came about."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
