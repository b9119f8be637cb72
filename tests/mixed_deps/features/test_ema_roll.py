"""The preview of an unfinished bar: whose close it takes, and what it must not know."""

from __future__ import annotations

import psycopg
import pytest

from tests.support import contract, prices

CLOSES = {0: 10.0, 1: 11.0, 2: 12.0, 3: 13.0, 4: 20.0, 5: 17.0, 6: 16.0, 8: 30.0}
COLUMNS = [
    *("id", "ts", "tf", "period", "ema", "roll", "d1", "d2", "tf_days"),
    *("alignment_source", "calendar_scheme", "tf_id", "available_at"),
]


@pytest.fixture(autouse=True)
def _market(tx):
    """Nine days without the eighth, refreshed, and EMAs of two and three bars of two days."""
    contract.unread(tx)
    tx.execute("delete from features.dim_ema_periods where slot > 2")
    tx.execute("update features.dim_ema_periods set period = slot + 1")
    prices.put(tx, 1, CLOSES)
    tx.execute("insert into features.refresh_state (id) values (1) on conflict do nothing")
    tx.execute("select features.refresh_asset(1)")


def roll(tx, tf="2D", day=None, asset=1):
    at = "infinity" if day is None else prices.ts(day)
    found = tx.execute(
        "select r.* from features.ema_roll(%s, %s, %s) as r order by r.period", (asset, tf, at)
    )
    assert [column.name for column in found.description] == COLUMNS
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]


def test_it_previews_the_unfinished_bar_of_the_last_observed_day(tx):
    # Closed: 11, 13, 17 and 16, the last one for want of the eighth day. The ninth begins a bar.
    two, three = roll(tx)
    seed = (11 + 13) / 2
    last = seed + (17 - seed) * 2 / 3
    last += (16 - last) * 2 / 3
    assert two == {
        "id": 1,
        "ts": prices.ts(8),
        "tf": "2D",
        "period": 2,
        "ema": pytest.approx(last + (30 - last) * 2 / 3, rel=1e-15),
        "roll": True,
        "d1": pytest.approx((30 - last) * 2 / 3, rel=1e-14),
        "d2": None,
        "tf_days": 2,
        "alignment_source": "trading",
        "calendar_scheme": None,
        "tf_id": 2,
        "available_at": prices.ts(8),
    }
    assert three["ema"] == pytest.approx(((11 + 13 + 17) / 3 + 16) / 2 / 2 + 15, rel=1e-15)


def test_a_day_that_closes_a_bar_has_no_preview(tx):
    assert roll(tx, day=5) == []
    assert roll(tx, day=1) == []
    assert roll(tx, "1D") == []
    assert [row["ts"] for row in roll(tx, day=4)] == [prices.ts(4)] * 2


def test_a_period_without_a_closed_ema_has_none(tx):
    # One bar is closed by day 2, two by day 4: the seed itself is not previewed.
    assert [row["ema"] for row in roll(tx, day=2)] == [None, None]
    assert [row["ema"] is None for row in roll(tx, day=4)] == [False, True]
    assert [row["d1"] is None for row in roll(tx, day=4)] == [False, True]
    assert [row["ema"] for row in roll(tx, "10D")] == [None, None]


def test_it_knows_nothing_later_than_its_moment(tx):
    before = {day: roll(tx, day=day) for day in range(8)}
    # Day 7 has no candle: what is known is day 6, whose bar is not closed before day 8.
    assert before[7] == before[6]
    assert before[6][0]["ts"] == prices.ts(6)
    for last in range(7):
        with tx.transaction(force_rollback=True):
            prices.drop(tx, 1, [day for day in CLOSES if day > last])
            tx.execute("select features.refresh_asset(1)")
            assert roll(tx) == before[last]


def test_it_is_to_the_bit_what_is_stored_when_the_bar_closes_there(tx):
    """Bars of three days begin at other days: the same close ends one and is previewed by none."""
    with tx.transaction(force_rollback=True):
        # Candle 8 moves to day 7, the last of its bar.
        prices.drop(tx, 1, [8])
        prices.put(tx, 1, {7: 30.0})
        tx.execute("select features.refresh_asset(1)")
        # The bar of 6 and 7 closes with 30 now; before it stand the closes 11, 13 and 17.
        closed = tx.execute(
            "select u.ema from features.cmc_ema_multi_tf_u as u"
            " where u.id = 1 and u.tf = '2D' and u.ts = %s order by u.period",
            (prices.ts(7),),
        ).fetchall()
    prices.put(tx, 1, {6: 30.0})
    prices.drop(tx, 1, [8])
    tx.execute("select features.refresh_asset(1)")
    assert [(row["ema"],) for row in roll(tx)] == closed


def test_a_candle_that_no_refresh_has_seen_is_not_previewed_yet(tx):
    before = roll(tx)
    prices.put(tx, 1, {10: 99.0})
    assert roll(tx) == before
    tx.execute("select features.refresh_asset(1)")
    assert roll(tx)[0]["ts"] == prices.ts(10)


def test_what_does_not_exist_is_an_error(tx):
    prices.put(tx, 2, {})
    assert roll(tx, asset=2) == []
    for asset, tf, state in ((3, "2D", "TA402"), (1, "2", "TA108"), (1, None, "TA108")):
        with pytest.raises(psycopg.Error) as caught, tx.transaction():
            roll(tx, tf, asset=asset)
        assert caught.value.sqlstate == state
        assert caught.value.diag.message_hint
