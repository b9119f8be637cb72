"""What a refresh would work on, of the returns: the others read the same candles."""

from __future__ import annotations

import psycopg
import pytest

from tests.support import prices


def candidates(tx, ids=None, rebuild=False):
    return tx.execute(
        """
        select c.id, c.feature_type, nullif(c.from_ts, '-infinity'), c.candidates
        from features.refresh_candidates(%s::integer[], %s) as c
        where c.feature_type = 'returns'
        """,
        (ids, rebuild),
    ).fetchall()


def refresh(tx):
    for asset in (1, 2):
        tx.execute("select features.refresh_asset(%s)", (asset,))


@pytest.fixture(autouse=True)
def _assets(tx):
    for asset in (1, 2):
        prices.put(tx, asset, {n: 1.0 + n for n in range(10)})


def test_all_is_due_at_first_and_nothing_after_a_refresh(tx):
    assert [row[3] for row in candidates(tx)] == [10, 10]
    refresh(tx)
    assert candidates(tx) == [(1, "returns", None, 0), (2, "returns", None, 0)]
    assert [row[3] for row in candidates(tx, [2], rebuild=True)] == [10]


def test_a_revised_candle_makes_those_from_it_on_due(tx):
    refresh(tx)
    prices.put(tx, 2, {6: 3.5, 8: 2.5})
    assert candidates(tx) == [(1, "returns", None, 0), (2, "returns", prices.ts(6), 4)]
    refresh(tx)
    prices.drop(tx, 1, [9])
    assert candidates(tx, [1]) == [(1, "returns", prices.ts(9), 0)]


def test_a_new_candle_is_due_even_if_nobody_logged_it(tx):
    refresh(tx)
    prices.put(tx, 1, {10: 3.5})
    tx.execute("delete from bars.dirty_range")
    assert candidates(tx, [1]) == [(1, "returns", prices.ts(10), 1)]


def test_an_unknown_asset_is_refused(tx):
    with pytest.raises(psycopg.Error, match="no asset has the id 9") as caught:
        candidates(tx, [9])
    assert caught.value.sqlstate == "TA402"
