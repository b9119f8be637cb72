"""The exponential moving average as a window aggregate."""

from __future__ import annotations

import math

import psycopg
import pytest

from tests.support.indicators import market

CLOSES = [row[3] for row in market(80)]


def windowed(tx, values, period, over="order by v.n"):
    """The aggregate of the values in their order; it may be any SQL of v.n and v.x."""
    return [
        value
        for (value,) in tx.execute(
            f"""
            select indicators.ema(v.x, {period}) over ({over})
            from unnest(%s::float8[]) with ordinality as v (x, n)
            order by v.n
            """,
            (values,),
        )
    ]


@pytest.mark.parametrize("period", [2, 7, 80, 81])
def test_it_gives_the_bits_of_the_array(tx, period):
    (expected,) = tx.execute("select indicators.ema(%s, %s)", (CLOSES, period)).fetchone()
    assert windowed(tx, CLOSES, period) == expected


def test_worked_by_hand(tx):
    # The mean of 10 and 12, then two thirds of the way to each.
    assert windowed(tx, [10, 12, 14, None, 17], 2) == [None, 11, 13, 13, 13 + 4 * (2 / 3)]


def test_what_is_no_number_repeats_the_last_average(tx):
    whole = windowed(tx, CLOSES, 5)
    holed = windowed(tx, CLOSES[:3] + [None, math.nan, math.inf] + CLOSES[3:], 5)
    assert holed[:3] + holed[6:] == whole
    holed = windowed(tx, CLOSES[:30] + [None, math.nan, -math.inf] + CLOSES[30:], 5)
    assert holed[30:33] == [whole[29]] * 3
    assert holed[:30] + holed[33:] == whole


def test_each_partition_has_its_own(tx):
    found = windowed(tx, CLOSES, 5, "partition by v.n > 30 order by v.n")
    assert found == windowed(tx, CLOSES[:30], 5) + windowed(tx, CLOSES[30:], 5)


def test_without_over_it_is_the_last_one(tx):
    (last,) = tx.execute(
        "select indicators.ema(v.x, 5 order by v.n)"
        " from unnest(%s::float8[]) with ordinality as v (x, n)",
        (CLOSES,),
    ).fetchone()
    assert last == windowed(tx, CLOSES, 5)[-1]


@pytest.mark.parametrize(
    ("period", "state"),
    [
        *((period, "TA304") for period in ("0", "-1", "10000", "null", "v.n::int")),
        *((period, "TA307") for period in ("v.n::int + 1", "nullif(5, v.n::int)")),
    ],
)
def test_a_period_that_cannot_be_is_refused(tx, period, state):
    with pytest.raises(psycopg.Error) as caught:
        windowed(tx, CLOSES, period)
    assert caught.value.sqlstate == state
    assert caught.value.diag.message_hint
