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


def due(tx):
    """Of asset 1: candles by computation, of those that are due."""
    return dict(
        tx.execute(
            """
            select c.feature_type, c.candidates
            from features.refresh_candidates('{1}') as c
            where c.from_ts is not null
            """
        ).fetchall()
    )


def test_what_came_since_has_its_whole_history_due(tx):
    refresh(tx)
    assert due(tx) == {}
    tx.execute(
        "insert into features.dim_indicators (kind, params) values ('rsi', '{\"period\": 5}')"
    )
    assert due(tx) == {"indicators": 10}
    tx.execute(
        """
        insert into timemodel.dim_timeframe (
            tf, alignment, base_unit, tf_qty, tf_days, tf_days_min, tf_days_max
        )
        values ('33D', 'trading', 'D', 33, 33, 33, 33)
        """
    )
    assert due(tx) == {"bars": 10, "indicators": 10}
    tx.execute("insert into features.dim_ema_periods (period) values (33)")
    assert due(tx) == {"bars": 10, "ema": 10, "indicators": 10}
    tx.execute("select features.prepare_indicators()")
    refresh(tx)
    assert due(tx) == {}


def test_what_is_switched_off_has_nothing_due_and_on_again_all(tx):
    refresh(tx)
    for candles, change in (
        (11, "update features.dim_indicators set is_active = %s where columns[1] = 'adx_14'"),
        (12, "update timemodel.dim_timeframe set is_active = %s where tf = '2D'"),
    ):
        tx.execute(change, (False,))
        assert sum(due(tx).values()) == 0
        # What it misses meanwhile it has to make up for.
        prices.put(tx, 1, {candles - 1: 20.0})
        refresh(tx)
        tx.execute(change, (True,))
        assert list(due(tx).values()) == [candles]
        refresh(tx)
        # One that is on already is nothing new.
        tx.execute(change, (True,))
        assert list(due(tx).values()) == [0]
        refresh(tx)
