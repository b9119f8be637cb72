"""What a price file is: its layout by its header or shape, its asset by its name or by request."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Final

from ta_lab2.bars.formats import parquet
from ta_lab2.bars.formats.layouts import LAYOUTS, Format, Layout
from ta_lab2.bars.formats.mapping import Mapped
from ta_lab2.bars.formats.moments import UNITS, moment, unit
from ta_lab2.bars.formats.opening import LINE_LIMIT, RAW_LIMIT, Line, Stored, fault_of, printable
from ta_lab2.errors import Refused

_NAME: Final = re.compile(
    r"([1-9][0-9]{0,8})_([A-Za-z0-9][A-Za-z0-9._-]*?)(\.csv|\.csv\.gz|\.zip|\.parquet)",
    re.IGNORECASE | re.ASCII,
)
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
#: What a line may consist of that is split at its delimiters alone.
_PLAIN: Final = bytes(set(range(ord(" "), 0x7F)) - {ord('"')})
#: A midnight as pandas writes it, of a market that is not in UTC.
_LOCAL_DATE: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ]00:00:00(?!\+00:00)[+-]\d{2}:\d{2}", re.ASCII
)
#: How many lines tell whether their bars are days.
_HEAD: Final = 500
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is said about files beside their names; None: nothing."""

    asset_id: int | None = None
    slug: str | None = None
    symbol: str | None = None
    session: str | None = None
    source: str | None = None
    layout: Layout | Mapped | None = None
    #: Their candles are shorter than a day.
    intraday: bool = False

    @property
    def is_of_exchange(self) -> bool:
        """Whether they were said to be of a market that is not always open."""
        return self.session not in (None, "CRYPTO")


#: Nothing is said: the files speak for themselves.
UNSAID: Final = Wanted()


#: A line: its number, its text, what is wrong with it, and its cells of columns.
Split = tuple[int, str, str | None, list[str | None]]
#: Lines that are to be split at the delimiter: the first one's number, and their text.
Unsplit = tuple[int, str, None, None]


