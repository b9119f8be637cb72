"""One asset's returns against the slow way, and whatever order the candles came in."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import prices

DAYS = 25

closes = st.floats(1e-9, 1e6, allow_subnormal=False)
numbers = st.integers(0, DAYS - 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.dictionaries(numbers, closes, min_size=1, max_size=6)),
        st.tuples(st.just("drop"), st.sets(numbers, min_size=1, max_size=6)),
        st.tuples(st.just("refresh"), st.none()),
    ),
    max_size=8,
)
each_rolled_back = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def refresh(conn, asset=1) -> int:
    return conn.execute("select features.refresh_asset(%s)", (asset,)).fetchone()[0]


def returns(conn, asset=1):
    return {
        ts: (pct, log)
        for ts, pct, log in conn.execute(
            """
            select r.ts, r.ret_pct_1, r.ret_log_1
            from features.cmc_returns_daily as r
            where r.id = %s
            """,
            (asset,),
        )
    }


def digest(conn):
    """Every bit of what is stored but the wall clock's stamps."""
    return conn.execute(
        """
        select
            (select string_agg(r::text, ';' order by r.id, r.ts)
                from features.cmc_returns_daily as r),
            (select string_agg(s.id || coalesce(s.last_error, ''), ';' order by s.id)
                from features.refresh_state as s)
        """
    ).fetchone()


def test_returns_match_the_worked_example(tx):
    prices.put(tx, 1, {0: 100.0, 1: 110.0, 2: 99.0, 4: 99.0})
    assert refresh(tx) == 4
    found = returns(tx)
    assert found[prices.ts(0)] == (None, None)
    assert found[prices.ts(1)] == pytest.approx((0.1, 0.0953101798043249))
    assert found[prices.ts(2)] == pytest.approx((-0.1, -0.1053605156578263))
    assert found[prices.ts(4)] == (None, None)


@each_rolled_back
@given(steps=steps)
def test_any_history_ends_in_the_naive_returns_and_in_the_bits_of_a_full_build(tx, steps):
    with tx.transaction(force_rollback=True):
        known: dict[int, float] = {}
        prices.put(tx, 1, {})
        tx.execute("insert into features.refresh_state (id) values (1)")
        for what, given_ in steps:
            if what == "put":
                prices.put(tx, 1, given_)
                known |= given_
            elif what == "drop":
                prices.drop(tx, 1, given_)
                known = {number: close for number, close in known.items() if number not in given_}
            else:
                refresh(tx)
        refresh(tx)
        expected = prices.naive_returns(known)
        found = returns(tx)
        assert found.keys() == expected.keys()
        for ts, (pct, log) in found.items():
            assert pct == expected[ts][0]
            # Python's logarithm may come from another libm than the server's.
            assert (log is None) == (pct is None)
            assert log is None or math.isclose(log, expected[ts][1], rel_tol=1e-12)
        assert refresh(tx) == 0
        incremental = digest(tx)
        tx.execute("delete from features.cmc_returns_daily")
        refresh(tx)
        assert digest(tx) == incremental


def test_only_what_depends_on_a_revised_candle_is_written(tx):
    prices.put(tx, 1, {number: 100.0 + number for number in range(300)})
    assert refresh(tx) == 300
    prices.put(tx, 1, {7: 50.0})
    assert refresh(tx) == 2
    prices.drop(tx, 1, [7])
    # Its own row goes, and the next day has nothing to compare with.
    assert refresh(tx) == 2
    assert refresh(tx) == 0


def test_no_return_knows_what_comes_after_it(tx):
    history = {n: 100.0 + (n * 37) % 11 for n in range(80) if n % 9}
    prices.put(tx, 1, history)
    refresh(tx)
    full = returns(tx)
    for last in sorted(history, reverse=True):
        prices.drop(tx, 1, [n for n in history if n > last])
        refresh(tx)
        assert returns(tx) == {ts: row for ts, row in full.items() if ts <= prices.ts(last)}


def test_the_session_time_zone_plays_no_part(tx):
    # 2021-03-14 has 23 hours in New York.
    prices.put(tx, 1, {number: 100.0 + number for number in range(120)})
    refresh(tx)
    tx.execute("set local timezone = 'America/New_York'")
    assert refresh(tx) == 0


def test_one_asset_never_touches_another(tx):
    prices.put(tx, 1, {0: 1.0, 1: 2.0})
    prices.put(tx, 2, {0: 5.0, 1: 4.0})
    refresh(tx, 1)
    assert returns(tx, 2) == {}
    refresh(tx, 2)
    assert returns(tx, 1)[prices.ts(1)][0] == 1.0
    assert returns(tx, 2)[prices.ts(1)][0] == pytest.approx(-0.2)
