"""What the table and the chart are made from, against candles counted by hand."""

from __future__ import annotations

from datetime import date

import pytest

from ta_lab2.ops import market

CANDLES = [
    (1, "2024-01-01", 100.0), (1, "2024-01-02", 110.0), (1, "2024-01-05", 88.0),
    (1, "2024-01-06", 99.0), (2, "2024-01-20", 7.0),
]  # fmt: skip


@pytest.fixture
def conn(tx):
    """A connection to a database with two assets, one of a single candle, and returns of one."""
    tx.execute(
        "insert into bars.dim_assets as a (id, symbol, slug) values"
        " (1, 'ONE', 'one'), (2, 'TWO', 'two'), (3, 'NONE', 'none')"
    )
    with tx.cursor() as cursor:
        cursor.executemany(
            """
            insert into bars.cmc_price_histories7 as p (id, ts, open, high, low, close)
            values (%s, %s::timestamp at time zone 'UTC' + interval '23:59:59.999',
                    %s, %s, %s, %s)
            """,
            [(id_, day, close, close, close, close) for id_, day, close in CANDLES],
        )
    tx.execute("select features.refresh_asset(1)")
    return tx


def test_the_summary_counts_candles_and_missing_days(conn):
    one, two = market.price_summary(conn, [1, 2, 3])
    assert (one.symbol, one.first_day, one.last_day) == ("ONE", date(2024, 1, 1), date(2024, 1, 6))
    assert (one.candles, one.missing_days, one.last_close) == (4, 2, 99.0)
    assert one.last_return == pytest.approx(0.125)
    assert one.best_return == pytest.approx(0.125)
    assert one.worst_return == pytest.approx(0.1)
    assert (two.candles, two.missing_days) == (1, 0)
    assert (two.last_return, two.worst_return, two.best_return) == (None, None, None)


def test_only_the_assets_that_are_asked_for_are_summed_up(conn):
    assert [row.id for row in market.price_summary(conn, [2])] == [2]
    assert conn.execute("select array_agg(s.id) from ops.price_summary() as s").fetchone() == (
        [1, 2],
    )


def test_a_line_has_an_element_a_day_and_nothing_where_there_is_no_candle(conn):
    one, two = market.price_lines(conn, [1, 2])
    assert one.days == [date(2024, 1, day) for day in range(1, 7)]
    assert one.index == pytest.approx([100, 110, None, None, 88, 99])
    assert one.returns == pytest.approx([None, 0.1, None, None, None, 0.125])
    assert one.quantiles == pytest.approx([0.10025, 0.10625, 0.1125, 0.11875, 0.12475])
    assert (two.index, two.returns, two.quantiles) == ([100.0], [None], None)


def test_a_line_ends_early_when_others_go_on_for_more_than_a_week(conn):
    assert [line.ends_early for line in market.price_lines(conn, [1, 2])] == [True, False]
    assert [line.ends_early for line in market.price_lines(conn, [1])] == [False]


@pytest.mark.parametrize(("day", "early"), [("2024-01-12", True), ("2024-01-13", False)])
def test_a_week_is_no_early_end_yet(conn, day, early):
    conn.execute(
        """
        insert into bars.cmc_price_histories7 as p (id, ts, open, high, low, close)
        values (1, %s::timestamp at time zone 'UTC' + interval '23:59:59.999', 9, 9, 9, 9)
        """,
        (day,),
    )
    assert market.price_lines(conn, [1, 2])[0].ends_early is early


def test_of_too_many_assets_the_longest_histories_are_drawn(conn):
    rows = conn.execute("select l.symbol from ops.price_lines(p_most => 1) as l").fetchall()
    assert rows == [("ONE",)]


def test_the_time_zone_of_the_session_moves_no_day(conn):
    before = market.price_summary(conn, [1]), market.price_lines(conn, [1])
    conn.execute("set local timezone = 'Pacific/Kiritimati'")
    assert (market.price_summary(conn, [1]), market.price_lines(conn, [1])) == before


def test_an_empty_database_has_no_prices(tx):
    assert not market.has_prices(tx)
    assert market.price_summary(tx, [1]) == []
    assert market.price_lines(tx, [1]) == []
