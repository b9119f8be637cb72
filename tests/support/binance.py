"""A server on 127.0.0.1 that speaks Binance's public REST: markets, daily and hourly candles.

``startTime``, ``limit``, errors, weights of requests and ``Retry-After`` are as Binance documents
them; the last candle is the one that forms.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

DAY = 86_400_000
HOUR = 3_600_000
EPOCH = date(1970, 1, 1)
RESTRICTED = (
    '{"code":0,"msg":"Service unavailable from a restricted location according to'
    " 'b. Eligibility' in our terms.\"}"
)


def milliseconds(day: date) -> int:
    """The begin of a day as Binance writes it."""
    return (day - EPOCH).days * DAY


class Binance:
    """What the server knows, what it is to do wrong, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.candles: dict[int, object] = {}
        self.hours: dict[int, object] = {}
        self.symbols = [symbol("BTC", "USDT"), symbol("ETH", "USDT"), symbol("ETH", "BTC")]
        #: The most candles of one answer.
        self.most = 1000
        #: Answers to the next requests for candles in place of the right ones; None: the right.
        self.next: deque[tuple[int, dict[str, str], str] | None] = deque()
        #: An answer to everything.
        self.always: tuple[int, dict[str, str], str] | None = None
        self.clock_is_off = timedelta()
        self.asked: list[tuple[float, str, dict[str, str]]] = []
        #: Called with the number of each request for candles, before it is answered.
        self.before_answer: Callable[[int], None] = lambda number: None
        self.lock = threading.Lock()

    def trade(self, first: date, last: date) -> None:
        """Make candles for these days."""
        for number in range((last - first).days + 1):
            self.set(first + timedelta(days=number))

    def trade_hours(self, first: date, count: int) -> None:
        """Make candles of so many hours."""
        for number in range(count):
            self.set_hour(milliseconds(first) + number * HOUR)

    def set_hour(self, start: int) -> None:
        """Make an hour's candle, always the same."""
        self.hours[start] = self._candle(start, HOUR)

    def set(self, day: date) -> None:
        """Make a day's candle, always the same."""
        start = milliseconds(day)
        self.candles[start] = self._candle(start, DAY)

    def _candle(self, start: int, length: int) -> object:
        price = 100 + (start // length * 7919) % 1000
        return [
            start,
            f"{price}.10000000",
            f"{price + 9}.12345678",
            f"{price - 9}.00000001",
            f"{price + 3}.50000000",
            "1234.56789012",
            start + length - 1,
            "55490906.12345678",
            40,
            "10.92900000",
            "0.27336462",
            "0",
        ]

    def starts(self) -> list[str | None]:
        """The startTime of every request for candles."""
        return [
            None if "startTime" not in given else day_of(given["startTime"])
            for _, path, given in self.asked
            if path.endswith("/klines")
        ]

    def answer(self, path: str, given: dict[str, str]) -> tuple[int, dict[str, str], str]:
        """The answer to one request: status, headers, body."""
        with self.lock:
            self.asked.append((time.time(), path, given))
            if path.endswith("/klines"):
                self.before_answer(len(self.starts()))
            if self.always:
                return self.always
            if path == "/api/v3/exchangeInfo":
                return 200, {}, json.dumps({"timezone": "UTC", "symbols": self.symbols})
            if path != "/api/v3/klines":
                return 404, {}, "<html>not found</html>"
            wrong = self.next.popleft() if self.next else None
            if wrong:
                return wrong
            if given["symbol"] not in {each["symbol"] for each in self.symbols}:
                return 400, {}, '{"code":-1121,"msg":"Invalid symbol."}'
            limit = min(int(given.get("limit", 500)), self.most, 1000)
            since = int(given.get("startTime", 0))
            candles = self.hours if given.get("interval") == "1h" else self.candles
            starts = [start for start in sorted(candles) if start >= since]
            some = starts[:limit] if since else starts[-limit:]
            return 200, {}, json.dumps([candles[start] for start in some])


def symbol(base: str, quote: str) -> dict[str, object]:
    """A market as Binance lists it."""
    return {
        "symbol": base + quote,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01",
                "maxPrice": "1000000",
                "tickSize": "0.01",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": "0.00001",
                "maxQty": "9000",
                "stepSize": "0.00001",
            },
        ],
        "permissions": ["SPOT"],
    }


def day_of(text: str) -> str:
    """The day of a moment in milliseconds."""
    return datetime.fromtimestamp(int(text) / 1000, UTC).date().isoformat()


@contextmanager
def serving() -> Iterator[Binance]:
    """Yield a running server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, headers, body = binance.answer(parts.path, dict(parse_qsl(parts.query)))
            sent = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json;charset=UTF-8")
            self.send_header("Content-Length", str(len(sent)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        def date_time_string(self, timestamp: float | None = None) -> str:
            at = time.time() + binance.clock_is_off.total_seconds()
            return super().date_time_string(at)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that was killed is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        binance = Binance(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield binance
        finally:
            server.shutdown()
            thread.join()
