"""Returns of an asset that trades in New York: n sessions, not n days; and the contract's core."""

from __future__ import annotations

import math
from datetime import date, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ta_lab2.bars import queries as bars
from ta_lab2.features.tables import cmc_returns_daily
from ta_lab2.timemodel import queries
from tests.support import contract, naive, prices, sessions
from tests.support.contract import DAILY, price
from tests.support.plpython import SQL
from tests.support.sessions import EQUITY

COLUMNS = [column.name for column in cmc_returns_daily.columns]


def refresh(conn, asset=EQUITY) -> int:
    contract.only(conn, ())
    conn.execute(
        "insert into features.refresh_state (id) values (%s) on conflict do nothing", [asset]
    )
    return conn.execute(
        "select c.rows_written from features.refresh_asset(%s) as c", (asset,)
    ).fetchone()[0]


def returns(conn, asset=EQUITY):
    found = conn.execute(
        "select r.* from features.cmc_returns_daily as r where r.id = %s order by r.ts", (asset,)
    )
    return {row[1]: dict(zip(COLUMNS, row, strict=True)) for row in found}


def from_day(schedule, first, count):
    """So many sessions from a date on."""
    return sessions.part(schedule, schedule.dates.index(first), count)


def test_a_return_over_thanksgiving_and_the_weekend_is_one_of_neighbouring_sessions(
    equity, new_york
):
    week = from_day(new_york, date(2024, 11, 25), 6)
    ends = sessions.ends(week)
    assert [day.day for day in week.dates] == [25, 26, 27, 29, 2, 3]
    sessions.put(equity, dict(zip(ends, [100.0, 110.0, 99.0, 198.0, 99.0, 33.0], strict=True)))
    assert refresh(equity) == 6 * len(DAILY)
    found = returns(equity)
    assert list(found) == ends
    assert [found[ts]["ret_pct_1"] for ts in ends] == [
        None,
        *map(pytest.approx, (0.1, -0.1, 1.0, -0.5, -2 / 3)),
    ]
    assert found[ends[5]]["ret_pct_5"] == pytest.approx(-0.67)
    assert found[ends[3]]["ret_pct_3"] == pytest.approx(0.98)
    assert not any(row["is_gap"] for row in found.values())
    assert [row["gap_days"] for row in found.values()] == [None, 1, 1, 1, 1, 1]


def test_a_session_without_a_candle_has_a_row_and_a_holiday_has_none(equity, new_york):
    week = from_day(new_york, date(2024, 11, 25), 6)
    ends = sessions.ends(week)
    sessions.put(equity, {ts: 5.0 for ts in ends if ts != ends[2]})
    refresh(equity)
    found = returns(equity)
    assert list(found) == ends
    assert [ts for ts, row in found.items() if row["is_gap"]] == [ends[2]]
    assert found[ends[3]]["gap_days"] == 2
    assert found[ends[3]]["ret_pct_1"] is None
    assert found[ends[3]]["ret_pct_3"] == 0.0


def test_stored_rows_agree_with_the_slow_way_over_three_years(equity, new_york):
    years = from_day(new_york, date(2019, 1, 2), 750)
    ends = sessions.ends(years)
    closes = {n: price(n, 1) for n in range(750) if n % 11 != 5}
    sessions.put(equity, {ends[n]: close for n, close in closes.items()})
    refresh(equity)
    expected, found = naive.returns(closes), returns(equity)
    assert found.keys() == {ends[n] for n in expected}
    for number, row in expected.items():
        for name, value in row.items():
            got = found[ends[number]][name]
            if isinstance(value, float):
                assert math.isclose(got, value, rel_tol=1e-9, abs_tol=1e-14), (number, name)
            else:
                assert got == value, (number, name)


def test_one_new_session_of_an_equity_reads_no_more_than_its_windows(equity, new_york):
    years = from_day(new_york, date(2019, 1, 2), 750)
    *before, last = sessions.ends(years)
    sessions.put(equity, {ts: price(n, 3) for n, ts in enumerate(before)})
    refresh(equity)
    sessions.put(equity, {last: 5.0})
    read, *counts = equity.execute(
        """
        select c.rows_read, c.rows_written, c.rows_unchanged
        from features.refresh_assets(array[%s]) as c
        where c.feature_type = 'returns'
        """,
        (EQUITY,),
    ).fetchone()
    assert read < 400
    assert counts == [1, 0]


def test_a_candle_on_a_holiday_is_refused_by_name(equity, new_york):
    week = from_day(new_york, date(2024, 11, 25), 6)
    ends = sessions.ends(week)
    sessions.put(equity, {**dict.fromkeys(ends, 5.0), ends[2] + timedelta(days=1): 5.0})
    with pytest.raises(psycopg.Error, match="belongs to no session") as caught:
        refresh(equity)
    assert caught.value.sqlstate == "TA404"
    assert "2024-11-28T20:59:59.999" in caught.value.diag.message_detail


def test_a_candle_after_the_calendar_s_end_is_an_error_that_names_the_command(tx, new_york):
    short = from_day(new_york, date(2024, 1, 2), 20)
    queries.load_calendar(tx, "EQUITY", short)
    ends = sessions.ends(short)
    sessions.put(tx, {ends[0]: 5.0, ends[-1] + timedelta(days=30): 5.0})
    with pytest.raises(psycopg.Error, match="the calendar of EQUITY does not reach") as caught:
        refresh(tx)
    assert "`ta-lab2 calendar refresh --session EQUITY`" in caught.value.diag.message_hint


