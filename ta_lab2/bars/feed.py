"""From an exchange to candles: what to ask for, and a load for each answer.

What is stored of a source has no end that a killed run could leave open: new candles come oldest
first, older history comes newest first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4
from zlib import crc32

from psycopg import Connection

from ta_lab2.bars import queries
from ta_lab2.bars.exchange import CELLS, Candle, Market
from ta_lab2.bars.queries import Counts, Stored
from ta_lab2.errors import Refused

#: Before this nobody traded in public.
BEGINNING: Final = datetime(2010, 1, 1, tzinfo=UTC)
#: So many of the stored candles are read again, so that a revised one is seen.
REREAD: Final = 5
DAY: Final = timedelta(days=1)
#: Exchange and database may differ by this much about the time.
SKEW: Final = timedelta(seconds=60)
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Target:
    """The asset that a market's candles are stored for."""

    asset_id: int
    slug: str
    #: Not yet known, or named by its slug alone.
    takes_symbol: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """One answer that is in: what became of its candles, and when its first and last begin."""

    load: UUID
    counts: Counts
    first: datetime | None
    last: datetime | None
    #: When the candle began, None when that cannot be read; and why it is not loaded.
    rejects: tuple[tuple[datetime | None, str], ...]
    made_source: bool


def resolution_of(market: Market) -> timedelta | None:
    """Return how long a market's candles are, None where they are daily."""
    return market.step if market.step < DAY else None


def stored_from(conn: Connection, market: Market, asset_id: int, source: str) -> Stored | None:
    """Return what is stored of a market's candles, None when nothing is."""
    if resolution := resolution_of(market):
        return queries.stored_intraday(conn, asset_id, source, resolution=resolution, reread=REREAD)
    return queries.stored_from(conn, asset_id, source, step=market.step, reread=REREAD)


def check_clocks(market: Market, now: datetime) -> None:
    """Refuse when exchange and database differ about the time: which candle forms depends on it."""
    at = market.clock()
    if at is not None and abs(at - now) > SKEW:
        raise Refused(
            f"{market.exchange} says it is {at:%Y-%m-%d %H:%M:%S} UTC,"
            f" the database says {now.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            "A forming candle could pass for a whole one. Set the clock of the database's machine.",
        )


def target(conn: Connection, market: Market, asset_id: int | None, slug: str | None) -> Target:
    """Return the asset that is meant; refuse to guess."""
    if asset_id is None:
        asset_id = _known(conn, market)
    found = queries.assets(conn, asset_id)
    if not found:
        if slug is None:
            raise Refused(
                f"there is no asset {asset_id} yet, so it needs a name",
                "Name it as CoinMarketCap does, such as --slug bitcoin for 1.",
            )
        if not _SLUG.fullmatch(slug):
            raise Refused(
                f"{slug} is no slug", "Small letters, digits, dots and dashes, such as bitcoin."
            )
        return Target(asset_id, slug, takes_symbol=True)
    asset = found[0]
    if slug is not None and slug != asset.slug:
        raise Refused(
            f"asset {asset_id} is {asset.slug}, not {slug}",
            "Correct --asset-id or --slug; `ta-lab2 assets list` lists the assets.",
        )
    return Target(asset_id, asset.slug, takes_symbol=asset.symbol == asset.slug)


def check_market(conn: Connection, market: Market, asset_id: int, source: str) -> None:
    """Refuse candles of another market than the last ones: each would replace the other's."""
    before = queries.last_file(
        conn, asset_id, source, like="ccxt:%", resolution=resolution_of(market)
    )
    if before not in {None, market.file}:
        raise Refused(
            f"asset {asset_id} has candles of {before}, this is {market.file}",
            "--switch replaces them by this market's.",
        )


def check_unit(conn: Connection, source: str) -> None:
    """Refuse a source whose volumes count something else than an exchange's."""
    if queries.volume_unit(conn, source) == "quote":
        raise Refused(
            f"the volumes of {source} count US dollars, an exchange's count units of the asset",
            "Name another --source, or correct volume_unit in dim_sources.",
        )


def answers(
    market: Market, stored: Stored | None, since: datetime | None, now: datetime
) -> Iterator[list[Candle]]:
    """Yield what is not stored, an answer of the exchange at a time, and the last candles again."""
    if stored is None:
        yield from _forwards(market, since or BEGINNING, now)
        return
    if since is not None and since < stored.first:
        yield from _backwards(market, since, stored.first)
    yield from _forwards(market, stored.again, now)


