"""The layouts of price files that are known: their headers, and which column is which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

#: Ends a header after which any columns may follow.
_MORE: Final = "..."


@dataclass(frozen=True, slots=True)
class Format:
    """How the lines of one file are read."""

    name: str
    title: str
    delimiter: str
    header: tuple[str, ...]
    #: Places of the header that are read, and their columns of ``bars.price_staging``.
    staged: tuple[tuple[int, str], ...]
    #: Lines above the first one of prices.
    above: int
    source: str | None
    #: Its source where the asset trades in an exchange's session.
    equity_source: str | None = None
    #: A time with an offset from UTC is a midnight of the exchange's, and means its date there.
    has_local_dates: bool = False
    #: The unit that its times must have, see ``moments.UNITS``; None: whichever they show.
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """One way in which prices are written down."""

    #: What ``--format`` calls it.
    name: str
    title: str
    #: Its headers; a ``*`` stands for any letters, ``...`` for any further columns.
    headers: tuple[str, ...]
    #: Which of the header's columns goes where in ``bars.price_staging``.
    staged: Mapping[str, str]
    #: Whose prices they are, as ``bars.dim_sources`` names it; None: that must be said.
    source: str | None
    equity_source: str | None = None
    delimiter: str = ","
    #: A header in capitals is meant too.
    any_case: bool = False
    #: Its times may be midnights of an exchange, with their offset from UTC.
    has_local_dates: bool = False
    #: The first line may be a remark.
    has_remark: bool = False
    #: The header of files that have none, by their number of columns.
    bare: Mapping[int, str] = field(default_factory=dict)

    def match(self, names: Sequence[str], *, above: int, ordered: bool = True) -> Format | None:
        """Return how a file with these columns is read, None if it is no such file."""
        found = [name.lower() for name in names] if self.any_case else list(names)
        for header in self.headers:
            wanted = header.split(self.delimiter)
            places = _places(wanted, found, ordered=ordered)
            if places is not None:
                return self._format(wanted, places, tuple(names), above)
        return None

    def match_bare(self, cells: Sequence[str]) -> Format | None:
        """Return how a file without a header is read whose first line has these cells."""
        header = self.bare.get(len(cells))
        if header is None:
            return None
        names = header.split(self.delimiter)
        return self._format(names, range(len(names)), tuple(names), 0)

    def differs(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return what these names lack for the header that is nearest, and which are too many."""
        found = [name.lower() for name in names] if self.any_case else list(names)

        def difference(header: str) -> tuple[list[str], list[str]]:
            wanted = header.split(self.delimiter)
            cells = [name for name in wanted if name != _MORE]
            missing = [cell for cell in cells if not any(fnmatchcase(name, cell) for name in found)]
            spare = [name for name in found if not any(fnmatchcase(name, cell) for cell in cells)]
            return missing, [] if _MORE in wanted else spare

        return min(map(difference, self.headers), key=lambda pair: len(pair[0]) + len(pair[1]))

    def _format(
        self, wanted: Sequence[str], places: Sequence[int], names: tuple[str, ...], above: int
    ) -> Format:
        columns: dict[str, int] = {}
        for name, place in zip(wanted, places, strict=False):
            # Of two volumes the first one counts units of the asset.
            if name in self.staged:
                columns.setdefault(self.staged[name], place)
        return Format(
            name=self.name,
            title=self.title,
            delimiter=self.delimiter,
            header=names,
            staged=tuple((place, column) for column, place in columns.items()),
            above=above,
            source=self.source,
            equity_source=self.equity_source,
            has_local_dates=self.has_local_dates,
        )


def _places(wanted: list[str], found: list[str], *, ordered: bool) -> list[int] | None:
    """Return where each wanted column stands, None if one is missing or one too many."""
    open_end = wanted[-1] == _MORE
    cells = wanted[:-1] if open_end else wanted
    if len(found) < len(cells) or (len(found) > len(cells) and not open_end):
        return None
    if ordered:
        fits = all(map(fnmatchcase, found, cells))
        return list(range(len(cells))) if fits else None
    places: list[int] = []
    for cell in cells:
        fitting = (
            at for at, name in enumerate(found) if at not in places and fnmatchcase(name, cell)
        )
        place = next(fitting, None)
        if place is None:
            return None
        places.append(place)
    return places


