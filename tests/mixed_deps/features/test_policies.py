"""Rows of dim_features: what fills gaps and what is an outlier, as they reach the tables."""

from __future__ import annotations

import math

import psycopg
import pytest

from ta_lab2.errors import translated
from ta_lab2.features.errors import PolicyMeansNothing
from ta_lab2.features.tables import cmc_vol_daily
from tests.support import contract, naive, prices

COLUMNS = [column.name for column in cmc_vol_daily.columns]


@pytest.fixture
def conn(own_db, autocommit):
    """A database of the test's own, with the bars of days alone."""
    conn = autocommit(own_db)
    contract.only(conn, ["1D"])
    return conn


def configure(conn, feature_type, **values):
    given = ", ".join(f"{name} = %s" for name in values)
    with translated():
        conn.execute(
            f"update features.dim_features set {given} where feature_type = %s",
            [*values.values(), feature_type],
        )


def due(conn):
    """The computations that a refresh would work on."""
    found = conn.execute(
        "select c.feature_type from features.refresh_candidates() as c where c.from_ts is not null"
    )
    return {feature_type for (feature_type,) in found}


def test_a_return_that_is_filled_is_refused_and_says_why(tx):
    for policy in ("forward_fill", "interpolate"):
        with tx.transaction(force_rollback=True), pytest.raises(PolicyMeansNothing) as caught:
            configure(tx, "returns", null_policy=policy)
        assert "count a move of the price that was not there" in str(caught.value.detail)
        assert "Leave it at skip" in str(caught.value.hint)
    configure(tx, "returns", null_policy="skip")


def test_flags_of_indicators_are_refused_and_say_why(tx):
    with pytest.raises(PolicyMeansNothing, match="no outlier flags"):
        configure(tx, "indicators", outlier_sigmas=4)


@pytest.mark.parametrize(
    ("feature_type", "values"),
    [
        ("volatility", {"null_policy": "guess"}),
        ("volatility", {"look_back": 19}),
        ("returns", {"look_back": 2521}),
        ("returns", {"look_back": None}),
        ("returns", {"outlier_sigmas": 0}),
        ("volatility", {"outlier_sigmas": math.nan}),
        ("volatility", {"outlier_fence": math.inf}),
        ("volatility", {"outlier_fence": None}),
        ("indicators", {"null_policy": None}),
    ],
)
def test_what_is_out_of_bounds_is_refused(tx, feature_type, values):
    with pytest.raises(psycopg.errors.IntegrityError):
        configure(tx, feature_type, **values)


@pytest.mark.parametrize(
    ("feature_type", "values", "then"),
    [
        ("returns", {"look_back": 30}, {"returns"}),
        ("returns", {"outlier_sigmas": 3}, {"returns"}),
        ("volatility", {"null_policy": "skip"}, {"volatility"}),
        ("volatility", {"outlier_fence": 3}, {"volatility"}),
        ("indicators", {"null_policy": "skip"}, {"indicators"}),
    ],
)
def test_a_change_makes_that_computation_due_and_no_other(conn, feature_type, values, then):
    contract.put(conn, 1, contract.history(90))
    contract.refresh(conn)
    assert due(conn) == set()
    configure(conn, feature_type, **values)
    assert due(conn) == then
    contract.refresh(conn)
    assert due(conn) == set()
    found = contract.digest(conn)
    assert found == contract.full(conn)


@pytest.mark.parametrize("policy", ["skip", "interpolate"])
def test_volatilities_of_gaps_follow_their_policy(conn, policy):
    closes = contract.history(60)
    contract.put(conn, 1, closes)
    configure(conn, "volatility", null_policy=policy)
    configure(conn, "indicators", null_policy="skip")
    contract.refresh(conn)
    candles = {n: contract.candle(1, n, close, 1)[2:6] for n, close in closes.items()}
    expected = naive.filled(naive.volatilities(candles), policy)
    stored = conn.execute("select v.* from features.cmc_vol_daily as v order by v.ts").fetchall()
    assert [row[1] for row in stored] == [prices.ts(n) for n in expected]
    for values, (number, row) in zip(stored, expected.items(), strict=True):
        got = dict(zip(COLUMNS, values, strict=True))
        known = min(n for n in closes if n >= number) if row["is_filled"] else number
        assert got["available_at"] == prices.ts(known)
        for name, value in row.items():
            same = got[name] == value or math.isclose(got[name], value, rel_tol=1e-9, abs_tol=1e-14)
            assert same, (number, name)
    (hidden,) = conn.execute(
        "select count(*) from features.as_of('{1}', %s) as f where f.ts = %s",
        (prices.ts(27), prices.ts(27)),
    ).fetchone()
    assert 27 not in closes
    assert hidden == (policy == "skip")


def odd(conn) -> None:
    """Configure everything otherwise."""
    configure(
        conn,
        "volatility",
        null_policy="interpolate",
        look_back=40,
        outlier_sigmas=2,
        outlier_fence=0.5,
    )
    configure(conn, "returns", look_back=25, outlier_sigmas=1, outlier_fence=0.7)
    configure(conn, "indicators", null_policy="forward_fill")


def test_any_policy_and_rule_equals_a_full_build(conn):
    odd(conn)
    contract.incremental_equals_full(conn, examples=15)


#: Days, for windows that are longer than others.
YEARS = 800


def test_a_look_back_of_years_equals_a_full_build(conn):
    configure(conn, "volatility", look_back=500)
    configure(conn, "returns", look_back=600)
    contract.incremental_equals_full(conn, examples=10, days=YEARS)


def test_nothing_looks_ahead_whatever_fills_the_gaps(conn):
    odd(conn)
    contract.never_looks_ahead(conn, prefixes=40, days=200)


def test_features_as_they_were_known_go_by_the_same_rules(conn):
    odd(conn)
    contract.put(conn, 1, contract.history(120))
    contract.refresh(conn)
    both = [
        conn.execute(
            f"select record_send(f) from features.as_of(p_known_at => {known}) as f"
        ).fetchall()
        for known in ("null", "'infinity'")
    ]
    assert both[0] == both[1]
    assert len(both[0]) == 120


# Each check, seen to fail.

FEATURES = contract.RETURNS.verb


def test_a_line_that_is_known_too_early_is_found(conn):
    odd(conn)
    contract.broken(
        conn,
        "functions/features/vol_kernel.sql",
        ("available[is_filled] = ts[source[is_filled] + 1]", "pass"),
    )
    contract.is_found(
        lambda: contract.never_looks_ahead(conn, prefixes=40, days=200, upto=FEATURES)
    )


def test_a_look_back_that_reads_too_little_is_found(conn):
    configure(conn, "volatility", look_back=500)
    contract.broken(
        conn,
        "functions/features/vol_kernel.sql",
        ("first < max(p_look_back + SCORED, 1 + max(WINDOWS))", "first < 1 + max(WINDOWS)"),
    )
    contract.broken(
        conn,
        "functions/features/refresh_vol.sql",
        ("(greatest(v_rule.look_back, 126) + 28)", "(126 + 28)"),
    )
    contract.is_found(
        lambda: contract.incremental_equals_full(
            conn, examples=40, days=YEARS, shrink=False, upto=FEATURES
        )
    )