def load(
    conn: Connection,
    market: Market,
    to: Target,
    candles: list[Candle],
    *,
    source: str,
    extend: bool = False,
    switch: bool = False,
) -> Loaded:
    """Load one answer in one transaction: all of it is in, or nothing."""
    number, lines = uuid4(), _lines(market, candles)
    columns = ("day", "ticker", *CELLS) if to.takes_symbol else ("day", *CELLS)
    ticker = (market.base,) if to.takes_symbol else ()
    empty = (None,) * len(columns)
    with conn.transaction():
        made = source == market.exchange and queries.add_source(
            conn, source, unit="base", description=f"The exchange {source}: trades there, by ccxt."
        )
        queries.stage(
            conn,
            number,
            columns,
            (
                (
                    line,
                    each.raw,
                    each.fault,
                    empty
                    if each.start is None
                    else (f"{each.start:%Y-%m-%dT%H:%M:%SZ}", *ticker, *each.cells),
                )
                for line, each in lines.items()
            ),
        )
        counts = queries.load_staged(
            conn,
            number,
            file=market.file,
            asset_id=to.asset_id,
            slug=to.slug,
            columns=columns,
            source=source,
            sha256=None,
            extend=extend,
            switch=switch,
            resolution=resolution_of(market),
        )
        rejects = (
            queries.reasons(conn, market.file, {line: each.raw for line, each in lines.items()})
            if counts.rejected
            else []
        )
    starts = [each.start for each in candles if each.start is not None]
    return Loaded(
        number,
        counts,
        min(starts, default=None),
        max(starts, default=None),
        tuple((lines[each.line].start, each.reason) for each in rejects),
        made,
    )


def _known(conn: Connection, market: Market) -> int:
    """Return the asset of the market's earlier loads, else the only one with its ticker."""
    for found in (
        queries.assets_loaded_from(conn, market.file),
        queries.assets_called(conn, market.base),
    ):
        if len(found) == 1:
            return found[0][0]
        if found:
            listed = " or ".join(f"{number} ({slug})" for number, slug in found)
            raise Refused(f"{market.name} could be asset {listed}", "Say which by --asset-id.")
    raise Refused(
        f"no asset is called {market.base}",
        "Say which it is by --asset-id and --slug, as CoinMarketCap numbers and names it,"
        " such as --asset-id 1 --slug bitcoin.",
    )


def _forwards(market: Market, begin: datetime, end: datetime) -> Iterator[list[Candle]]:
    """Yield the candles that begin from one moment to another, an answer at a time."""
    seen: set[datetime] = set()
    while begin <= end:
        given = market.candles(begin)
        starts = [each.start for each in given if each.start]
        # What begins after now forms: the clocks may differ by seconds at midnight. What begins
        # much later is wrong, and for the database to reject, once.
        candles = [
            each
            for each in given
            if each.start is None
            or each.start <= end
            or (each.start > end + market.step and each.start not in seen)
        ]
        if candles:
            yield candles
        seen.update(starts)
        begin = max(
            (start + market.step for start in starts if start <= end),
            # Some say nothing about a time before the first candle, others go on with the first.
            default=begin + market.window,
        )


def _backwards(market: Market, begin: datetime, end: datetime) -> Iterator[list[Candle]]:
    """Yield the candles before those that are stored, newest first, a window at a time."""
    first = [each.start for each in market.candles(begin, limit=1) if each.start]
    begin = max([begin, *first[:1]])
    while end > begin:
        start = max(begin, end - market.window)
        window = [
            each
            for candles in _forwards(market, start, end - market.step)
            for each in candles
            if each.start is None or each.start < end
        ]
        if window:
            yield window
        end = start


def _lines(market: Market, candles: list[Candle]) -> dict[int, Candle]:
    """Number candles by their time, so that one that is rejected again has the same number.

    A second one of the same time, or one without, gets a number below 0 that its text gives.
    """
    lines: dict[int, Candle] = {}
    for each in candles:
        number = -1 if each.start is None else market.number(each.start)
        if number < 0 or number in lines:
            number = -1 - (crc32(each.raw.encode()) >> 1)
        while number in lines:
            number += 1
        lines[number] = each
    return lines