_PRICES: Final = {name: name for name in ("open", "high", "low", "close", "volume")}
_CAPITALS: Final = {name.capitalize(): name for name in _PRICES}
_EXPORT: Final = (
    "timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;timestamp"
)
_KLINES: Final = "open,high,low,close,volume"
_TAKERS: Final = "taker_buy_volume,taker_buy_quote_volume,ignore"
_DOWNLOAD: Final = "date,symbol,open,high,low,close,volume *,volume *usd*,..."

LAYOUTS: Final = (
    Layout(
        "cmc-export",
        "CoinMarketCap's export",
        (_EXPORT, _EXPORT.replace("timestamp", "circulatingSupply;timestamp")),
        {
            "timeOpen": "day",
            "timeHigh": "time_high",
            "timeLow": "time_low",
            # Of the currency, not of the asset, which is only in the file's name.
            "name": "quote",
            "marketCap": "market_cap",
            **_PRICES,
        },
        "coinmarketcap",
        delimiter=";",
    ),
    Layout(
        "cmc-daily",
        "CoinMarketCap's prices, comma separated",
        ("date,ticker,open,high,low,close,volume",),
        {"date": "day", "ticker": "ticker", **_PRICES},
        "coinmarketcap",
    ),
    Layout(
        "cmc-marketcap",
        "CoinMarketCap's prices with market capitalisation",
        ("SNo,Name,Symbol,Date,High,Low,Open,Close,Volume,Marketcap",),
        {"Date": "day", "Symbol": "ticker", "Marketcap": "market_cap", **_CAPITALS},
        "coinmarketcap",
    ),
    Layout(
        "ohlc-mit",
        "prices without volume, whose day ends about 22:00 UTC",
        ("ticker,date,open,high,low,close",),
        {"date": "day", "ticker": "ticker", **_PRICES},
        "ohlc_mit",
    ),
    Layout(
        "equity",
        "prices of an equity, with row numbers",
        (",date,open,high,low,close,volume",),
        {"date": "day", **_PRICES},
        "equity",
    ),
    Layout(
        "binance",
        "Binance's klines",
        (
            f"open_time,{_KLINES},close_time,quote_volume,count,{_TAKERS}",
            f"open_time,{_KLINES},close_time,quote_asset_volume,number_of_trades,*,*,*",
            f"open time,{_KLINES},close time,quote asset volume,number of trades,*,*,*",
        ),
        {"open_time": "day", "open time": "day", **_PRICES},
        "binance",
        any_case=True,
        bare={12: f"open_time,{_KLINES},close_time,quote_volume,count,{_TAKERS}"},
    ),
    Layout(
        "cryptodatadownload",
        "CryptoDataDownload, pairs with the dollar",
        # Where there are two times, the date is not always in UTC.
        (f"unix*,{_DOWNLOAD}", _DOWNLOAD),
        {"unix*": "day", "date": "day", "volume *": "volume", **_PRICES},
        "cryptodatadownload",
        any_case=True,
        has_remark=True,
    ),
    Layout(
        "kraken",
        "Kraken's OHLCVT",
        (
            "time,open,high,low,close,volume,trades",
            "time,open,high,low,close,vwap,volume,count",
        ),
        {"time": "day", **_PRICES},
        "kraken",
        bare={
            7: "time,open,high,low,close,volume,trades",
            8: "time,open,high,low,close,vwap,volume,count",
        },
    ),
    Layout(
        "yahoo",
        "Yahoo Finance; what is adjusted for dividends is not stored",
        (
            "Date,Open,High,Low,Close,Adj Close,Volume",
            "Date,Open,High,Low,Close,Volume",
            "Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits",
            "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits",
        ),
        {"Date": "day", **_CAPITALS},
        "yahoo",
        equity_source="yahoo_equity",
        has_local_dates=True,
    ),
    Layout(
        "plain",
        "date, prices, volume",
        tuple(
            f"{when},open,high,low,close{volume}"
            for when in ("date", "day", "time", "timestamp", "datetime")
            for volume in (",volume", "")
        ),
        {
            **dict.fromkeys(("date", "day", "time", "timestamp", "datetime"), "day"),
            **_PRICES,
        },
        None,
    ),
)
