"""What a price file is, told from its name and its first line."""

from __future__ import annotations

import pytest

from ta_lab2.bars import formats, ingest
from ta_lab2.errors import Refused
from tests.support import prices


def cells(path):
    return [(number, fault, row) for number, _, fault, row in formats.recognise(path).lines()]


def test_the_comma_layout_is_known_and_the_asset_is_in_the_name(tmp_path):
    path = prices.daily(tmp_path, "2020-01-01,BTC,1,3,0.5,2,10", name="1839_BNB.csv")
    file = formats.recognise(path)
    assert (file.asset_id, file.slug, file.format.name) == (1839, "bnb", "cmc-daily")
    assert dict(zip(file.columns(), cells(path)[0][2], strict=True)) == {
        "day": "2020-01-01",
        "ticker": "BTC",
        "open": "1",
        "high": "3",
        "low": "0.5",
        "close": "2",
        "volume": "10",
    }


def test_the_export_is_known_with_mark_semicolons_quotes_and_crlf(tmp_path):
    path = prices.export(tmp_path, prices.export_row("2020-01-02"), prices.export_row("2020-01-01"))
    file = formats.recognise(path)
    row = dict(zip(file.columns(), cells(path)[1][2], strict=True))
    assert row["day"] == "2020-01-01T00:00:00.000Z"
    assert row["quote"] == "2781"
    assert row["market_cap"] == "99"
    assert row["time_low"] == "2020-01-01T09:30:00.000Z"


def test_the_export_with_supply_is_known(tmp_path):
    header = prices.EXPORT.replace("timestamp", "circulatingSupply;timestamp")
    row = prices.export_row("2020-01-01").replace(";99;", ";99;21;")
    path = prices.write(tmp_path, "1_bitcoin.csv", ["\ufeff" + header, row])
    assert formats.recognise(path).format.name == "cmc-export"
    assert [fault for _, fault, _ in cells(path)] == [None]


def test_a_stray_quote_costs_its_own_line_only(tmp_path):
    path = prices.daily(
        tmp_path, '2020-01-01,"BTC,1,3,0.5,2,10', "2020-01-02,BTC,1,3,0.5,2,10", "1,2", "", "a\0b"
    )
    assert [(number, fault) for number, fault, _ in cells(path)] == [
        (2, "quotes do not match"),
        (3, None),
        (4, "2 columns instead of 7"),
        (6, "zero byte"),
    ]


def test_bytes_that_are_no_text_cost_their_line_and_stay_readable(tmp_path):
    path = prices.daily(tmp_path)
    path.write_bytes(path.read_bytes() + b"\n2020-01-01,\xff,1,3,0.5,2,10\n2,3")
    rows = list(formats.recognise(path).lines())
    assert [fault for _, _, fault, _ in rows] == ["not UTF-8", "2 columns instead of 7"]
    assert rows[0][1] == "2020-01-01,\\xff,1,3,0.5,2,10"


def test_a_long_line_is_kept_in_part(tmp_path):
    path = prices.daily(tmp_path, "x" * 5000)
    assert [len(raw) for _, raw, _, _ in formats.recognise(path).lines()] == [formats.RAW_LIMIT]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("1_bitcoin.csv", b"", "is empty"),
        ("1_bitcoin.csv", b"\n \n", "is empty"),
        ("1_bitcoin.csv", b"BZh91AY&SY\0\0", "not a text file"),
        ("1_bitcoin.csv", "date,ticker".encode("utf-16"), "not a text file"),
        ("1_bitcoin.csv", b"time,price\n1,2", "no header that is known: time,price"),
        ("1_bitcoin.csv", b"date,ticker,open,high,low,close\n", "no header that is known"),
        ("bitcoin.csv", b"date,ticker,open,high,low,close,volume\n", "which asset"),
        ("0_bitcoin.csv", b"date,ticker,open,high,low,close,volume\n", "which asset"),
        ("1_.csv", b"date,ticker,open,high,low,close,volume\n", "which asset"),
        ("1_bitcoin.txt", b"date,ticker,open,high,low,close,volume\n", "which asset"),
    ],
)
def test_what_is_no_price_file_is_refused_by_name(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Refused) as caught:
        formats.recognise(path)
    assert said in caught.value.what
    assert str(path) in caught.value.what


def test_an_unknown_header_tells_the_known_ones(tmp_path):
    path = prices.write(tmp_path, "1_bitcoin.csv", ["time,price"])
    with pytest.raises(Refused) as caught:
        formats.recognise(path)
    assert all(known.headers[0] in caught.value.hint for known in formats.LAYOUTS)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(Refused, match="no such file"):
        ingest.find([str(tmp_path / "1_bitcoin.csv")])


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    path = prices.daily(tmp_path)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(Refused, match=r"1_bitcoin\.csv cannot be read: Permission denied"):
        formats.recognise(path)


def test_a_folder_gives_its_csv_files_by_asset(tmp_path):
    for name in ("1027_ethereum.csv", "2_litecoin.csv", "1_bitcoin.CSV"):
        prices.daily(tmp_path, name=name)
    (tmp_path / "README.md").write_text("not prices")
    assert [file.asset_id for file in ingest.find([str(tmp_path)])] == [1, 2, 1027]


def test_a_quoted_pattern_is_expanded_and_nothing_is_taken_twice(tmp_path):
    for name in ("10_a.csv", "2_b.csv"):
        prices.daily(tmp_path, name=name)
    found = ingest.find([str(tmp_path / "*.csv"), str(tmp_path / "2_b.csv"), str(tmp_path)])
    assert [file.asset_id for file in found] == [2, 10]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path):
    prices.daily(tmp_path / "[old]")
    assert len(ingest.find([str(tmp_path / "[old]" / "1_bitcoin.csv")])) == 1


@pytest.mark.parametrize("name", ["", "*.zip"])
def test_a_folder_or_pattern_without_files_is_refused(tmp_path, name):
    with pytest.raises(Refused, match=r"no files that end in|no file fits"):
        ingest.find([str(tmp_path / name)])


def test_one_bad_file_refuses_all_and_every_bad_one_is_named(tmp_path):
    prices.daily(tmp_path)
    prices.write(tmp_path, "2_litecoin.csv", ["a,b"])
    prices.write(tmp_path, "3_namecoin.csv", [""])
    with pytest.raises(Refused) as caught:
        ingest.find([str(tmp_path)])
    assert "2 of 3 files" in caught.value.what
    assert "2_litecoin.csv" in caught.value.hint
    assert "3_namecoin.csv" in caught.value.hint
