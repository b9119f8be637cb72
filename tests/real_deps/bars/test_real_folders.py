"""The folders of real prices in several orders: what docs/ingest.md says of them is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ta_lab2.bars import ingest
from ta_lab2.bars.formats import Wanted
from tests.real_deps.bars.test_real_prices import DATA, total
from tests.real_deps.bars.test_real_prices import pytestmark as pytestmark

PAGE = (Path(__file__).parents[3] / "docs" / "ingest.md").read_text()
ROWS = re.findall(r"^\| ([a-z_, -]+) \|((?: [\d,]+ / [\d,]+ \|)+) ([\d,]+) \|$", PAGE, re.MULTILINE)
SPY = {"asset_id": 1000001, "symbol": "SPY"}
#: These two load everything; the others show that only values depend on the order.
QUICK = (0, 2)


def numbers(text):
    return [int(number.replace(",", "")) for number in re.findall(r"[\d,]+", text)]


def load(conn, folder, wanted=Wanted(), **options):  # noqa: B008
    files = ingest.find([str(DATA / folder)], wanted)
    return [ingest.load(conn, file, **options) for file in files]


def test_the_page_shows_the_orders():
    assert len(ROWS) == 5


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row[0], marks=[] if place in QUICK else [pytest.mark.slow])
        for place, row in enumerate(ROWS)
    ],
)
def test_an_order_of_folders_gives_what_the_page_says(own_db, autocommit, row):
    conn = autocommit(own_db)
    said, counts, candles = row
    folders, _, extend = said.partition(", with --")
    expected = numbers(counts)
    for folder, loaded, other in zip(
        folders.split(", "), expected[::2], expected[1::2], strict=True
    ):
        done = load(conn, folder, extend=bool(extend))
        assert total(done, "loaded") == loaded, folder
        assert total(done, "other_source") == other, folder
        assert total(done, "rejected") == total(done, "forming") == 0, folder
    stored = conn.execute("select count(*) from bars.cmc_price_histories7").fetchone()
    assert [stored[0]] == numbers(candles)
    # Again in this order: what is there stays, and values go from file to file and back.
    assert {total(load(conn, folder), "loaded") for folder in folders.split(", ")[:1]} == {0}


def test_an_equity_comes_beside_them(own_db, autocommit):
    conn = autocommit(own_db)
    (spy,) = load(conn, "equity", Wanted(**SPY))
    assert (spy.counts.loaded, spy.counts.rejected, spy.slug, spy.source) == (
        5241, 0, "spy", "equity",
    )  # fmt: skip
    (again,) = load(conn, "equity", Wanted(**SPY))
    assert again.counts.unchanged == 5241


def test_bars_of_hours_and_minutes_are_refused():
    with pytest.raises(ingest.Refused, match="3 of 3 files cannot be taken") as refused:
        ingest.find([str(DATA / "intraday")], Wanted(asset_id=1))
    assert refused.value.hint.count("its bars are intraday") == 3
