"""Intraday candles: what a row may say, and which of them changed, whichever client wrote them."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from ta_lab2.bars.errors import IntradayIsKept
from ta_lab2.errors import translated
from tests.support import intraday
from tests.support.intraday import FIVE, HOUR, candle, ts


def taken(conn) -> list[tuple[int, int, int]]:
    """Take all ranges, each as asset, first and last candle of five minutes."""
    rows = conn.execute(
        "delete from bars.dirty_range as d returning d.consumer, d.id, d.from_ts, d.to_ts"
    ).fetchall()
    assert {row[0] for row in rows} <= {"intraday"}
    return sorted((row[1], *((at - intraday.FIRST) // FIVE for at in row[2:])) for row in rows)


def series(conn) -> list[tuple[int, timedelta]]:
    return conn.execute("select s.id, s.resolution from bars.intraday_state as s order by 1, 2")


def test_an_insert_logs_one_range_per_asset_and_makes_its_series(tx):
    intraday.put(tx, 1, {3: candle(3), 400: candle(400)})
    intraday.put(tx, 2, {0: candle(0)}, resolution=HOUR)
    assert taken(tx) == [(1, 3, 400), (2, 0, 0)]
    assert list(series(tx)) == [(1, FIVE), (2, HOUR)]


def test_an_upsert_logs_what_is_new_and_what_differs(tx):
    intraday.put(tx, 1, {n: candle(n) for n in range(10)})
    taken(tx)
    intraday.put(tx, 1, {2: candle(2), 4: candle(5), 6: candle(7), 8: candle(8), 20: candle(2)})
    assert taken(tx) == [(1, 4, 6), (1, 20, 20)]


@pytest.mark.parametrize("change", ["open = 2", "high = 9", "low = 0.5", "close = 2", "volume = 1"])
def test_a_change_of_any_column_is_one_and_its_repetition_is_none(tx, change):
    intraday.put(tx, 1, {3: intraday.Candle(1, 3, 1, 1, None)})
    taken(tx)
    tx.execute(f"update bars.intraday_candles set {change}")
    assert taken(tx) == [(1, 3, 3)]
    tx.execute(f"update bars.intraday_candles set {change}")
    assert taken(tx) == []


def test_a_delete_logs_what_it_removed_and_the_series_stays(tx):
    intraday.put(tx, 1, {n: candle(n) for n in range(10)})
    taken(tx)
    intraday.drop(tx, 1, [2, 5, 77])
    assert taken(tx) == [(1, 2, 5)]
    tx.execute("delete from bars.intraday_candles")
    assert list(series(tx)) == [(1, FIVE)]


def test_a_candle_that_moves_dirties_both_places_and_makes_its_series(tx):
    intraday.put(tx, 1, {3: candle(3)})
    intraday.put(tx, 2, {})
    taken(tx)
    tx.execute("update bars.intraday_candles set ts = %s", (ts(5),))
    assert taken(tx) == [(1, 3, 5)]
    tx.execute("update bars.intraday_candles set id = 2, resolution = '1 minute'")
    assert taken(tx) == [(1, 5, 5), (2, 5, 5)]
    assert list(series(tx)) == [(1, FIVE), (2, timedelta(minutes=1))]


def test_copy_is_no_way_round(tx):
    intraday.put(tx, 1, {})
    columns = "(id, resolution, ts, open, high, low, close)"
    with (
        tx.cursor() as cursor,
        cursor.copy(f"copy bars.intraday_candles {columns} from stdin") as copy,
    ):
        copy.write_row((1, FIVE, ts(7), 1, 3, 1, 2))
    assert taken(tx) == [(1, 7, 7)]


def test_truncate_is_refused(tx):
    with pytest.raises(IntradayIsKept) as caught, translated():
        tx.execute("truncate bars.intraday_candles")
    assert "delete" in caught.value.hint


def test_a_candle_says_when_it_was_stored_whatever_the_client_says(tx):
    intraday.put(tx, 1, {3: candle(3)})
    tx.execute("update bars.intraday_candles set recorded_at = '1999-01-01'")
    row = tx.execute("select c.recorded_at = now() from bars.intraday_candles as c").fetchone()
    assert row == (True,)


@pytest.mark.parametrize(
    ("resolution", "at", "prices", "rule"),
    [
        ("7 minutes", "00:00", (1, 3, 1, 2, 0), "resolution_divides_the_hour"),
        ("2 hours", "00:00", (1, 3, 1, 2, 0), "resolution_divides_the_hour"),
        ("1 month", "00:00", (1, 3, 1, 2, 0), "resolution_divides_the_hour"),
        ("0", "00:00", (1, 3, 1, 2, 0), "resolution_divides_the_hour"),
        ("5 minutes", "00:03", (1, 3, 1, 2, 0), "ts_begins_a_candle"),
        ("5 minutes", "00:05:00.001", (1, 3, 1, 2, 0), "ts_begins_a_candle"),
        ("5 minutes", "00:05", (4, 3, 1, 2, 0), "prices_are_in_order"),
        ("5 minutes", "00:05", (1, 3, 2, 2, 0), "prices_are_in_order"),
        ("5 minutes", "00:05", (0, 3, 0, 2, 0), "prices_are_positive"),
        ("5 minutes", "00:05", (1, float("nan"), 1, 2, 0), "prices_are_positive"),
        ("5 minutes", "00:05", (1, 3, 1, 2, -1), "volume_is_a_number"),
        ("5 minutes", "00:05", (1, 3, 1, 2, float("nan")), "volume_is_a_number"),
    ],
)
def test_a_row_that_is_no_candle_is_refused(tx, resolution, at, prices, rule):
    intraday.put(tx, 1, {})
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        tx.execute(
            """
            insert into bars.intraday_candles (id, resolution, ts, open, high, low, close, volume)
            values (1, %s, '2024-03-01'::timestamptz + %s::interval, %s, %s, %s, %s, %s)
            """,
            (resolution, at, *prices),
        )
    assert caught.value.diag.constraint_name.endswith(rule)


def test_series_of_two_resolutions_stand_side_by_side(tx):
    intraday.put(tx, 1, {0: candle(0)})
    intraday.put(tx, 1, {0: candle(1)}, resolution=HOUR)
    row = tx.execute("select count(*) from bars.intraday_candles").fetchone()
    assert row == (2,)
