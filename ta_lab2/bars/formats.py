"""The layouts of price files that are known, and how a file is recognised by its header."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ta_lab2.errors import Refused

#: What is kept of a line, for whoever looks for the reason of its rejection.
RAW_LIMIT: Final = 2000
_HEADER_LIMIT: Final = 10_000
_FILE_NAME: Final = re.compile(
    r"([1-9][0-9]{0,8})_([A-Za-z0-9][A-Za-z0-9._-]*)\.csv", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Format:
    """One layout: its header, and which of its columns goes where in ``bars.price_staging``."""

    name: str
    delimiter: str
    header: tuple[str, ...]
    staged: Mapping[str, str]
    #: Whose layout it is, as ``bars.dim_sources`` names it.
    source: str = "coinmarketcap"


_EXPORT: Final = (
    "timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;timestamp"
)
_PRICES: Final = {name: name for name in ("open", "high", "low", "close", "volume")}
_EXPORT_STAGED: Final = {
    "timeOpen": "day",
    "timeHigh": "time_high",
    "timeLow": "time_low",
    # Of the currency, not of the asset, which is only in the file's name.
    "name": "quote",
    "marketCap": "market_cap",
    **_PRICES,
}

FORMATS: Final = (
    Format(
        "daily",
        ",",
        ("date", "ticker", "open", "high", "low", "close", "volume"),
        {"date": "day", "ticker": "ticker", **_PRICES},
    ),
    Format("CoinMarketCap export", ";", tuple(_EXPORT.split(";")), _EXPORT_STAGED),
    Format(
        "CoinMarketCap export with supply",
        ";",
        tuple(_EXPORT.replace("timestamp", "circulatingSupply;timestamp").split(";")),
        _EXPORT_STAGED,
    ),
)


@dataclass(frozen=True, slots=True)
class PriceFile:
    """A file whose asset and layout are known."""

    path: Path
    asset_id: int
    slug: str
    format: Format

    def columns(self) -> tuple[str, ...]:
        """Return the columns of ``bars.price_staging`` that this file fills."""
        return tuple(self.format.staged.values())

    def lines(self) -> Iterator[tuple[int, str, str | None, list[str | None]]]:
        """Yield each line: its number, its text, what is wrong with it, and its cells as text.

        A line is split on its own: a stray quote costs that line, not the rest of the file.
        """
        places = [self.format.header.index(name) for name in self.format.staged]
        width = len(self.format.header)
        with self.path.open(encoding="utf-8-sig", errors="backslashreplace", newline="\n") as file:
            next(file, None)
            for number, line in enumerate(file, start=2):
                text = line.rstrip("\r\n")
                if not text.strip():
                    continue
                fault, cells = _split(text, self.format.delimiter, width)
                yield (
                    number,
                    text[:RAW_LIMIT].replace("\0", "\\0"),
                    fault,
                    [None] * len(places) if fault else [cells[at].strip() for at in places],
                )


def _split(text: str, delimiter: str, width: int) -> tuple[str | None, list[str]]:
    """Return what is wrong with a line, and its cells."""
    if "\0" in text:
        return "zero byte", []
    try:
        cells = next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        return "quotes do not match", []
    if len(cells) != width:
        return f"{len(cells)} columns instead of {width}", []
    return None, cells


def recognise(path: Path) -> PriceFile:
    """Return a file with its asset and layout; refuse one that has none, saying what is known."""
    header = _header(path)
    named = _FILE_NAME.fullmatch(path.name)
    if named is None:
        raise Refused(
            f"{path}: the name does not say which asset it is",
            "Name it <CoinMarketCap id>_<slug>.csv, such as 1_bitcoin.csv.",
        )
    for known in FORMATS:
        if tuple(cell.strip() for cell in header.split(known.delimiter)) == known.header:
            return PriceFile(path.absolute(), int(named[1]), named[2].lower(), known)
    listed = "\n  ".join(f"{known.name}: {known.delimiter.join(known.header)}" for known in FORMATS)
    raise Refused(
        f"{path}: its first line is no header that is known: {header[:200]}",
        f"Known are\n  {listed}",
    )


def _header(path: Path) -> str:
    """Return the first line of a file, without the byte order mark and quotes."""
    if path.is_dir():
        raise Refused(f"{path} is a folder where a file is needed")
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER_LIMIT)
    except FileNotFoundError:
        raise Refused(f"{path}: there is no such file") from None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    if not start.strip():
        raise Refused(f"{path} is empty", "Fetch it again; nothing is lost by loading it twice.")
    line = start.split(b"\n")[0]
    if b"\0" in line:
        raise Refused(
            f"{path} is not a text file", "Unpack it, or save it as CSV in UTF-8, and load that."
        )
    text = line.decode("utf-8-sig", errors="backslashreplace").replace('"', "").strip()
    return "".join(letter if letter.isprintable() else "?" for letter in text)
