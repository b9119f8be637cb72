"""Lines that go to the database unsplit: what it splits there is what is split here."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ta_lab2.bars import formats
from ta_lab2.bars.formats import mapping
from tests.support import prices


def split(file):
    """What a file stages, split as the database does."""
    columns, header = file.columns(), file.header()
    for number, text, fault, cells in file.staged():
        if cells is not None or fault is not None:
            yield number, text, fault, cells
            continue
        for at, line in enumerate(text.split("\n")):
            given = line.split(file.format.delimiter)
            yield number + at, line, None, [given[header.index(column)] for column in columns]


def test_most_lines_are_staged_together(tmp_path):
    rows = [f"{prices.day(number)},BTC,1,3,0.5,2,10" for number in range(1000)]
    file = formats.recognise(prices.daily(tmp_path, *rows))
    assert len(list(file.staged())) < 10
    assert all(cells is None for _, _, _, cells in file.staged()), (
        "the header costs no line its block"
    )
    assert list(split(file)) == list(file.lines())


CELL = st.sampled_from(
    ["1", "", " 2", "3 ", "a b", '"4"', '"', "\0", "\\N", "\t5", "é", "6\r", "x" * 900]
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    odd=st.dictionaries(
        st.integers(0, 999), st.lists(CELL, min_size=0, max_size=8).map(",".join), max_size=8
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_odd_lines_among_good_ones_are_read_as_one_by_one(tmp_path, odd, end, last):
    rows = [f"{prices.day(number)},BTC,1,3,0.5,2,10" for number in range(1000)]
    for number, text in odd.items():
        rows[number] = text
    path = tmp_path / "1_bitcoin.csv"
    text = end.join(["date,ticker,open,high,low,close,volume", *rows]) + (end if last else "")
    path.write_bytes(text.encode())
    file = formats.recognise(path)
    assert list(split(file)) == list(file.lines())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024-01-02 00:00:00-05:00", "2024-01-02"),
        ("2024-07-02T00:00:00-04:00", "2024-07-02"),
        ("2024-01-02 00:00:00+09:00", "2024-01-02"),
        ("2024-01-02 00:00:00+00:00", "2024-01-02 00:00:00+00:00"),
        ("2024-01-02 09:30:00-05:00", "2024-01-02 09:30:00-05:00"),
    ],
)
def test_yahoos_midnight_with_an_offset_is_a_date_of_the_exchange(tmp_path, written, read):
    path = tmp_path / "1000001_spy.csv"
    path.write_text(f"Date,Open,High,Low,Close,Volume\n{written},1,3,0.5,2,10\n")
    file = formats.recognise(path, formats.Wanted(session="EQUITY"))
    assert [row[3][0] for row in file.lines()] == [read]
    assert [row[3] for row in split(file)] == [row[3] for row in file.lines()]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " ", "é"])
@pytest.mark.parametrize("skip", [0, 1, 300])
def test_lines_above_the_header_and_any_delimiter_leave_the_lines_as_they_are(
    tmp_path, delimiter, skip
):
    mapped = tmp_path / "own.toml"
    mapped.write_text(
        f"delimiter = {json.dumps(delimiter)}\nskip = {skip}\n[columns]\n"
        + "".join(f"{name} = {name!r}\n" for name in ("day", "open", "high", "low", "close"))
    )
    path = tmp_path / "1_bitcoin.csv"
    rows = [["day", "open", "high", "low", "close"]]
    rows += [[str(prices.day(number)), "1", "3", "0.5", "2"] for number in range(500)]
    rows[7][1] = "é"
    text = "\n".join(["a remark of some length, which is none of the prices"] * skip)
    path.write_text("\n".join([text] * bool(skip) + [delimiter.join(row) for row in rows]))
    file = formats.recognise(path, formats.Wanted(layout=mapping.read(mapped)))
    lines = list(file.lines())
    assert [number for number, _, _, _ in lines] == list(range(skip + 2, skip + 502))
    assert list(split(file)) == lines


def test_of_other_layouts_an_offset_stays(tmp_path):
    file = formats.recognise(prices.daily(tmp_path, "2024-01-02 00:00:00-05:00,X,1,3,0.5,2,10"))
    assert [row[0] for _, _, _, row in split(file)] == ["2024-01-02 00:00:00-05:00"]
