"""The candles of one market of an exchange, by the library ccxt and public addresses alone.

ccxt comes with the extra ``exchanges`` and is large, so it is imported when an exchange is asked
and by nothing else. It keeps the exchange's rate limit, and numbers stay the text that was sent.
Requests are repeated here and nowhere else: ccxt's own repetition is off, and requests has none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlsplit

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential

from ta_lab2.bars.errors import ExchangeFails
from ta_lab2.bars.formats import RAW_LIMIT
from ta_lab2.errors import Refused

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: The order of a candle's cells, as ``bars.price_staging`` names them.
CELLS: Final = ("open", "high", "low", "close", "volume")
#: Prices in these are taken as US dollars.
DOLLARS: Final = (
    "USD",
    *("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDP", "PYUSD", "GUSD", "RLUSD"),
    *("USD1", "USDE", "USDS", "USDD", "DAI"),
)
ATTEMPTS: Final = 6
#: An exchange that asks for a longer pause than this is not waited for.
LONGEST_PAUSE: Final = 120
#: So many candles are asked for where ccxt does not know how many an exchange gives at once.
_AT_ONCE: Final = 100
_PASSING: Final = {408, 409, 418, 425, 429}
_SAID: Final = 200


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle as it was sent: its begin, its cells, and what is wrong with it."""

    start: datetime | None
    raw: str
    cells: tuple[str, ...]
    fault: str | None = None


def require() -> None:
    """Refuse, before any work is done, when ccxt is not installed."""
    if find_spec("ccxt") is None:
        raise Refused(
            "exchanges need ccxt, which is not installed",
            "Run `pip install 'ta-lab2[exchanges]'`.",
        )


