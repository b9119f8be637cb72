"""The table of the demo: every number whole, in 80 columns, readable when piped."""

from __future__ import annotations

import io
from datetime import date

import pytest
from rich.console import Console

from ta_lab2.cli import demo
from ta_lab2.ops.market import Summary


def summary(**changed):
    made = {
        "id": 1, "symbol": "BTC", "first_day": date(2010, 7, 14), "last_day": date(2026, 8, 20),
        "candles": 5882, "missing_days": 3, "last_close": 73032.76,
        "last_return": 0.054, "worst_return": -0.491, "best_return": 58.44,
    }  # fmt: skip
    return Summary(**made | changed)


def printed(*rows, synthetic=False, **console):
    file = io.StringIO()
    Console(file=file, soft_wrap=True, **console).print(demo.table(rows, synthetic=synthetic))
    return file.getvalue()


def test_a_synthetic_table_says_so_and_a_real_one_does_not():
    assert "SYNTHETIC" in printed(summary(), synthetic=True)
    assert "SYNTHETIC" not in printed(summary())


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_has_80_columns_and_no_colour_codes_where_nobody_looks(width):
    text = printed(summary(), width=width, synthetic=True)
    assert max(map(len, text.splitlines())) == 80
    assert "\x1b" not in text


def test_the_widest_numbers_are_whole_and_only_the_symbol_is_cut():
    text = printed(
        summary(symbol="A" * 50, last_close=999_999.99, missing_days=9999, candles=99_999,
                last_return=9999.0, worst_return=-0.999, best_return=9999.0)
    )  # fmt: skip
    for number in ("999,999.99", "9,999", "99,999", "-99.9%"):
        assert number in text
    assert text.count("+999,900%") == 2
    row = next(line for line in text.splitlines() if "99,999" in line)
    assert row.startswith(" AAA\N{HORIZONTAL ELLIPSIS} 2010-07-14 2026-08-20 ")


def test_numbers_end_in_one_column():
    lines = printed(summary(), summary(best_return=0.1, last_close=1.0)).splitlines()
    rows = [line.rstrip() for line in lines if "BTC" in line]
    assert len(rows) == 2
    assert len({len(row) for row in rows}) == 1


def test_a_symbol_in_brackets_is_no_markup():
    assert "[red]" in printed(summary(symbol="[red]"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(73032.76, "73,032.76"), (1.00029063, "1.00029"), (0.0804224, "0.0804224"),
     (0.000004934861, "4.935e-06")],
)  # fmt: skip
def test_prices_are_short(value, text):
    assert demo.price(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0, "+0.0%"), (-0.4913, "-49.1%"), (58.44, "+5,844%")]
)
def test_returns_are_signed_percentages(value, text):
    assert demo.percent(value) == text
