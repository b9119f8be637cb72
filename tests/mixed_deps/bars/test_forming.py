"""The unfinished bar of a timeframe at a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ta_lab2.bars.tables import cmc_price_bars_multi_tf
from ta_lab2.errors import translated
from tests.support import contract, ladder, prices, sessions

COLUMNS = [column.name for column in cmc_price_bars_multi_tf.columns]


def forming(conn, tf, at, asset=1):
    """The row, or nothing."""
    with translated():
        found = conn.execute(
            "select f.* from bars.forming(%s, %s, %s) as f", (asset, tf, at)
        ).fetchall()
    assert len(found) <= 1
    return dict(zip(COLUMNS, found[0], strict=True)) if found else None


@pytest.fixture
def market(tx):
    """Days 0 to 59, without every eleventh, and their bars."""
    contract.put(tx, 1, contract.history(60))
    tx.execute("select features.refresh_bars('{1}', '{-infinity}')")
    return tx


def test_its_columns_are_those_of_the_table(tx):
    found = tx.execute("select * from bars.forming(1, '1D') limit 0").description
    assert [column.name for column in found] == COLUMNS


def test_it_is_the_stored_bar_as_it_was_then(market):
    at = prices.ts(24) - timedelta(hours=3)
    row = forming(market, "1W_CAL_ISO", at)
    assert row["time_open"] == datetime(2020, 12, 28, tzinfo=UTC)
    assert row["time_close"] == prices.ts(26)
    assert (row["count_days"], row["count_missing_days"]) == (4, 0)
    assert row["is_partial_end"] is True
    assert row["close"] == contract.price(23, 1)
    (stored,) = market.execute(
        """
        select (b.bar_seq, b.open, b.time_open, b.is_partial_start)::text
        from bars.cmc_price_bars_multi_tf as b
        join timemodel.dim_timeframe as t using (tf_id)
        where b.id = 1 and t.tf = '1W_CAL_ISO' and b.time_close = %s
        """,
        [prices.ts(26)],
    ).fetchone()
    (own,) = market.execute(
        "select (f.bar_seq, f.open, f.time_open, f.is_partial_start)::text"
        " from bars.forming(1, '1W_CAL_ISO', %s) as f",
        [at],
    ).fetchone()
    assert own == stored


def test_it_agrees_with_the_slow_way_at_any_moment(market):
    scheduled = ladder.around_the_clock(prices.day(-400), prices.day(500))
    candles = {}
    for number, close in contract.history(60).items():
        _, _, opened, high, low, _, volume, cap, *seen = contract.candle(1, number, close, 1)
        candles[prices.day(number)] = ladder.Candle(
            opened, high, low, close, volume, cap, seen[0], seen[1]
        )
    for number in range(0, 70, 7):
        at = prices.ts(number)
        for tf in ("1D", "7D", "1W", "10D_CAL", "2W_CAL_US", "1M_CAL", "1Y_CAL_ANCHOR", "365D"):
            row = forming(market, tf, at)
            expected = ladder.bars(tf, scheduled, candles, at=at)
            assert [row and {name: row[name] for name in COLUMNS[2:]}] == (expected or [None])


def test_a_bar_that_was_just_closed_is_not_unfinished(market):
    assert forming(market, "1W_CAL_ISO", prices.ts(26)) is None
    assert forming(market, "1W_CAL_ISO", prices.ts(28))["count_days"] == 1
    assert forming(market, "1D", prices.ts(8) - timedelta(hours=1)) is None


def test_where_the_data_ended_the_last_bar_stays_unfinished(market):
    row = forming(market, "1W_CAL_ISO", prices.ts(59) + timedelta(days=300))
    assert row["count_days"] + row["count_missing_days"] == 7
    assert row["time_close"] < prices.ts(70)


def test_before_the_first_candle_and_the_first_full_week_there_is_none(market):
    assert forming(market, "1D_CAL", prices.ts(0) - timedelta(hours=1)) is None
    assert forming(market, "1W_CAL_ISO", prices.ts(3)) is None
    assert forming(market, "1W_CAL_ANCHOR_ISO", prices.ts(3))["is_partial_start"] is True


def test_candles_after_the_moment_play_no_part(market):
    at = prices.ts(40)
    before = forming(market, "1Y_CAL_ANCHOR", at)
    prices.drop(market, 1, range(41, 60))
    assert forming(market, "1Y_CAL_ANCHOR", at) == before


def test_an_exchange_s_bar_ends_with_its_calendar(equity, new_york):
    ends = [end for end in sessions.ends(new_york) if end.year == 2024]
    sessions.put(equity, dict.fromkeys(ends, 10.0))
    week = forming(equity, "1W_CAL_ISO", datetime(2024, 11, 28, 12, tzinfo=UTC), sessions.EQUITY)
    assert (week["count_days"], week["count_missing_days"]) == (3, 0)
    assert week["time_close"] == datetime(2024, 11, 29, 17, 59, 59, 999000, tzinfo=UTC)
    late = datetime(2024, 12, 31, 23, tzinfo=UTC)
    assert forming(equity, "365D", late, sessions.EQUITY)["count_days"] == 252


@pytest.mark.parametrize(
    ("arguments", "state"),
    [
        ((1, "3X", "2021-01-01"), "TA108"),
        ((77, "1D", "2021-01-01"), "TA210"),
        ((1, "1D", None), "22004"),
        ((1, None, "2021-01-01"), "22004"),
    ],
)
def test_what_is_unknown_or_null_is_an_error(market, arguments, state):
    with pytest.raises(psycopg.Error) as caught:
        market.execute("select * from bars.forming(%s, %s, %s)", arguments)
    assert caught.value.sqlstate == state
    assert caught.value.diag.message_hint