@dataclass(frozen=True, slots=True)
class PriceFile:
    """A file whose asset and layout are known."""

    stored: Stored
    #: What tells this version of it from a later one.
    state: tuple[int, int, int]
    format: Format
    asset_id: int
    slug: str | None
    symbol: str | None
    session: str | None
    source: str | None
    #: A time of it that is no begin or end of a UTC day, as most of its times are; None: they are.
    within: datetime | None = None
    #: How long its candles are, None where they are daily.
    resolution: timedelta | None = None

    @property
    def path(self) -> Path:
        """What it is called in tables and messages."""
        return self.stored.name

    def columns(self) -> tuple[str, ...]:
        """Return the columns of ``bars.price_staging`` that this file fills."""
        return tuple(column for _, column in self._staged())

    def header(self) -> list[str | None]:
        """Return for each column of the file the one that it fills, None if it is not read."""
        ours = dict(self._staged())
        return [ours.get(at) for at in range(len(self.format.header))]

    def lines(self) -> Iterator[Split]:
        """Yield each line: its number, its text, what is wrong with it, and its cells as text.

        A line is split on its own: a stray quote costs that line, not the rest of the file.
        """
        return self._judged(self._split())

    def staged(self) -> Iterator[Split | Unsplit]:
        """Yield the same; many lines as one text where the delimiter is enough to split them."""
        if self.stored.is_parquet():
            yield from self.lines()
            return
        places = self._places()
        for whole in self.stored.blocks():
            block = whole.after(self.format.above)
            text = self._plain(block.text)
            if text is None:
                yield from self._judged(self._split_text(block.lines(), places))
            else:
                yield block.number, text, None, None

    def days(self) -> Iterator[str | None]:
        """Yield what each line that has no fault says as its time."""
        day, at = self.columns().index("day"), self.header().index("day")
        for _, text, fault, cells in self.staged():
            if cells is not None:
                if not fault:
                    yield cells[day]
                continue
            for line in text.split("\n"):
                yield line.split(self.format.delimiter, at + 1)[at]

    def _plain(self, block: bytes) -> str | None:
        """Return the text of lines that have no quotes and the header's number of cells.

        None where more than the delimiter is to be looked at. Space around a cell is no part of it.
        """
        text = block.replace(b"\r\n", b"\n").removesuffix(b"\n")
        delimiter = self.format.delimiter.encode()
        if (
            self.format.time
            or len(text) > LINE_LIMIT
            or not text.isascii()
            or (self.format.has_local_dates and _LOCAL_DATE.search(text.decode("ascii")))
            or (b" " in text and _spaced(self.format.delimiter).search(text))
        ):
            return None
        # Left of each line are its delimiters, as many as the header's, and what is not plain.
        left = text.translate(None, _content(self.format.delimiter)) + b"\n"
        line = delimiter * (len(self.format.header) - 1) + b"\n"
        if left != line * (len(left) // len(line)):
            return None
        return text.decode("ascii")

    def _judged(self, split: Iterator[tuple[int, str, str | None, list[str]]]) -> Iterator[Split]:
        """Yield lines with what is wrong with their time, and without cells if anything is."""
        nothing: list[str | None] = [None] * len(self.columns())
        day = self.columns().index("day")
        written = UNITS.get(self.format.time or "")
        for number, text, fault, cells in split:
            kept = text[:RAW_LIMIT].replace("\0", "\\0")
            if written and not fault and not written.fullmatch(cells[day]):
                fault = f"time is not in {self.format.time}"
            if self.format.has_local_dates and not fault:
                midnight = _LOCAL_DATE.fullmatch(cells[day])
                cells[day] = midnight[1] if midnight else cells[day]
            yield number, kept, fault, nothing if fault else [*cells]

    def _staged(self) -> list[tuple[int, str]]:
        # A ticker that was asked for goes before the file's own.
        unwanted = "ticker" if self.symbol else None
        return [(at, column) for at, column in self.format.staged if column != unwanted]

    def _places(self) -> list[int]:
        return [at for at, _ in self._staged()]

    def _split(self) -> Iterator[tuple[int, str, str | None, list[str]]]:
        """Yield each line's number, its text, what is wrong with it, and its cells of columns."""
        places = self._places()
        if not self.stored.is_parquet():
            yield from self._split_text(self.stored.lines(), places)
            return
        names = [self.format.header[at] for at in places]
        for number, cells in parquet.rows(self.stored.path, names):
            text = ",".join(cells)
            yield number, text, fault_of(text.encode()), cells

    def _split_text(
        self, lines: Iterator[Line], places: Sequence[int]
    ) -> Iterator[tuple[int, str, str | None, list[str]]]:
        header = self.format.header
        for line in lines:
            if line.number <= self.format.above or not line.text.strip():
                continue
            fault, cells = _cells(line, self.format.delimiter)
            if fault is None and len(cells) != len(header):
                fault = f"{len(cells)} columns instead of {len(header)}"
            yield (
                line.number,
                line.text,
                fault,
                [] if fault else [cells[at].strip() for at in places],
            )


@cache
def _content(delimiter: str) -> bytes:
    """Return the bytes that plain cells consist of."""
    return bytes({*_PLAIN} - {*delimiter.encode()})


@cache
def _spaced(delimiter: str) -> re.Pattern[bytes]:
    """Return what finds a space at the begin or the end of a cell."""
    end = rf"(?:{re.escape(delimiter)}|\n)"
    return re.compile(rf"\A | \Z|{end} | {end}".encode())


def recognise(path: Path, wanted: Wanted = UNSAID, *, member: str = "") -> PriceFile:
    """Return a file with its asset and layout; refuse one that has none, saying what is known."""
    stored = Stored(path.absolute(), member)
    is_parquet = stored.is_parquet()
    state = stored.state()
    if is_parquet:
        parquet.verify(stored.path)
        found = _of_names(stored, wanted, parquet.header(stored.path), is_parquet=True)
    else:
        stored.verify()
        found = _of_text(stored, wanted)
    asset_id, slug = _asset(stored, wanted)
    file = PriceFile(
        stored=stored,
        state=state,
        # Of a candle that is no day, a midnight is a moment like any other.
        format=replace(found, has_local_dates=found.has_local_dates and not wanted.intraday),
        asset_id=asset_id,
        slug=slug,
        symbol=wanted.symbol,
        session=wanted.session,
        source=wanted.source
        or (found.equity_source if wanted.is_of_exchange else None)
        or found.source,
    )
    moments = _moments(file)
    if wanted.intraday:
        return replace(file, resolution=_resolution(file, moments))
    _refuse_other_bars(file, moments)
    return replace(file, within=_within(moments))


def _of_text(stored: Stored, wanted: Wanted) -> Format:
    """Return how a text file is read, from its first lines."""
    mapped = wanted.layout if isinstance(wanted.layout, Mapped) else None
    above = mapped.skip if mapped else 0
    head = list(islice(stored.lines(), above, above + 2))
    if not head or not head[0].text.strip():
        raise Refused(f"{stored.name}: its first line is empty", "A header is expected there.")
    if any(line.fault == "zero byte" for line in head[:1]):
        raise Refused(
            f"{stored.name} is not a text file",
            "Unpack it, or save it as CSV in UTF-8, and load that.",
        )
    if mapped:
        names = _cells(head[0], mapped.delimiter)[1]
        return mapped.match(stored.name, [name.strip() for name in names])
    for layout in _layouts(wanted):
        for above, line in enumerate(head if layout.has_remark else head[:1], start=1):
            names = [name.strip() for name in _cells(line, layout.delimiter)[1]]
            found = layout.match(names, above=above)
            if above == 1 and found is None and _is_candle(names):
                found = layout.match_bare(names)
            if found:
                return found
    raise _unknown(stored, wanted, [line.text for line in head])


def _of_names(stored: Stored, wanted: Wanted, names: Sequence[str], *, is_parquet: bool) -> Format:
    """Return how a file is read whose columns have names and no order."""
    if isinstance(wanted.layout, Mapped):
        return wanted.layout.match(stored.name, names)
    for layout in _layouts(wanted):
        found = layout.match(names, above=0, ordered=not is_parquet)
        if found:
            return found
    raise _unknown(stored, wanted, [",".join(names)])


def _layouts(wanted: Wanted) -> Sequence[Layout]:
    return [wanted.layout] if isinstance(wanted.layout, Layout) else LAYOUTS


def _unknown(stored: Stored, wanted: Wanted, lines: Sequence[str]) -> Refused:
    """Return the error for a file without a known header: what it lacks, and what is known."""
    layouts = _layouts(wanted)
    first = printable(lines[0])
    if "\r" in lines[0].rstrip("\r"):
        return Refused(
            f"{stored.name}: its lines end in CR alone",
            "Save it with lines that end in LF or CRLF.",
        )
    near = [_otherwise_split(layout, lines[0]) for layout in layouts]
    if not any(near):
        near = [
            _compared(layout, [printable(line) for line in lines[: 1 + layout.has_remark]])
            for layout in layouts
        ]
    hint = "--format and --mapping say how a file is read. Known are\n  " + "\n  ".join(
        f"{layout.name}: {layout.headers[0]}" for layout in layouts
    )
    hint = "".join(f"{line}. " for line in near if line) + hint
    return Refused(f"{stored.name}: its first line is no header that is known: {first[:200]}", hint)


def _otherwise_split(layout: Layout, first: str) -> str | None:
    """Return with what a layout's header is split that another delimiter would make it, or None."""
    for delimiter, name in ((",", ","), (";", ";"), ("\t", "\\t"), ("|", "|")):
        names = [name.strip(' "') for name in first.split(delimiter)]
        if delimiter != layout.delimiter and layout.match(names, above=0):
            return (
                f"It is {layout.name} but for its delimiter: a --mapping with"
                f' delimiter = "{name}" reads it, if its numbers have a decimal point'
            )
    return None


def _compared(layout: Layout, lines: Sequence[str]) -> str | None:
    """Return what a header lacks to be a layout's, None if that is far from it."""
    missing, spare = min(
        (
            layout.differs([name.strip(' "') for name in line.split(layout.delimiter)])
            for line in lines
        ),
        key=lambda pair: len(pair[0]) + len(pair[1]),
    )
    if len(missing) + len(spare) > 2:
        return None
    differences = [f"lacks {name or 'a first column'}" for name in missing]
    differences += [f"has {name or 'a nameless column'} too many" for name in spare]
    return f"For {layout.name} it {' and '.join(differences) or 'has another order'}"


def _cells(line: Line, delimiter: str) -> tuple[str | None, list[str]]:
    """Return what is wrong with a line, and its cells."""
    if line.fault:
        return line.fault, []
    try:
        return None, next(csv.reader([line.text], delimiter=delimiter, strict=True))
    except csv.Error:
        return "quotes do not match", []


def _is_candle(cells: Sequence[str]) -> bool:
    """Return whether cells are a time since 1970 and numbers."""
    times = [unit(cell) for cell in cells[:1]]
    return times not in ([], [None], ["date"]) and all(map(_NUMBER.fullmatch, cells[1:]))


def _asset(stored: Stored, wanted: Wanted) -> tuple[int, str | None]:
    """Return the asset's id and slug, from what was said or from the file's name."""
    names = [Path(stored.member).name, stored.path.name] if stored.member else [stored.path.name]
    named = next(filter(None, map(_NAME.fullmatch, names)), None)
    if wanted.asset_id is None and named is None:
        raise Refused(
            f"{stored.name}: the name does not say which asset it is",
            "Say --asset-id, or name it <CoinMarketCap id>_<slug>.csv, such as 1_bitcoin.csv.",
        )
    if named is None:
        assert wanted.asset_id is not None
        return wanted.asset_id, wanted.slug
    if wanted.asset_id not in (None, int(named[1])):
        raise Refused(
            f"{stored.name}: its name says asset {named[1]}, --asset-id says {wanted.asset_id}",
            "Rename the file, or leave --asset-id away.",
        )
    return int(named[1]), wanted.slug or named[2].lower()


def _moments(file: PriceFile) -> list[datetime]:
    """Return the different times of a file's first lines, in order."""
    return sorted({at for text in islice(file.days(), _HEAD) if text and (at := moment(text))})


def _refuse_other_bars(file: PriceFile, moments: Sequence[datetime]) -> None:
    """Refuse a file whose bars are shorter or longer than a day."""
    bars = _shared(moments) or _of_weeks_or_months(moments)
    if bars:
        raise Refused(
            f"{file.path}: {bars}; only daily candles are loaded",
            "Fetch the daily candles of the same market."
            + (" --intraday loads shorter ones." if _shared(moments) else ""),
        )


def _resolution(file: PriceFile, moments: Sequence[datetime]) -> timedelta:
    """Return how long a file's candles are: how far most of them begin after each other."""
    steps = Counter(later - earlier for earlier, later in pairwise(moments))
    if not steps:
        raise Refused(
            f"{file.path}: it has too few times to tell how long its candles are",
            "Two candles that follow each other are needed.",
        )
    step = steps.most_common(1)[0][0]
    if step > _HOUR or _HOUR % step:
        raise Refused(
            f"{file.path}: its candles begin {step} after each other",
            "Intraday candles have a length that divides the hour; daily ones are loaded without"
            " --intraday.",
        )
    return step


def _shared(moments: Sequence[datetime]) -> str | None:
    """Return which day shows that there are several bars a day, None if nothing does."""
    days = Counter(at.date() for at in moments)
    shared = [at for at in moments if days[at.date()] > 1]
    if not moments or 2 * len(shared) <= len(moments):
        return None
    first, second = shared[:2]
    return f"its bars are intraday: {first:%Y-%m-%d} has {first:%H:%M:%S} and {second:%H:%M:%S}"


def _within(moments: Sequence[datetime]) -> datetime | None:
    """Return a time that shows that bars are no UTC days, None if most of them are."""
    within = [at for at in moments if (at.hour, at.minute, at.second) not in _ENDS]
    return within[0] if within and 2 * len(within) >= len(moments) else None


_ENDS: Final = ((0, 0, 0), (23, 59, 59))


def _of_weeks_or_months(moments: Sequence[datetime]) -> str | None:
    """Return what shows that bars are longer than a day, None if nothing does."""
    days = sorted({at.date() for at in moments})
    if len(days) < 5:
        return None
    if all((later - earlier).days % 7 == 0 for earlier, later in pairwise(days)):
        return "its bars are weeks: all begin on the same day of the week"
    if all(day.day == days[0].day for day in days):
        return "its bars are months: all begin on the same day of the month"
    return None
