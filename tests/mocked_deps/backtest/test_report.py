"""The page of a run: whole, the same every time, and safe whatever its names are."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from uuid import UUID

import pytest

from ta_lab2.backtest import report, report_rows
from ta_lab2.backtest.runs import Metric, Run
from ta_lab2.backtest.words import MINUS, NOTHING, bare, percent, signed, tone, valued, words
from ta_lab2.charts import performance
from ta_lab2.charts.performance import Curve, Position, Priced

pytest.importorskip("matplotlib", reason="reports need the extra `charts`")
pytest.importorskip("jinja2", reason="reports need the extra `charts`")

FIRST = date(2023, 1, 1)
NASTY = "<script>alert('1')</script>&\"x"


def ts(number):
    """The close of that day."""
    return datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=number + 1, milliseconds=-1)


RUN = Run(
    run_id=UUID("b0a1c2d3-0000-4000-8000-000000000001"),
    created_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    label="a label",
    signal_name="ema_9_21_long",
    signal_type="ema_crossover",
    signal_version=1,
    params={"fast_period": 9, "slow_period": 21, "direction": "long"},
    asset_ids=[1, 2],
    from_ts=None,
    to_ts=None,
    first_ts=ts(0),
    last_ts=ts(399),
    known_at=None,
    data_at=datetime(2026, 1, 1, tzinfo=UTC),
    cost_model="realistic",
    fee_bps=10.0,
    slippage_bps=5.0,
    funding_bps=0.0,
    capital=10_000.0,
    sizing="all_in",
    fraction=1.0,
    vol_target=0.2,
    fill="next_open",
    capital_limit=1.0,
    annualisation_days=365,
    status="complete",
    inputs_digest=b"\x01" * 32,
    machinery_digest=b"\x02" * 32,
    result_digest=b"\x03" * 32,
    bars=400,
)
UNITS = {
    "total_return": "fraction", "cagr": "fraction", "volatility": "fraction", "sharpe": "ratio",
    "sortino": "ratio", "max_drawdown": "fraction", "max_drawdown_days": "days",
    "alpha": "fraction", "beta": "ratio", "benchmark_return": "fraction",
    "time_in_market": "fraction", "trades": "count", "win_rate": "fraction",
    "profit_factor": "ratio",
}  # fmt: skip


def curve(days):
    """An account that doubles, falls by half and ends there."""
    equity = [10_000.0 * (1 + at / days) for at in range(days)]
    return Curve(
        days=[FIRST + timedelta(days=at) for at in range(days)],
        equity=equity,
        benchmark=equity,
        drawdown=[0.0] * days,
        benchmark_drawdown=[0.0] * days,
    )


def position(entered, left, **changed):
    made = {
        "entered": FIRST + timedelta(days=entered), "entry_price": 100.0,
        "left": FIRST + timedelta(days=left), "exit_price": 120.0,
        "is_long": True, "is_open": False, "won": True,
    }  # fmt: skip
    return Position(**made | changed)


def page_of(symbol="BTC", days=400, trades=1, **changed):
    """A report of a run with these parts."""
    made = report_rows.Report(
        run=replace(RUN, bars=days, last_ts=ts(days - 1)),
        symbols=[symbol, "ETH"],
        is_synthetic=False,
        segments=4,
        trade_count=trades,
        benchmark_drawdown=-0.5,
        metrics=[
            Metric(name, 0.5, unit, f"formula of {name}", f"About {name}.")
            for name, unit in UNITS.items()
        ],
        cautions=[],
        curve=curve(days),
        months=[
            report_rows.Month(2023, 0, 0.1, 7),
            report_rows.Month(2023, 1, -0.1234, 1),
            report_rows.Month(2023, 12, 0.25, 9),
        ],
        drawdowns=[report_rows.Drawdown(-0.3, ts(1), ts(5), None, 20.0)],
        trades=[
            report_rows.Trade(
                at, 1, symbol, "long", ts(1), 100.0, ts(9), 120.0, "signal", 8, 2.5, 17.5, 0.175
            )
            for at in range(1, trades + 1)
        ],
        prices=[
            Priced(
                symbol,
                [FIRST + timedelta(days=at) for at in range(days)],
                [100.0 + at for at in range(days)],
                [position(0, days - 1)] * trades,
            )
        ],
    )
    return replace(made, **changed)


class Reader(HTMLParser):
    """Collects the tags, the text and what leads elsewhere; fails on what doesn't close."""

    VOID = frozenset(("meta", "br", "link", "img"))

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text, self.links, self.ids = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("href", "src", "xlink:href")]
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


def read(rows):
    page = report.render(rows)
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return page, reader


@pytest.fixture(scope="module")
def plain():
    """The page of an ordinary run, and what a reader finds in it."""
    return read(page_of())