def test_a_refresh_fails_only_for_the_asset_whose_session_went(own_db, autocommit, new_york):
    conn = autocommit(own_db)
    contract.only(conn, ())
    january = from_day(new_york, date(2025, 1, 2), 20)
    queries.load_calendar(conn, "EQUITY", january)
    ends = sessions.ends(january)
    sessions.put(conn, dict.fromkeys(ends, 5.0))
    sessions.put(conn, {ends[1]: 5.0, ends[19]: 5.0}, asset=EQUITY + 1)
    prices.put(conn, 1, {0: 1.0, 1: 2.0})
    contract.refresh(conn)
    before = returns(conn)
    assert queries.load_calendar(conn, "EQUITY", sessions.without(january, [9])).removed == 1
    with pytest.raises(AssertionError, match=f"asset {EQUITY} failed: a candle belongs to no"):
        contract.refresh(conn)
    assert returns(conn) == before
    assert len(returns(conn, EQUITY + 1)) == 18
    [(_, stray)] = bars.stray_candles(conn, "EQUITY")
    sessions.drop(conn, [stray])
    contract.refresh(conn)
    assert returns(conn).keys() == set(ends) - {ends[9]}
    assert contract.digest(conn) == contract.full(conn)


DAYS = 300
TIMEFRAMES = (
    "1D",
    "5D",
    "1W",
    "4D_CAL",
    "1W_CAL_ISO",
    "2W_CAL_ANCHOR_US",
    "1M_CAL",
    "3M_CAL_ANCHOR",
    "1Y_CAL",
)
spans = st.tuples(st.integers(0, DAYS - 1), st.integers(1, DAYS), st.sampled_from([1, 1, 2, 7, 40]))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), spans, st.integers(0, 5)),
        st.tuples(st.just("drop"), spans, st.just(0)),
        st.tuples(st.just("calendar"), spans, st.integers(0, 2)),
        st.tuples(st.just("refresh"), st.just((0, 0, 1)), st.just(0)),
    ),
    min_size=1,
    max_size=7,
)


def numbers_of(span):
    start, length, stride = span
    return range(start, min(start + length, DAYS), stride)


def incremental_equals_full(
    conn, calendar, *, examples: int, shrink: bool = True, upto: str = contract.LAST
) -> None:
    """Whatever is loaded and deleted, and however the calendar changes under it."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(steps=steps)
    def holds(steps) -> None:
        contract.start_over(conn)
        queries.load_calendar(conn, "EQUITY", calendar)
        conn.execute("delete from bars.dirty_range")
        stamps = dict(enumerate(sessions.ends(calendar)))
        # With gaps: a session without a candle is one that only the calendar can change.
        contract.only(conn, TIMEFRAMES)
        sessions.put(conn, {stamps[n]: price(n, 1) for n in range(0, DAYS, 3)})
        contract.refresh(conn, upto=upto)
        for what, span, salt in steps:
            chosen = [n for n in numbers_of(span) if n in stamps]
            if what == "put":
                sessions.put(conn, {stamps[n]: price(n, salt) for n in chosen})
            elif what == "drop":
                sessions.drop(conn, [stamps[n] for n in chosen])
            elif what == "calendar":
                # Some days are closed and lose their candles first, some close early.
                shut = chosen[1:200:3] if salt != 1 else []
                early = chosen[2:200:3] if salt else []
                sessions.drop(conn, [stamps[n] for n in shut])
                standing = sessions.without(calendar, shut, early)
                queries.load_calendar(conn, "EQUITY", standing)
                kept = [n for n in range(2 * DAYS) if n not in set(shut)]
                stamps = dict(zip(kept, sessions.ends(standing), strict=True))
                assert bars.stray_candles(conn, "EQUITY") == []
            else:
                contract.refresh(conn, upto=upto)
        contract.refresh(conn, upto=upto)
        incremental = contract.digest(conn, upto)
        again = contract.refresh(conn, upto=upto)
        assert contract.written(again, upto) == 0, "a second run writes nothing"
        assert incremental == contract.full(conn, upto)

    holds()


@pytest.fixture
def calendar(new_york):
    """Three hundred sessions with both changes of the clocks, and as many to come."""
    return from_day(new_york, date(2023, 6, 1), 2 * DAYS)


def test_incremental_equals_full_to_the_last_bit_for_an_equity(own_db, autocommit, calendar):
    incremental_equals_full(autocommit(own_db), calendar, examples=40)


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("functions/bars/log_changed_sessions.sql", "        perform bars._log_sessions("),
        ("functions/bars/log_moved_sessions.sql", "        perform bars._move_candles("),
    ],
    ids=["not dirty", "not moved"],
)
def test_a_calendar_that_changes_unseen_is_found(own_db, autocommit, calendar, path, call):
    conn = autocommit(own_db)
    text = (SQL / path).read_text()
    [line] = [line for line in text.splitlines() if line.startswith(call)]
    contract.broken(conn, path, (line, ""))
    contract.is_found(
        lambda: incremental_equals_full(
            conn, calendar, examples=60, shrink=False, upto="refresh_features"
        )
    )
