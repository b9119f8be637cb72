"""One market of an exchange, against a server that speaks Binance's protocol."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import ccxt
import pytest

from ta_lab2.bars import exchange
from ta_lab2.bars.errors import ExchangeFails
from ta_lab2.bars.exchange import ATTEMPTS, Market
from ta_lab2.errors import Refused
from tests.support import binance

FIRST = date(2020, 1, 1)
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
BUSY = '{"code":-1003,"msg":"Too much request weight used."}'


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with binance.serving() as server:
        server.trade(FIRST, FIRST + timedelta(days=29))
        yield server


@pytest.fixture
def pauses(monkeypatch):
    """Let no time pass, and return how long each pause would have been."""
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture
def market(server, pauses):
    market = Market("binance", "BTC/USDT", url=server.url, say=lambda line: None)
    market.open()
    yield market
    market.close()


def put(server, **by_day):
    """Put something in the place of a day's candle."""
    for day, candle in by_day.items():
        server.candles[binance.milliseconds(date(2020, 1, int(day[1:])))] = candle


def test_numbers_are_the_text_that_was_sent(market, server):
    numbers = '"0.10000000",0.30000000000000004441,1e-7,1E+2,7'
    start = binance.milliseconds(FIRST)
    server.next.append((200, {}, f"[[{start},{numbers},0]]"))
    (candle,) = market.candles(BEGIN)
    assert candle.start == BEGIN
    assert candle.cells == ("0.10000000", "0.30000000000000004441", "1e-7", "1E+2", "7")
    assert candle.fault is None


def test_an_answer_begins_where_it_was_asked_to_and_has_its_limit(market, server):
    candles = market.candles(BEGIN + timedelta(days=3), limit=4)
    assert [each.start.day for each in candles] == [4, 5, 6, 7]
    assert server.starts() == ["2020-01-04"]
    assert market.at_once == 1000
    assert market.window == timedelta(days=1000)


def test_what_is_no_candle_is_kept_with_its_text(market, server):
    put(server, d2="garbage", d3=["soon", "1", "2", "3", "4", "5"], d4={"a": "\ud800\0"}, d5=[])
    put(server, d6=[10**30, "1", "2", "3", "4", "5"])
    candles = market.candles(BEGIN, limit=7)
    assert [each.start and each.start.day for each in candles] == [1, 7, *[None] * 5]
    assert [each.raw for each in candles[2:6]] == [
        '"garbage"',
        '["soon","1","2","3","4","5"]',
        '{"a":"\\ud800\\u0000"}',
        "[]",
    ]
    assert {each.fault for each in candles[2:]} == {"candle unreadable"}


def test_a_cell_that_is_no_number_stays_what_it_is_and_can_be_stored(market, server):
    start = binance.milliseconds(FIRST)
    put(server, d1=[start, "x", None, "\0", "\ud800", float("nan")])
    (candle,) = market.candles(BEGIN, limit=1)
    assert candle.cells == ("x", "", "\\0", "\\ud800", "NaN")
    candle.raw.encode()


def test_a_candle_between_two_sessions_is_at_fault_and_many_are_refused(market, server):
    row = list(server.candles[binance.milliseconds(FIRST)])
    put(server, d1=[row[0] + 3_600_000, *row[1:]])
    late, good = market.candles(BEGIN, limit=2)
    assert late.fault == "begins at 01:00:00 UTC, between two sessions"
    assert good.fault is None
    with pytest.raises(Refused, match=r"begins at 01:00:00 UTC"):
        market.candles(BEGIN, limit=1)