def test_a_page_needs_nothing_from_elsewhere(plain):
    page, reader = plain
    assert {"script", "link", "img", "iframe", "object"}.isdisjoint(reader.tags)
    assert all(link.startswith("#") for link in reader.links)
    assert not re.search(r"@import|url\((?!#)", page)
    # Names of namespaces are the only addresses.
    addresses = set(re.findall(r"https?://[^\"' <]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_no_two_parts_of_a_page_have_one_id_and_every_reference_has_its_part(plain):
    _, reader = plain
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links} <= set(reader.ids)


def test_names_are_text_and_never_markup():
    rows = page_of(NASTY)
    run = replace(rows.run, label=NASTY, signal_name=NASTY, cost_model=NASTY, params={NASTY: NASTY})
    page, reader = read(replace(rows, run=run))
    assert "script" not in reader.tags
    assert "<script" not in page.lower()
    assert NASTY in "".join(reader.text)


def test_the_same_rows_give_the_same_bytes(plain):
    assert report.render(page_of()) == plain[0]


def test_the_page_says_what_it_must(plain):
    page, reader = plain
    text = " ".join(reader.text)
    for what in (
        "ema_9_21_long", "2023-01-01", "2024-02-04", "BTC, ETH", "realistic costs", "fast_period 9",
        "fee 10 and slippage 5 bps a fill", "at the open of the bar after the signal's",
        "b0a1c2d3-0000-4000-8000-000000000001", "01" * 32, "02" * 32, "03" * 32,
        "2026-01-01 00:00:00.000000 UTC", "formula of sharpe", "About sharpe.", "not yet",
        "Hypothetical", f"{MINUS}12.3", "ta-lab2 backtest validate",
    ):  # fmt: skip
        assert what in text, what
    assert page.count('class="wide"') == page.count('class="narrow"') == 2
    assert "SYNTHETIC" not in text


def test_a_made_up_market_and_a_ruin_are_said_at_the_top():
    rows = page_of(is_synthetic=True)
    page = report.render(replace(rows, run=replace(rows.run, status="ruined")))
    assert page.index("SYNTHETIC") < page.index("Ruined on 2024-02-04") < page.index("Monthly")


def test_a_run_without_trades_has_a_page():
    _, reader = read(page_of(trades=0, prices=[], drawdowns=[]))
    assert "No signal was filled" in " ".join(reader.text)


def test_a_metric_that_is_undefined_is_a_dash():
    rows = page_of()
    none = [replace(metric, value=None) for metric in rows.metrics]
    assert NOTHING in report.render(replace(rows, metrics=none, benchmark_drawdown=None))


def test_more_trades_than_are_listed_are_counted():
    _, reader = read(page_of(trades=60, trade_count=1234))
    assert "The last 60 of 1,234" in " ".join(reader.text)


@pytest.mark.parametrize("width", [performance.WIDE, performance.NARROW])
@pytest.mark.parametrize("days", [1, 2, 3, 10, 31, 100, 1100, 6000])
def test_every_length_of_a_run_is_drawn(days, width):
    assert len(performance.performance("x", curve(days), width=width)) < 500_000


def test_an_account_that_comes_to_nothing_is_drawn():
    flat = replace(curve(400), equity=[10_000.0] * 399 + [0.0], drawdown=[0.0] * 399 + [-1.0])
    assert performance.performance("x", flat)


def test_an_open_and_a_short_trade_are_drawn_as_such():
    def drawn(**changed):
        priced = replace(page_of().prices[0], positions=[position(3, 9, **changed)])
        return performance.trades("x", priced)

    plain = drawn()
    assert "still open" not in plain
    assert "still open" in drawn(is_open=True)
    assert drawn(is_long=False) != plain != drawn(won=False)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.12345, "fraction", "12.3%"),
        (-0.5, "fraction", f"{MINUS}50.0%"),
        (-1.234, "ratio", f"{MINUS}1.23"),
        (1234.0, "count", "1,234"),
        (12.5, "days", "12.5"),
        (None, "ratio", NOTHING),
    ],
)
def test_a_metric_reads_in_its_unit(value, unit, text):
    assert valued(Metric("x", value, unit, "", "")) == text


def test_names_and_numbers_read_as_one_says_them():
    assert [words(name) for name in ("max_drawdown", "cagr", "var_95")] == [
        "Max drawdown", "CAGR", "VaR 95",
    ]  # fmt: skip
    assert bare(-0.0004, 0) == "0"
    assert bare(-0.016, 0) == f"{MINUS}2"
    assert percent(None, 1) == NOTHING
    large = [9.99, 9.996, 25.916, 102.0, 466092.268, 1e9, -25.0, 1e14]
    assert [percent(value, 1) for value in large] == [
        "999.0%", "1,000%", "2,592%", "10.2k%", "46.6M%", "100B%", f"{MINUS}2,500%", "1e+04T%",
    ]  # fmt: skip
    assert (bare(25.916, 0), bare(25.916, 1), bare(1302.0, 0)) == ("2.6k", "2,592", "130k")
    assert signed(12.0) == "+12.00"
    assert [tone(value) for value in (1.0, -1.0, 0.0, None)] == ["up", "down", "", ""]
