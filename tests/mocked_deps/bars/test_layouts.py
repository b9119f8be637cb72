"""Every layout that is known: which file is which, and which column goes where."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow
import pyarrow.parquet
import pytest

from ta_lab2.bars import formats, ingest
from ta_lab2.bars.formats import Wanted, mapping, opening
from ta_lab2.errors import Refused
from tests.support import prices

KLINE = "1577836800000,1,3,0.5,2,10,1577923199999,20,7,5,10,0"
BINANCE = "open_time,open,high,low,close,volume,close_time,quote_volume,count,a,b,ignore"
CANDLE = {"open": "1", "high": "3", "low": "0.5", "close": "2"}

FILES = {
    "binance": [
        [KLINE],
        [KLINE.replace("1577836800000", "1577836800000000")],
        [BINANCE.replace("a,b", "taker_buy_volume,taker_buy_quote_volume"), KLINE],
        [
            "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,"
            "Taker buy base asset volume,Taker buy quote asset volume,Ignore",
            KLINE,
        ],
    ],
    "kraken": [
        ["1577836800,1,3,0.5,2,10,7"],
        ["1577836800,1,3,0.5,2,1.5,10,7"],
    ],
    "cryptodatadownload": [
        [
            "Timestamps are UTC timezone,https://www.CryptoDataDownload.com",
            "Unix Timestamp,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD",
            "1577836800.0,2019-12-31,BTCUSD,1,3,0.5,2,10,20",
        ],
        [
            "https://www.CryptoDataDownload.com",
            "unix,date,symbol,open,high,low,close,Volume ETH,Volume USDT,tradecount",
            "1577836800000,2020-01-01 00:00:00,ETH/USDT,1,3,0.5,2,10,20,7",
        ],
        [
            "Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD",
            "2020-01-01,BTCUSD,1,3,0.5,2,10,20",
        ],
    ],
    "yahoo": [
        ["Date,Open,High,Low,Close,Adj Close,Volume", "2020-01-01,1,3,0.5,2,1.9,10"],
        ["Date,Open,High,Low,Close,Volume", "2020-01-01,1,3,0.5,2,10"],
        [
            "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits",
            "2020-01-01 00:00:00+00:00,1,3,0.5,2,10,0,0",
        ],
    ],
    "cmc-marketcap": [
        [
            "SNo,Name,Symbol,Date,High,Low,Open,Close,Volume,Marketcap",
            "1,Bitcoin,BTC,2020-01-01 23:59:59,3,0.5,1,2,10,99",
        ],
    ],
    "equity": [[",date,open,high,low,close,volume", "0,2020-01-01,1,3,0.5,2,10"]],
    "plain": [["timestamp,open,high,low,close,volume", "2020-01-01T00:00:00Z,1,3,0.5,2,10"]],
}


def first(file):
    _, _, fault, cells = next(file.lines())
    return fault or dict(zip(file.columns(), cells, strict=True))


@pytest.mark.parametrize(
    ("name", "lines"), [(name, lines) for name, files in FILES.items() for lines in files]
)
def test_a_dump_is_known_by_its_header_or_shape(tmp_path, name, lines):
    file = formats.recognise(prices.write(tmp_path, "1_bitcoin.csv", lines))
    assert file.format.name == name
    candle = first(file)
    assert {column: candle[column] for column in CANDLE} == CANDLE
    assert candle["volume"] == "10"
    (preview,) = [ingest.preview(file)]
    assert (preview.first_day, preview.lines, preview.faulty) == ("2020-01-01", 1, 0)


def test_prices_without_volume_are_a_source_of_their_own(tmp_path):
    lines = ["ticker,date,open,high,low,close", "BTC,2020-01-01,1,3,0.5,2"]
    file = formats.recognise(prices.write(tmp_path, "1_bitcoin.csv", lines, end="\r\n"))
    assert (file.format.name, file.source) == ("ohlc-mit", "ohlc_mit")
    assert first(file) == {"day": "2020-01-01", "ticker": "BTC", **CANDLE}


def test_a_pair_that_is_not_priced_in_dollars_is_not_taken(tmp_path):
    lines = [
        "Unix,Date,Symbol,Open,High,Low,Close,Volume ETH,Volume BTC",
        "1577836800,2020-01-01,ETH/BTC,1,3,0.5,2,10,20",
    ]
    with pytest.raises(Refused, match="no header that is known"):
        formats.recognise(prices.write(tmp_path, "1027_ethereum.csv", lines))


@pytest.mark.parametrize(
    ("first_line", "lacking"),
    [
        ("date,ticker,open,high,low,close", "For cmc-daily it lacks volume"),
        ("Date,Open,High,Low,Volume", "For yahoo it lacks Close"),
        ("date,close", "Known are"),
    ],
)
def test_a_header_without_a_column_says_which(tmp_path, first_line, lacking):
    with pytest.raises(Refused) as refused:
        formats.recognise(prices.write(tmp_path, "1_bitcoin.csv", [first_line, "x"]))
    assert lacking in refused.value.hint


@pytest.mark.parametrize(
    ("first_line", "delimiter", "name"),
    [
        ("date;ticker;open;high;low;close;volume", '";"', "cmc-daily"),
        ("Date\tOpen\tHigh\tLow\tClose\tVolume", '"\\t"', "yahoo"),
        (prices.EXPORT.replace(";", ","), '","', "cmc-export"),
    ],
)
def test_a_header_with_another_delimiter_says_how_it_is_read(tmp_path, first_line, delimiter, name):
    with pytest.raises(Refused) as refused:
        formats.recognise(prices.write(tmp_path, "1_bitcoin.csv", [first_line, "x"]))
    assert f"It is {name} but for its delimiter" in refused.value.hint
    assert f"delimiter = {delimiter}" in refused.value.hint
    assert " it lacks " not in refused.value.hint


def test_a_header_below_a_remark_says_what_it_lacks(tmp_path):
    header = "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume EUR,tradecount"
    lines = ["https://www.CryptoDataDownload.com", header, "x"]
    with pytest.raises(Refused) as refused:
        formats.recognise(prices.write(tmp_path, "1_bitcoin.csv", lines))
    assert "For cryptodatadownload it lacks volume *usd*" in refused.value.hint


def test_lines_that_end_in_cr_alone_are_named(tmp_path):
    lines = ["date,ticker,open,high,low,close,volume", "2020-01-01,BTC,1,3,0.5,2,10"]
    with pytest.raises(Refused, match="end in CR alone"):
        formats.recognise(prices.write(tmp_path, "1_bitcoin.csv", lines, end="\r"))


@pytest.mark.parametrize(
    "line",
    ["1,2,3,4,5,6,7", "20200101,1,3,0.5,2,10,7", "1577836800,1,3,0.5,x,10,7", "0,1,2,3,4,5,6"],
)
def test_numbers_that_begin_with_no_time_are_not_taken_for_a_dump(tmp_path, line):
    with pytest.raises(Refused, match="no header that is known"):
        formats.recognise(prices.write(tmp_path, "1_bitcoin.csv", [line]))


def test_the_format_that_is_said_is_the_only_one_tried(tmp_path):
    path = prices.write(tmp_path, "1_bitcoin.csv", ["Date,Open,High,Low,Close,Volume"])
    assert formats.recognise(path, Wanted(layout=ingest.layout("yahoo"))).format.name == "yahoo"
    with pytest.raises(Refused) as refused:
        formats.recognise(path, Wanted(layout=ingest.layout("binance")))
    assert "yahoo" not in refused.value.hint
    with pytest.raises(Refused, match="no format excel"):
        ingest.layout("excel")


@pytest.mark.parametrize(
    ("session", "source"), [(None, "yahoo"), ("CRYPTO", "yahoo"), ("EQUITY", "yahoo_equity")]
)
def test_yahoo_counts_dollars_or_shares(tmp_path, session, source):
    path = prices.write(tmp_path, "1_a.csv", ["Date,Open,High,Low,Close,Volume"])
    assert formats.recognise(path, Wanted(session=session)).source == source
    assert formats.recognise(path, Wanted(session=session, source="other")).source == "other"


# Which asset


def test_what_is_said_about_the_asset_goes_before_the_name(tmp_path):
    path = prices.daily(tmp_path, "2020-01-01,XBT,1,3,0.5,2,10", name="BTCUSD.csv")
    with pytest.raises(Refused, match="which asset"):
        formats.recognise(path)
    file = formats.recognise(path, Wanted(asset_id=1, slug="bitcoin", symbol="BTC"))
    assert (file.asset_id, file.slug, file.symbol) == (1, "bitcoin", "BTC")
    assert "ticker" not in file.columns()


def test_a_name_that_says_another_asset_is_refused(tmp_path):
    path = prices.daily(tmp_path)
    assert formats.recognise(path, Wanted(asset_id=1)).slug == "bitcoin"
    with pytest.raises(Refused, match="says asset 1, --asset-id says 2"):
        formats.recognise(path, Wanted(asset_id=2))


# Other bars than days


def stamps(*texts):
    return ["timestamp,open,high,low,close", *(f"{text},1,3,0.5,2" for text in texts)]


HOURS = [f"2020-01-0{day} {hour:02}:00:00" for day in (1, 2) for hour in range(24)]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (HOURS, "intraday: 2020-01-01 has 00:00:00 and 01:00:00"),
        (reversed(HOURS), "intraday"),
        ([f"2020-01-0{day} {hour}:00" for day in (1, 2) for hour in ("00", "12")], "intraday"),
        ([str(1577836800 + 300 * step) for step in range(20)], "intraday"),
        ([f"2020-01-{day:02}" for day in (6, 13, 20, 27)] + ["2020-02-03"], "weeks"),
        ([f"2020-{month:02}-01" for month in range(1, 6)], "months"),
    ],
)
def test_bars_that_are_no_days_are_refused(tmp_path, texts, said):
    path = prices.write(tmp_path, "1_bitcoin.csv", stamps(*texts))
    with pytest.raises(Refused, match="only daily candles") as refused:
        formats.recognise(path)
    assert said in refused.value.what


@pytest.mark.parametrize(
    ("texts", "within"),
    [
        (["2020-01-01 17:05:00", "2020-01-02 17:05"], dt.datetime(2020, 1, 1, 17, 5)),
        (["2020-01-01 23:00", "2020-01-02 00:00"], dt.datetime(2020, 1, 1, 23)),
        (["2020-01-01 17:05", "2020-01-02", "2020-01-03T23:59:59.999Z"], None),
        ([], None),
    ],
)
def test_days_that_are_no_utc_days_are_noticed(tmp_path, texts, within):
    file = formats.recognise(prices.write(tmp_path, "1_spy.csv", stamps(*texts)))
    assert file.within == (within and within.replace(tzinfo=dt.UTC))


@pytest.mark.parametrize(
    "texts",
    [
        ["2020-01-01 23:59:59", "2020-01-02 23:59:59.999"],
        [f"2020-01-{day:02}" for day in range(1, 29)] + ["2020-01-28 17:05"],
        ["2020-01-01"] * 5,
        ["2020-01-01", "2020-01-08", "2020-01-15"],
        ["x", ""],
        [],
    ],
)
def test_days_are_not_taken_for_other_bars(tmp_path, texts):
    formats.recognise(prices.write(tmp_path, "1_bitcoin.csv", stamps(*texts)))


# A layout of the user's own

GERMAN = """
delimiter = ";"
skip = 1
time = "s"
source = "kraken"
[columns]
Zeit = "day"
"Eröffnung" = "open"
Hoch = "high"
Tief = "low"
Schluss = "close"
Menge = "volume"
"""
NUMBERED = 'header = false\n[columns]\n2="day"\n3="open"\n4="high"\n5="low"\n6="close"\n'


def mapped(tmp_path, text):
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    return Wanted(layout=mapping.read(path))


def test_a_mapping_says_what_is_where(tmp_path):
    lines = ["Kurse", "Zeit;Eröffnung;Hoch;Tief;Schluss;Menge;Rest"]
    lines += ["1577836800;1;3;0.5;2;10;x", "1577836800000;1;3;0.5;2;10;x"]
    path = prices.write(tmp_path, "1_bitcoin.csv", lines)
    file = formats.recognise(path, mapped(tmp_path, GERMAN))
    rows = list(file.lines())
    assert (file.source, file.format.name) == ("kraken", "mapping.toml")
    assert [(number, fault) for number, _, fault, _ in rows] == [(3, None), (4, "time is not in s")]
    assert first(file) == {"day": "1577836800", **CANDLE, "volume": "10"}


def test_a_mapping_numbers_the_columns_of_a_file_without_a_header(tmp_path):
    path = prices.write(tmp_path, "1_bitcoin.csv", ["BTC,2020-01-01,1,3,0.5,2"])
    assert first(formats.recognise(path, mapped(tmp_path, NUMBERED))) == {
        "day": "2020-01-01",
        **CANDLE,
    }


def test_a_column_that_the_file_does_not_have_is_named(tmp_path):
    path = prices.write(tmp_path, "1_bitcoin.csv", ["Kurse", "Zeit,Hoch"])
    with pytest.raises(Refused, match="has no column Zeit") as refused:
        formats.recognise(path, mapped(tmp_path, GERMAN))
    assert "It has Zeit,Hoch" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "is no TOML"),
        ("", r"no table \[columns\]"),
        ("columns = 3", r"no table \[columns\]"),
        ("[columns]\na='day'", "does not say which column is open"),
        ("[columns]\na='days'", "a = 'days' is not known"),
        ("[columns]\na=['day']", r"a = \['day'\] is not known"),
        ("[columns]\na='day'\nb='day'", "day is given twice"),
        ("separator=','\n" + NUMBERED, "separator is not known"),
        ("delimiter=';;'\n" + NUMBERED, "one character"),
        ("delimiter=3\n" + NUMBERED, "delimiter has to be a text"),
        ("skip=true\n" + NUMBERED, "skip has to be a whole number"),
        ("skip=-1\n" + NUMBERED, "skip is the number of lines"),
        ("time='ns'\n" + NUMBERED, "time is not known: ns"),
        (NUMBERED.replace("2=", "two="), "called by their number"),
    ],
)
def test_a_mapping_that_does_not_fit_together_is_refused(tmp_path, text, said):
    with pytest.raises(Refused, match=said):
        mapped(tmp_path, text)


def test_a_mapping_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Refused, match=r"none\.toml cannot be read"):
        mapping.read(tmp_path / "none.toml")


# Parquet


def parquet(folder, name="1_bitcoin.parquet", **columns):
    path = folder / name
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def test_parquet_is_known_by_the_same_headers_in_any_order(tmp_path):
    path = parquet(
        tmp_path,
        close=pyarrow.array([Decimal("2.000000001")], pyarrow.decimal128(20, 9)),
        low=pyarrow.array([0.1], pyarrow.float64()),
        open=pyarrow.array([1], pyarrow.int32()),
        high=["3"],
        volume=pyarrow.array([None], pyarrow.float64()),
        ticker=pyarrow.array(["BTC"]).dictionary_encode(),
        date=pyarrow.array([dt.date(2020, 1, 1)]),
        __index_level_0__=[0],
    )
    file = formats.recognise(path)
    assert file.format.name == "cmc-daily"
    assert list(file.lines()) == [
        (
            1,
            "2020-01-01,BTC,1,3,0.1,2.000000001,",
            None,
            ["2020-01-01", "BTC", "1", "3", "0.1", "2.000000001", ""],
        )
    ]


@pytest.mark.parametrize(
    "kind",
    [pyarrow.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")]
    + [pyarrow.timestamp("ns", "+02:00"), pyarrow.int64()],
)
def test_a_time_of_parquet_is_in_utc(tmp_path, kind):
    value = 1577836800000 if kind == pyarrow.int64() else dt.datetime(2020, 1, 1)
    path = parquet(
        tmp_path,
        timestamp=pyarrow.array([value], kind),
        **{name: [float(value)] for name, value in CANDLE.items()},
    )
    assert ingest.preview(formats.recognise(path)).first_day == "2020-01-01"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"date": ["2020-01-01"]}, "no header that is known"),
        ({"date": [["2020-01-01"]], **{n: [1.0] for n in CANDLE}}, "column date is of type list"),
    ],
)
def test_parquet_that_holds_no_prices_is_refused(tmp_path, columns, said):
    with pytest.raises(Refused, match=said):
        formats.recognise(parquet(tmp_path, **columns))


def test_parquet_that_is_cut_off_is_refused(tmp_path):
    path = parquet(tmp_path, date=["2020-01-01"], **{name: [1.0] for name in CANDLE})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Refused, match="Parquet that cannot be read"):
        formats.recognise(path)


def test_a_cell_of_parquet_that_is_no_text_costs_its_row(tmp_path):
    cells = {name: [1.0, 1.0, 1.0] for name in CANDLE}
    days = ["2020-01-01", "2020-01-\0", "2" * 70_000]
    file = formats.recognise(parquet(tmp_path, date=days, **cells))
    assert [fault for _, _, fault, _ in file.lines()] == [
        None,
        "zero byte",
        "longer than 65,536 bytes",
    ]


@pytest.mark.parametrize(
    ("limit", "said"), [("SIZE_LIMIT", "bytes once unpacked"), ("LINES_LIMIT", "3 rows")]
)
def test_parquet_that_is_too_large_is_refused_unread(tmp_path, monkeypatch, limit, said):
    path = parquet(tmp_path, date=["2020-01-01"] * 3, **{name: [1.0] * 3 for name in CANDLE})
    monkeypatch.setattr(opening, limit, 2)
    monkeypatch.setattr(formats.detection.parquet, "LINES_LIMIT", opening.LINES_LIMIT)
    with pytest.raises(Refused, match=said):
        formats.recognise(path)


def test_parquet_that_packs_too_well_is_refused_unread(tmp_path):
    rows = 200_000
    columns = {name: pyarrow.array([1.0] * rows) for name in CANDLE}
    columns["date"] = pyarrow.array(["2020-01-01" * 10] * rows)
    path = tmp_path / "1_bitcoin.parquet"
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(table, path, compression="zstd", use_dictionary=False)
    with pytest.raises(Refused, match="bytes once unpacked"):
        formats.recognise(path)


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "1_bitcoin.parquet"
    table = pyarrow.table([["a"], ["b"]], names=["date", "date"])
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(Refused, match="two of its columns are called date"):
        formats.recognise(path)


def test_parquet_goes_through_a_mapping_too(tmp_path):
    path = parquet(tmp_path, d=["2020-01-01"], o=[1], h=[3], l=[0.5], c=[2], x=[[1]])
    text = '[columns]\nd="day"\no="open"\nh="high"\nl="low"\nc="close"\n'
    file = formats.recognise(path, mapped(tmp_path, text))
    assert first(file) == {"day": "2020-01-01", **CANDLE}


def test_without_pyarrow_parquet_says_what_to_install(tmp_path, monkeypatch):
    path = parquet(tmp_path, date=["2020-01-01"])
    monkeypatch.setattr(formats.detection.parquet, "find_spec", lambda name: None)
    with pytest.raises(Refused) as refused:
        formats.recognise(path)
    assert "pip install 'ta-lab2[parquet]'" in refused.value.hint