def test_it_waits_as_long_as_it_is_asked_to_and_longer_each_time_otherwise(market, server, pauses):
    server.next.extend(
        [
            (429, {"Retry-After": "7"}, BUSY),
            (503, {}, "<html>"),
            (418, {}, BUSY),
            (200, {}, "<html>maintenance</html>"),
        ]
    )
    pauses.clear()
    assert len(market.candles(BEGIN)) == 30
    assert [each for each in pauses if each >= 1] == [7, 2, 4, 8]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((503, {}, "<html>"), "binance is not working: HTTP 503"),
        ((429, {}, BUSY), "binance takes no more requests for now: HTTP 429"),
        ((200, {}, ""), "no JSON: ''"),
        ((200, {}, '[["'), "no JSON"),
        ((200, {}, "null"), "no JSON: 'null'"),
    ],
)
def test_it_gives_up_after_a_few_times(market, server, pauses, answer, said):
    server.next.extend([answer] * 20)
    pauses.clear()
    with pytest.raises(ExchangeFails, match=said):
        market.candles(BEGIN)
    assert len(server.starts()) == ATTEMPTS
    assert [each for each in pauses if each >= 1] == [1, 2, 4, 8, 16]


def test_no_answer_at_all_is_tried_a_few_times_too(market, server, pauses, monkeypatch):
    tried = []

    def gone(*_, **__):
        tried.append(1)
        raise ccxt.RequestTimeout("binance GET")

    monkeypatch.setattr(market._api, "fetch_ohlcv", gone)
    with pytest.raises(ExchangeFails, match="binance does not answer: no answer in time"):
        market.candles(BEGIN)
    assert len(tried) == ATTEMPTS


def test_a_server_that_is_not_there_is_one_sentence(pauses, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with binance.serving() as gone:
        url = gone.url
    market = Market("binance", "BTC/USDT", url=url, say=lambda line: None)
    with pytest.raises(ExchangeFails, match=r"binance does not answer: .*Connection refused"):
        market.open()
    market.close()


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ((451, {}, binance.RESTRICTED), Refused, "does not serve this machine's address: HTTP 451"),
        ((403, {}, "<html>"), Refused, "does not serve this machine's address: HTTP 403"),
        ((401, {}, "x"), Refused, "refuses the request: HTTP 401"),
        ((400, {}, '{"code":-1100,"msg":"Illegal"}'), Refused, "refuses the request: HTTP 400"),
        ((200, {}, '{"code":-1121,"msg":"Invalid symbol."}'), Refused, "Invalid symbol"),
        ((418, {"Retry-After": "259200"}, BUSY), ExchangeFails, "takes no more requests"),
    ],
)
def test_what_a_repetition_cannot_mend_is_not_repeated(market, server, answer, error, said):
    server.next.extend([answer] * 20)
    with pytest.raises(error, match=said) as raised:
        market.candles(BEGIN)
    assert len(server.starts()) == 1
    assert raised.value.hint


def test_requests_keep_their_distance_by_the_exchanges_limit(server, monkeypatch):
    now_ns = time.time_ns()

    def sleep(seconds):
        nonlocal now_ns
        now_ns += int(seconds * 1e9)

    # A clock that only the pauses move, for exchange and client alike.
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "time", lambda: now_ns / 1e9)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    market = Market("binance", "BTC/USDT", url=server.url, say=lambda line: None)
    market.open()
    for _ in range(5):
        market.candles(BEGIN)
    market.close()
    times = [at for at, path, _ in server.asked if path.endswith("/klines")]
    api = ccxt.binance()
    # ccxt counts whole milliseconds.
    least = api.rateLimit * api.api["public"]["get"]["klines"]["cost"] / 1000 - 0.002
    assert least > 0.01
    assert len(times) == 5
    assert all(later - earlier >= least for earlier, later in pairwise(times))


def test_only_the_spot_markets_are_asked_for(market, server):
    assert [path for _, path, _ in server.asked] == ["/api/v3/exchangeInfo"]


@pytest.mark.parametrize("symbol", ["btc/usdt", "BTC/USDT"])
def test_a_market_is_found_however_it_is_written(server, pauses, symbol):
    market = Market("Binance", symbol, url=server.url + "/", say=lambda line: None)
    market.open()
    assert (market.name, market.base, market.quote) == ("binance BTC/USDT", "BTC", "USDT")
    assert market.file == f"ccxt:binance:BTC/USDT via {server.url}"
    market.close()


