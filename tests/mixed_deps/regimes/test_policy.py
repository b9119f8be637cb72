"""What regimes allow: the seeded rows, which row wins, caps, and several layers together."""

from __future__ import annotations

import itertools

import psycopg
import pytest

from ta_lab2.regimes.errors import NoRegime

TRENDS = ("Up", "Sideways", "Down")
VOLATILITIES = ("Low", "Normal", "High")
LIQUIDITIES = ("Stressed", "Normal", "Easy")

#: As the design has them, without the cap.
SEEDS = {
    ("Up", "Low"): (1.10, 1.25, {"breakout", "pullback"}),
    ("Up", "Normal"): (1.00, 1.50, {"breakout", "pullback"}),
    ("Up", "High"): (0.75, 1.75, {"pullback"}),
    ("Sideways", "Low"): (0.70, 1.25, {"mean_revert"}),
    ("Sideways", "Normal"): (0.60, 1.50, {"mean_revert"}),
    ("Sideways", "High"): (0.40, 2.00, set()),
    **{("Down", volatility): (0.60, 1.60, {"short"}) for volatility in VOLATILITIES},
}


def policy(conn, *keys):
    """Size, stop, setups and whether to stand down."""
    row = conn.execute("select p.* from regimes.policy(%s::text[]) as p", (list(keys),)).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize("trend", TRENDS)
@pytest.mark.parametrize("volatility", VOLATILITIES)
@pytest.mark.parametrize("liquidity", LIQUIDITIES)
def test_each_regime_has_its_row_and_stress_caps_the_size(tx, trend, volatility, liquidity):
    size, stop, setups = SEEDS[trend, volatility]
    if liquidity == "Stressed":
        size = min(size, 0.60)
    found = policy(tx, f"{trend}-{volatility}-{liquidity}")
    assert found == (size, stop, sorted(setups), not setups)


def test_over_the_layers_size_is_least_stop_is_most_and_setups_meet(tx):
    keys = [
        f"{trend}-{volatility}-{liquidity}"
        for trend, volatility, liquidity in itertools.product(
            TRENDS, VOLATILITIES, ("Normal", "Stressed")
        )
    ]
    alone = {key: policy(tx, key) for key in keys}
    for trio in itertools.islice(itertools.product(keys, repeat=3), 0, None, 61):
        rows = [alone[key] for key in trio]
        setups = sorted(set(rows[0][2]) & set(rows[1][2]) & set(rows[2][2]))
        assert policy(tx, *trio) == (
            min(row[0] for row in rows),
            max(row[1] for row in rows),
            setups,
            not setups,
        ), trio


@pytest.mark.parametrize("key", ["Unknown-Low-Easy", "Up-Unknown-Easy", "Up-Low-Unknown"])
def test_a_word_that_is_unknown_stands_down(tx, key):
    assert policy(tx, key) == (None, None, [], True)
    assert policy(tx, "Up-Low-Easy", key) == (None, None, [], True)


def insert(conn, pattern, *, size=None, stop=None, setups=None, cap=None):
    """Add or replace a row."""
    conn.execute(
        "delete from regimes.dim_regime_policies as p"
        " where format('%%s-%%s-%%s', p.trend, p.volatility, p.liquidity) = %s",
        (pattern,),
    )
    conn.execute(
        "insert into regimes.dim_regime_policies values (%s, %s, %s, %s, %s, %s, %s)",
        (*pattern.split("-"), size, stop, setups, cap),
    )


def test_the_most_specific_row_wins_and_a_tie_goes_to_the_trend(tx):
    insert(tx, "*-*-*", size=0.1, stop=1, setups=["short"])
    insert(tx, "*-High-Easy", size=0.2, stop=1, setups=["short"])
    assert policy(tx, "Up-High-Easy")[0] == 0.75, "Up-High-* names the trend"
    insert(tx, "Up-High-Easy", size=0.3, stop=1, setups=["short"])
    assert policy(tx, "Up-High-Easy")[0] == 0.3
    assert policy(tx, "Down-High-Easy")[0] == 0.2
    assert policy(tx, "Down-High-Normal")[0] == 0.6
    tx.execute("delete from regimes.dim_regime_policies as p where p.trend = 'Down'")
    assert policy(tx, "Down-High-Normal")[0] == 0.1


def test_a_regime_without_a_row_stands_down(tx):
    tx.execute("delete from regimes.dim_regime_policies as p where p.trend = 'Down'")
    assert policy(tx, "Down-Low-Normal") == (None, None, [], True)


def test_every_cap_that_matches_caps(tx):
    insert(tx, "Up-*-*", cap=0.25)
    assert policy(tx, "Up-Low-Stressed")[0] == 0.25
    assert policy(tx, "Up-Low-Easy")[0] == 0.25
    assert policy(tx, "Sideways-Low-Stressed")[0] == 0.6


@pytest.mark.parametrize(
    "key", ["Up-High", "Uptown-High-Easy", "up-High-Easy", "Up-High-Easy-", "", None, "*-*-*"]
)
def test_what_is_no_regime_is_refused(tx, key):
    with pytest.raises(psycopg.Error, match="is no regime") as caught:
        policy(tx, "Up-High-Easy", key)
    assert caught.value.sqlstate == NoRegime.sqlstate


def test_no_regime_at_all_is_refused(tx):
    with pytest.raises(psycopg.Error, match="is no regime"):
        policy(tx)


@pytest.mark.parametrize(
    "values",
    [
        "('Up', 'Wild', '*', 1, 1, '{short}', null)",
        "('Up', '*', '*', 1, 1, '{shorting}', null)",
        "('Up', '*', '*', 1, null, '{short}', null)",
        "('Up', '*', '*', null, null, null, null)",
        "('Up', '*', '*', -1, 1, '{short}', null)",
        "('Up', '*', '*', 'NaN', 1, '{short}', null)",
        "('Up', '*', '*', 1, 0, '{short}', null)",
        "('Up', 'Low', '*', 1, 1, '{short}', null)",
    ],
)
def test_an_impossible_policy_is_refused(tx, values):
    with pytest.raises(psycopg.errors.IntegrityError):
        tx.execute(f"insert into regimes.dim_regime_policies values {values}")
