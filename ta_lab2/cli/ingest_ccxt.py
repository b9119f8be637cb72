"""``ta-lab2 ingest ccxt``: candles of an exchange into the database."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final

import psycopg
import typer

from ta_lab2.bars import exchange, feed, queries
from ta_lab2.cli import console
from ta_lab2.counted import counted
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused

_SHOWN_REJECTS: Final = 5
_TIMEFRAMES: Final = ("1d", "1h", "30m", "15m", "5m", "3m", "1m")


def ccxt(
    name: Annotated[
        str, typer.Argument(metavar="EXCHANGE", help="As ccxt names it, such as binance.")
    ],
    symbol: Annotated[
        str, typer.Argument(metavar="SYMBOL", help="A spot market, such as BTC/USDT.")
    ],
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="Where the history is to begin; else as early as there is one."
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Read all of it again, to see what was revised."),
    ] = False,
    asset_id: Annotated[
        int | None,
        typer.Option(
            min=1, max=999_999_999, metavar="ID", help="CoinMarketCap's id; once for a new asset."
        ),
    ] = None,
    slug: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of a new asset, such as bitcoin.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A row of dim_sources, instead of the exchange's."),
    ] = None,
    extend: Annotated[
        bool,
        typer.Option("--extend", help="Store sessions that the asset's own source does not have."),
    ] = False,
    switch: Annotated[
        bool, typer.Option("--switch", help="Make this the source of the asset from now on.")
    ] = False,
    timeframe: Annotated[
        str,
        typer.Option(
            metavar="LENGTH", help="How long a candle is: 1d, or 1h, 30m, 15m, 5m, 3m, 1m."
        ),
    ] = "1d",
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Another address of the exchange: a gateway, a mirror, a testnet."
        ),
    ] = None,
) -> None:
    """Load candles of an exchange, daily ones by default. No account or key is needed.

    Goes on where the last run ended, also after Ctrl-C: every answer is a transaction. A file that
    is called ccxt is loaded as ./ccxt.
    """
    if extend and switch:
        raise Refused(
            "--extend and --switch exclude each other",
            "--extend keeps the asset's own source, --switch gives it another.",
        )
    begin = _moment(since)
    exchange.require()
    if timeframe not in _TIMEFRAMES:
        raise Refused(
            f"candles of {timeframe} are not kept", f"Take one of {', '.join(_TIMEFRAMES)}."
        )
    market = exchange.Market(name, symbol, timeframe=timeframe, url=url, say=console.say)
    try:
        with psycopg.connect(
            app_conninfo(), autocommit=True, application_name="ta-lab2 ingest ccxt"
        ) as conn:
            now = queries.now(conn)
            if begin is not None and begin > now:
                raise Refused(f"--since {since} lies in the future")
            market.open()
            now = queries.now(conn)
            feed.check_clocks(market, now)
            _load(
                conn,
                market,
                feed.target(conn, market, asset_id, slug),
                begin,
                now,
                source=source or market.exchange,
                again=again,
                extend=extend,
                switch=switch,
            )
    finally:
        market.close()


def _load(
    conn: psycopg.Connection,
    market: exchange.Market,
    to: feed.Target,
    begin: datetime | None,
    now: datetime,
    *,
    source: str,
    again: bool,
    extend: bool,
    switch: bool,
) -> None:
    """Load what the exchange gives, and say what became of it, also when it ends early."""
    feed.check_unit(conn, source)
    if not switch:
        feed.check_market(conn, market, to.asset_id, source)
    if market.quote != "USD":
        console.say(f"{market.name}: its prices in {market.quote} are taken as US dollars")
    stored = None if again else feed.stored_from(conn, market, to.asset_id, source)
    resolution = feed.resolution_of(market)
    if resolution and stored is None and begin is None:
        raise Refused(
            f"a whole history of {market.timeframe} candles would be millions",
            "Say by --since where it is to begin.",
        )
    shown = "%Y-%m-%d %H:%M" if resolution else "%Y-%m-%d"
    if stored is not None:
        console.say(f"{market.name}: stored to {stored.last:{shown}}, reading on from there")
    done: list[feed.Loaded] = []
    try:
        for candles in feed.answers(market, stored, begin, now):
            loaded = feed.load(
                conn, market, to, candles, source=source, extend=extend, switch=switch
            )
            if stored is None and not done and loaded.first:
                console.say(f"{market.name}: its history begins on {loaded.first:{shown}}")
            done.append(loaded)
            _say(market, source, loaded, shown)
    finally:
        if done:
            _sum_up(market, to, done, shown)
    if any(each.counts.other_source for each in done):
        own = queries.source(conn, to.asset_id, resolution)
        console.say(
            f"{market.name}: the asset's candles come from {own}, these are {source}'s;"
            " --extend stores new sessions, --switch makes this the source"
        )
    if not done:
        raise Refused(
            f"{market.name}: the exchange has no candle"
            + (f" from {begin:%Y-%m-%d} on" if begin else ""),
            "Perhaps trading ended or has not begun; an earlier --since may find some.",
        )


def _say(market: exchange.Market, source: str, loaded: feed.Loaded, shown: str) -> None:
    """Print how far it is."""
    if loaded.made_source:
        console.say(f"{source} is a new row of dim_sources: its volumes count units of the asset")
    if loaded.last:
        console.say(
            f"{market.name}: to {loaded.last:{shown}},"
            f" {counted(loaded.counts.loaded, 'candle')} loaded"
        )


def _sum_up(market: exchange.Market, to: feed.Target, done: list[feed.Loaded], shown: str) -> None:
    """Print what became of all candles, why some were rejected, and how to take it back."""
    names = ("loaded", "unchanged", "revised", "rejected", "forming", "other_source")
    sums = {name: sum(getattr(each.counts, name) for each in done) for name in names}
    console.out.print(
        f"{market.name}, asset {to.asset_id} {to.slug}: "
        + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in sums.items()),
        markup=False,
    )
    rejects = [each for loaded in done for each in loaded.rejects]
    for start, reason in rejects[:_SHOWN_REJECTS]:
        day = f"{start:{shown}}" if start else "without a date"
        console.say(f"{market.name} {day}: {reason}")
    if len(rejects) > _SHOWN_REJECTS:
        console.say("the others: select * from price_rejects")
    wrote = [each.load for each in done if each.counts.loaded or each.counts.revised]
    if len(wrote) == 1:
        console.say(f"to take it back: ta-lab2 ingest --undo {wrote[0]}")
    elif wrote:
        console.say(
            "to take it back: ta-lab2 ingest --undo LOAD, for each LOAD of"
            f" {market.file} in the table loads, the last first"
        )


def _moment(since: str | None) -> datetime | None:
    """Return the begin of a day that was typed."""
    if since is None:
        return None
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", since):
            raise ValueError
        day = date.fromisoformat(since)
    except ValueError:
        raise Refused(f"--since {since} is no date", "Write it as 2020-01-31.") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