def test_without_an_address_the_file_names_exchange_and_market():
    market = Market("kraken", "BTC/USD", say=lambda line: None)
    assert market.file == "ccxt:kraken:BTC/USD"
    market.close()


def test_every_address_is_turned_and_keeps_its_path():
    market = Market("kraken", "BTC/USD", url="https://gate.example:8443/x/", say=print)
    urls = market._api.urls["api"]
    assert urls["public"] == "https://gate.example:8443/x"
    market.close()
    market = Market("binance", "BTC/USD", url="http://gate.example/x", say=print)
    assert market._api.urls["api"]["public"] == "http://gate.example/x/api/v3"
    assert {url.split("/")[2] for url in market._api.urls["api"].values()} == {"gate.example"}
    market.close()


@pytest.mark.parametrize(
    ("symbol", "said", "hint"),
    [
        ("BTCUSDT", "has no market BTCUSDT", "BTC/USDT"),
        ("BTC/USDX", "has no market BTC/USDX", "BTC/USDT"),
        ("x", "has no market x", "BASE/QUOTE"),
        ("", "has no market", "BASE/QUOTE"),
        ("BTC/USDT:USDT", "has no market BTC/USDT:USDT", "BTC/USDT"),
        ("ETH/BTC", "priced in BTC", "USDT"),
    ],
)
def test_another_market_is_refused_with_what_may_be_meant(server, pauses, symbol, said, hint):
    market = Market("binance", symbol, url=server.url, say=lambda line: None)
    with pytest.raises(Refused, match=said) as raised:
        market.open()
    assert hint in raised.value.hint
    market.close()


def test_an_unknown_exchange_is_refused_with_what_may_be_meant():
    with pytest.raises(Refused, match="ccxt knows no exchange binanc") as raised:
        Market("binanc", "BTC/USDT", say=print)
    assert "binance" in raised.value.hint
    with pytest.raises(Refused) as raised:
        Market("__init__", "BTC/USDT", say=print)
    assert "kraken" in raised.value.hint


def test_an_exchange_without_daily_candles_is_refused():
    without = next(
        name
        for name in ccxt.exchanges
        if not (api := getattr(ccxt, name)()).has["fetchOHLCV"] or "1d" not in api.timeframes
    )
    with pytest.raises(Refused, match=f"{without} publishes no candles of 1d"):
        Market(without, "BTC/USDT", say=print)


@pytest.mark.parametrize("body", ["", "<html>log in</html>", "[]", '{"symbols":[]}', "7"])
def test_what_is_no_exchange_is_told_so(server, pauses, body):
    server.always = (200, {}, body)
    market = Market("binance", "BTC/USDT", url=server.url, say=lambda line: None)
    with pytest.raises(
        ExchangeFails, match=r"binance (answers, but lists no market|gave an answer)"
    ):
        market.open()
    market.close()


@pytest.mark.parametrize(
    "url", ["127.0.0.1", "ftp://x", "http://", "http://x?y=1", "file:///etc/passwd"]
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(Refused, match="is no address of a server"):
        Market("binance", "BTC/USDT", url=url, say=print)


def test_an_address_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(Refused, match="name or password") as raised:
        Market("binance", "BTC/USDT", url="http://me:secret@x", say=print)
    assert "secret" not in str(raised.value)


def test_the_exchanges_clock_is_read_from_its_answer(market, server):
    server.clock_is_off = timedelta(hours=3)
    market.candles(BEGIN)
    ahead = market.clock() - datetime.now(UTC)
    assert timedelta(hours=2, minutes=59) < ahead < timedelta(hours=3, minutes=1)


def test_without_ccxt_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(exchange, "find_spec", lambda name: None)
    with pytest.raises(Refused, match="ccxt, which is not installed") as raised:
        exchange.require()
    assert "ta-lab2[exchanges]" in raised.value.hint