class Market:
    """One spot market: made without asking anybody, ``open()`` asks the exchange for it."""

    def __init__(
        self,
        exchange: str,
        symbol: str,
        *,
        timeframe: str = "1d",
        url: str | None = None,
        say: Callable[[str], None],
    ) -> None:
        import ccxt

        self.exchange = exchange.lower()
        if self.exchange not in ccxt.exchanges:
            raise Refused(
                f"ccxt knows no exchange {exchange}",
                _meant(self.exchange, ccxt.exchanges) or f"It knows {', '.join(ccxt.exchanges)}.",
            )
        # Whether a proxy and whose certificates are used is the environment's, as everywhere.
        self._api: Any = getattr(ccxt, self.exchange)(
            {"enableRateLimit": True, "requests_trust_env": True}
        )
        self._say = say
        self._is_read = False
        self._unreadable: list[str] = []
        #: The text of each candle, which ccxt hands on as the same list.
        self._raw: dict[int, tuple[list[Any], str]] = {}
        self.symbol, self.timeframe = symbol, timeframe
        self.base = self.quote = ""
        self.via = _turn(self._api.urls, url) if url else ""
        # "emulated" would be made of single trades.
        if self._api.has["fetchOHLCV"] is not True or timeframe not in (self._api.timeframes or {}):
            raise Refused(
                f"{self.exchange} publishes no candles of {timeframe}",
                "Take the asset from another exchange.",
            )
        self.step = timedelta(seconds=self._api.parse_timeframe(timeframe))
        self.at_once = _AT_ONCE

    @property
    def name(self) -> str:
        """What the market is called in messages."""
        return f"{self.exchange} {self.symbol}"

    @property
    def file(self) -> str:
        """What stands in ``bars.loads`` and ``bars.price_rejects`` for the file."""
        return f"ccxt:{self.exchange}:{self.symbol}" + (f" via {self.via}" if self.via else "")

    @property
    def window(self) -> timedelta:
        """How much time one answer covers."""
        return self.step * self.at_once

    def open(self) -> None:
        """Ask the exchange for its markets and find this one; refuse what is no spot market."""
        kinds = self._api.options.get("fetchMarkets")
        # Where ccxt can leave out the other kinds, that saves requests.
        if isinstance(kinds, dict) and isinstance(kinds.get("types"), list):
            kinds["types"] = [each for each in kinds["types"] if each == "spot"] or kinds["types"]
        markets: dict[str, Any] = self._ask(self._api.load_markets)
        if not markets:
            raise ExchangeFails(
                f"{self.exchange} answers, but lists no market",
                "Try again later; --url may lead to something that is no exchange.",
            )
        spot = {symbol: market for symbol, market in markets.items() if market.get("spot")}
        by_id = {str(market["id"]): symbol for symbol, market in spot.items()}
        symbol = self.symbol if self.symbol in markets else self.symbol.upper()
        if symbol not in markets:
            raise Refused(
                f"{self.exchange} has no market {self.symbol}",
                _meant(symbol, [by_id[symbol]] if symbol in by_id else list(spot))
                or "Markets are named BASE/QUOTE, such as BTC/USDT.",
            )
        market = markets[symbol]
        if symbol not in spot:
            raise Refused(
                f"{self.exchange} {symbol} is no spot market but a {market.get('type')}",
                "Its volume may count contracts: name the spot market, such as BTC/USDT.",
            )
        self.symbol, self.base, self.quote = symbol, market["base"], market["quote"]
        if self.quote not in DOLLARS:
            raise Refused(
                f"{self.name} is priced in {self.quote}; prices here are in US dollars",
                f"Take a market against one of {', '.join(DOLLARS)}.",
            )
        self.at_once = self._api.feature_value(symbol, "fetchOHLCV", "limit") or _AT_ONCE
        self._keep_text()

    def clock(self) -> datetime | None:
        """Return what the exchange's last answer says the time is, if it says so."""
        headers = self._api.last_response_headers or {}
        try:
            at = parsedate_to_datetime(headers["Date"]).astimezone(UTC)
            return at + timedelta(seconds=int(headers.get("Age", 0)))
        except (KeyError, TypeError, ValueError):
            return None

    def candles(self, since: datetime, limit: int | None = None) -> list[Candle]:
        """Return one answer: the candles from a moment on, oldest first, the unreadable last."""
        milliseconds = (since - EPOCH) // timedelta(milliseconds=1)
        # ccxt takes 0 for "not given".
        given = self._ask(self._fetch, max(milliseconds, 1), limit or self.at_once)
        candles = [self._candle(each) for each in given if each[0]]
        if candles and all(each.fault for each in candles):
            raise Refused(
                f"{self.name}: its candle {candles[0].fault}",
                "Its sessions are not those of UTC: take the asset from another exchange.",
            )
        return candles + [
            Candle(None, raw[:RAW_LIMIT], (), "candle unreadable") for raw in self._unreadable
        ]

    def number(self, start: datetime) -> int:
        """Return how many candles could have begun since 1970."""
        return (start - EPOCH) // self.step

    def close(self) -> None:
        """Close the connections to the exchange."""
        self._api.close()

    def _keep_text(self) -> None:
        """Let numbers stay the text that was sent, and see every candle before ccxt drops it."""
        self._api.number = str
        self._api.on_json_response = self._read
        parse = self._api.parse_ohlcv

        def parse_ohlcv(sent: object, market: object = None) -> list[Any]:
            raw = json.dumps(sent, separators=(",", ":"))
            try:
                parsed = parse(sent, market)
            except Exception:
                parsed = None
            if isinstance(parsed, list) and len(parsed) > len(CELLS) and _moment(parsed[0]):
                self._raw[id(parsed)] = parsed, raw
                return parsed
            self._unreadable.append(raw)
            return [0] * (1 + len(CELLS))

        self._api.parse_ohlcv = parse_ohlcv

    def _candle(self, parsed: list[Any]) -> Candle:
        start = _moment(parsed[0])
        assert start is not None
        _, raw = self._raw.get(id(parsed), (parsed, json.dumps(parsed)))
        return Candle(
            start,
            raw[:RAW_LIMIT],
            tuple(
                "" if cell is None else _storable(str(cell)) for cell in parsed[1 : 1 + len(CELLS)]
            ),
            f"begins at {start:%H:%M:%S} UTC, between two sessions"
            if (start - EPOCH) % self.step
            else None,
        )

    def _fetch(self, since: int, limit: int) -> list[list[Any]]:
        import ccxt

        self._unreadable.clear()
        self._raw.clear()
        self._is_read = False
        given: list[list[Any]] = self._api.fetch_ohlcv(self.symbol, self.timeframe, since, limit)
        if not self._is_read:
            # ccxt would take each letter of another text for a candle.
            raise ccxt.BadResponse(f"no JSON: {self._api.last_http_response!r}")
        return given

    def _read(self, body: str) -> Any:
        """Return JSON with its fractions as the text that they are."""
        read = json.loads(body, parse_float=str, parse_constant=str)
        self._is_read = True
        return read

    def _ask(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Ask the exchange, and again after a pause while that can help."""
        import ccxt

        try:
            return Retrying(
                retry=retry_if_exception(_passes),
                wait=_pause,
                stop=stop_after_attempt(ATTEMPTS),
                before_sleep=self._say_pause,
                reraise=True,
            )(function, *arguments)
        except ccxt.BaseError as error:
            raise self._sentence(error) from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ExchangeFails(
                f"{self.exchange} gave an answer that ccxt cannot read:"
                f" {type(error).__name__}: {error}",
                "Try again later; a newer ccxt may know more.",
            ) from error

    def _say_pause(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        assert state.next_action is not None
        error = state.outcome.exception()
        assert error is not None
        self._say(
            f"{self.exchange}: {_reason(error)}; asking again in"
            f" {state.next_action.sleep:.0f} s ({state.attempt_number} of {ATTEMPTS - 1})"
        )

    def _sentence(self, error: BaseException) -> Refused | ExchangeFails:
        """Return what happened, and what to do about it."""
        import ccxt

        status, reason = _status(error), _reason(error)
        if status in {403, 451} or isinstance(error, ccxt.RestrictedLocation):
            return Refused(
                f"{self.exchange} does not serve this machine's address: {reason}",
                "Exchanges shut out countries and data centres. Take another exchange, or name"
                " an address of this one that you may use with --url.",
            )
        if isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection):
            asked = _retry_after(error)
            return ExchangeFails(
                f"{self.exchange} takes no more requests for now: {reason}",
                f"It asks to wait {asked:,} s." if asked else "Wait some minutes.",
            )
        if isinstance(error, ccxt.NetworkError) and status is None:
            return ExchangeFails(
                f"{self.exchange} does not answer: {reason}",
                "Check the network (HTTPS_PROXY names a proxy), then run the same command again.",
            )
        if _is_passing(error):
            return ExchangeFails(
                f"{self.exchange} is not working: {reason}",
                "Run the same command again later: what was loaded stays.",
            )
        return Refused(
            f"{self.exchange} refuses the request: {reason}",
            "Its own documentation says what this means.",
        )


def _turn(urls: dict[str, Any], url: str) -> str:
    """Lead all of an exchange's addresses to another server; return how that one is called."""
    to = urlsplit(url)
    if to.scheme not in {"http", "https"} or not to.hostname or to.query or to.fragment:
        raise Refused(f"{url} is no address of a server", "It begins with http:// or https://.")
    if to.username is not None:
        raise Refused("--url holds a name or password", "Only public addresses are asked.")
    path = to.path.rstrip("/")

    def turned(value: object) -> object:
        if isinstance(value, dict):
            return {key: turned(each) for key, each in value.items()}
        if not isinstance(value, str):
            return value
        own = urlsplit(value)
        return own._replace(scheme=to.scheme, netloc=to.netloc, path=path + own.path).geturl()

    urls["api"] = turned(urls["api"])
    return f"{to.scheme}://{to.netloc}{path}"


def _moment(milliseconds: object) -> datetime | None:
    """Return the moment that an exchange means, None when it is none."""
    if not isinstance(milliseconds, int) or milliseconds <= 0:
        return None
    try:
        return EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def _storable(cell: str) -> str:
    """Return a cell that PostgreSQL takes, whatever the exchange sent in place of a number."""
    return cell.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _meant(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=3, cutoff=0.6)
    return f"Perhaps {' or '.join(close)} is meant." if close else ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, then what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _answer(error: BaseException) -> Any:
    """Return the HTTP answer that an error is about, None when there was none."""
    found = (getattr(each, "response", None) for each in _chain(error))
    return next((each for each in found if each is not None), None)


def _status(error: BaseException) -> int | None:
    answer = _answer(error)
    return None if answer is None else int(answer.status_code)


def _retry_after(error: BaseException) -> int | None:
    """Return how many seconds an exchange asks to wait, None when it does not say."""
    answer = _answer(error)
    asked = "" if answer is None else str(answer.headers.get("Retry-After", "")).strip()
    return int(asked) if asked.isdecimal() and len(asked) < 10 else None


def _reason(error: BaseException) -> str:
    """Return what went wrong, in one line."""
    answer = _answer(error)
    if answer is None:
        import ccxt

        if isinstance(error, ccxt.RequestTimeout):
            return "no answer in time"
        # The innermost knows best: ccxt repeats the request, requests its connection pool.
        said = str(list(_chain(error))[-1])
    else:
        said = f"HTTP {answer.status_code} {answer.reason} {answer.text}"
    line = " ".join("".join(each if each.isprintable() else " " for each in said).split())
    return line if len(line) <= _SAID else f"{line[:_SAID]}..."


def _is_passing(error: BaseException) -> bool:
    """Return whether the same request may succeed later."""
    import ccxt

    if not isinstance(error, ccxt.BaseError):
        return False
    status = _status(error)
    if status is None:
        return isinstance(error, ccxt.OperationFailed)
    return status >= 500 or status in _PASSING


def _passes(error: BaseException) -> bool:
    """Return whether the same request may succeed after a pause that can be waited for."""
    return _is_passing(error) and (_retry_after(error) or 0) <= LONGEST_PAUSE


def _pause(state: RetryCallState) -> float:
    """Return how long to wait: as the exchange asks, else 1, 2, 4, 8, 16 seconds."""
    assert state.outcome is not None
    error = state.outcome.exception()
    asked = None if error is None else _retry_after(error)
    return float(asked) if asked is not None else wait_exponential(max=60)(state)
