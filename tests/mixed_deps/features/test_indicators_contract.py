"""Indicators against the contract where their configuration changes too, and planted faults."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ta_lab2.features import queries
from tests.support import contract, prices

KERNEL = "functions/features/indicators_kernel.sql"
STEP = "functions/features/refresh_indicators.sql"
ADDED = (("rsi", '{"period": 5}'), ("atr", '{"period": 3}'), ("bollinger", '{"period": 9}'))
SWITCHED = ("rsi_5", "atr_3", "bb_upper_9_2", "rsi_14", "macd_8_17_9", "adx_14")
CHOICES = (["RSI"], ["macd_8_17_9", "stoch_d_14_3"], ["Atr", "adx"])
DAYS = 160
#: No more is needed to find a fault in an indicator.
FEATURES = contract.INDICATORS.verb


@pytest.fixture
def connect(own_db, autocommit):
    """Open connections to a database of the test's own, without bars and with three more rows."""
    conn = autocommit(own_db)
    contract.only(conn, ())
    contract.unread(conn)
    for row in ADDED:
        conn.execute("insert into features.dim_indicators (kind, params) values (%s, %s)", row)
    return lambda: autocommit(own_db)


@pytest.fixture
def conn(connect):
    """One of them."""
    return connect()


def switch(conn: psycopg.Connection, columns: Sequence[str], *, on: bool) -> None:
    conn.execute(
        "update features.dim_indicators set is_active = %s where columns && %s",
        (on, list(columns)),
    )


changes = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, DAYS - 1), st.integers(1, 40), st.integers(0, 2)),
        st.tuples(st.just("drop"), st.integers(0, DAYS - 1), st.integers(1, 40), st.just(0)),
        st.tuples(
            st.sampled_from(["on", "off"]),
            st.integers(0, len(SWITCHED) - 1),
            st.just(0),
            st.just(0),
        ),
        st.tuples(st.just("policy"), st.integers(0, 2), st.just(0), st.just(0)),
        st.tuples(st.just("refresh"), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("chosen"), st.integers(0, len(CHOICES) - 1), st.just(0), st.just(0)),
    ),
    min_size=2,
    max_size=9,
)


def any_configuration_equals_full(
    conn: psycopg.Connection, examples: int, upto: str = contract.LAST
) -> None:
    """Whatever is loaded, switched and revised ends in the bits of a build with what is on then."""

    @seed(1)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(steps=changes)
    def holds(steps: list[tuple[str, int, int, int]]) -> None:
        switch(conn, SWITCHED, on=True)
        contract.start_over(conn)
        contract.put(conn, 1, contract.history(90, without=13))
        contract.refresh(conn, upto=upto)
        for what, first, length, salt in steps:
            if what == "put":
                days = range(first, min(first + length, DAYS))
                contract.put(conn, 1, {n: contract.price(n, salt) for n in days})
            elif what == "drop":
                prices.drop(conn, 1, range(first, min(first + length, DAYS)))
            elif what == "policy":
                conn.execute(
                    "update features.dim_features set null_policy = %s"
                    " where feature_type = 'indicators'",
                    (("skip", "forward_fill", "interpolate")[first],),
                )
            elif what == "refresh":
                contract.refresh(conn, upto=upto)
            elif what == "chosen":
                queries.refresh(conn, indicators=CHOICES[first])
            else:
                switch(conn, [SWITCHED[first]], on=what == "on")
        switch(conn, SWITCHED, on=True)
        contract.refresh(conn, upto=upto)
        incremental = contract.digest(conn, upto)
        again = contract.refresh(conn, upto=upto)
        assert contract.written(again, upto) == 0, "a second run writes nothing"
        assert incremental == contract.full(conn, upto)

    holds()


def test_any_configuration_equals_full(conn):
    any_configuration_equals_full(conn, 60)


def a_new_one_equals_a_build(conn: psycopg.Connection) -> None:
    """A row that comes together with candles, new and revised, is filled like the others."""
    contract.put(conn, 1, contract.history(90))
    contract.refresh(conn)
    conn.execute(
        "insert into features.dim_indicators (kind, params) values ('adx', '{\"period\": 6}')"
    )
    contract.put(conn, 1, {95: 60.0, 40: 61.0})
    contract.refresh(conn)
    incremental = contract.digest(conn)
    assert incremental == contract.full(conn)


def test_a_new_indicator_in_the_middle_equals_a_build_with_it(conn):
    a_new_one_equals_a_build(conn)


def test_two_sessions_add_a_column_once(connect):
    conn = connect()
    for asset in range(1, 5):
        contract.put(conn, asset, contract.history(60, asset))
    contract.two_share_the_work(connect)
    assert conn.execute(
        """
        select count(*)
        from pg_attribute as a
        where a.attrelid = 'features.cmc_ta_daily'::regclass and a.attname = 'rsi_5'
        """
    ).fetchone() == (1,)


# Each check, seen to fail.


def test_an_output_of_the_next_candle_is_found(conn):
    output = "np.where(np.isfinite(output), output, np.nan)"
    contract.broken(conn, KERNEL, (output, f"np.roll({output}, -1)"))
    contract.is_found(
        lambda: contract.never_looks_ahead(conn, prefixes=20, days=120, upto=FEATURES)
    )


def test_a_line_to_the_wrong_candle_is_found(connect):
    contract.broken(connect(), KERNEL, ("source[is_gap] + 1\n", "source[is_gap] - 1\n"))
    contract.is_found(lambda: contract.any_batches_and_restarts(connect, upto=FEATURES))


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        (KERNEL, 'each["params"], carried\n', 'each["params"], None\n'),
        (KERNEL, "now.append(values[-1])", "now.append(values[0])"),
        (STEP, "and b.ts > a.read_ts", "and b.ts > a.read_ts + interval '24 hours'"),
    ],
    ids=["the recurrence is lost", "the last values are lost", "a candle is skipped"],
)
def test_a_state_that_is_not_that_of_the_last_candle_is_found(connect, path, text, fault):
    contract.broken(connect(), path, (text, fault))
    contract.is_found(lambda: contract.any_batches_and_restarts(connect, upto=FEATURES))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("select unnest(p_active)\n", "select unnest(p_active) where false\n"),
        ("s.last_processed_ts < a.from_ts as", "s.last_processed_ts is not null as"),
    ],
    ids=["what is missing is not worked out", "a repair goes on"],
)
def test_an_indicator_that_is_not_filled_is_found(conn, text, fault):
    contract.broken(conn, STEP, (text, fault))
    contract.is_found(lambda: any_configuration_equals_full(conn, 60, FEATURES))


def test_a_repair_that_forgets_a_new_indicator_is_found(conn):
    contract.broken(
        conn, STEP, ("when k.missing <> '{}' then '-infinity'", "when false then '-infinity'")
    )
    contract.is_found(lambda: a_new_one_equals_a_build(conn))
