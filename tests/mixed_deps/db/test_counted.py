"""``db.counted`` and its twin in Python say a number of things alike."""

from __future__ import annotations

import pytest

from ta_lab2.counted import counted


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 assets"), (1, "1 asset"), (2, "2 assets"), (999, "999 assets")]
)
def test_one_is_in_the_singular(tx, number, said):
    assert tx.execute("select db.counted(%s, 'asset')", (number,)).fetchone() == (said,)
    assert counted(number, "asset") == said


def test_thousands_are_parted_where_people_read_and_not_where_programs_do(tx):
    assert counted(1096, "bar") == "1,096 bars"
    assert tx.execute("select db.counted(1096, 'bar')").fetchone() == ("1096 bars",)


def test_nothing_is_known_of_an_unknown_number(tx):
    assert tx.execute("select db.counted(null, 'asset')").fetchone() == (None,)
