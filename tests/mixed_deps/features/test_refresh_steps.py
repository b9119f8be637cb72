"""Refreshing some steps only: the others keep their rows and stay due."""

from __future__ import annotations

import pytest

from ta_lab2.errors import translated
from ta_lab2.features import queries
from ta_lab2.features.errors import UnknownStep
from tests.support import contract


@pytest.fixture
def conn(own_db, autocommit):
    conn = autocommit(own_db)
    contract.only(conn)
    return conn


def refresh(conn, *steps, **options):
    lines = []
    queries.refresh(conn, steps=steps or None, on_notice=lines.append, **options)
    return lines


def features(conn):
    """The digests of what a refresh of the features fills."""
    digests = contract.digest(conn)
    return {name: digests[name] for name in EVERY}


def due(conn):
    """The computations that are due for asset 1."""
    return {
        name
        for (name,) in conn.execute(
            "select c.feature_type from features.refresh_candidates('{1}') as c"
            " where c.from_ts is not null"
        )
    }


def standing(conn):
    """The computations that have rows."""
    return {each.feature_type for each in contract.COMPUTATIONS if contract.rows(conn, each)}


EVERY = {each.feature_type for each in contract.COMPUTATIONS}


def test_a_step_that_is_not_run_stays_due(conn):
    contract.put(conn, 1, contract.history(300))
    refresh(conn, "returns", "volatility")
    assert standing(conn) == {"returns", "volatility"}
    assert due(conn) == EVERY - standing(conn)
    refresh(conn)
    assert due(conn) == set()
    found = features(conn)
    contract.full(conn)
    assert features(conn) == found


def test_a_step_that_is_not_run_keeps_its_rows(conn):
    contract.put(conn, 1, contract.history(300))
    refresh(conn)
    before = contract.digest(conn)
    contract.put(conn, 1, {200: 7.0})
    refresh(conn, "returns")
    after = contract.digest(conn)
    assert {name for name in EVERY if after[name] != before[name]} == {"returns"}
    # EMAs read bars, which have not changed yet.
    assert due(conn) == EVERY - {"returns", "ema"}
    refresh(conn)
    found = features(conn)
    contract.full(conn)
    assert features(conn) == found


def test_a_store_without_its_sources_has_nulls_and_waits_for_them(conn):
    contract.put(conn, 1, contract.history(300))
    refresh(conn, "store")
    row = conn.execute(
        """
        select
            count(*),
            count(*) filter (where f.available_at = f.ts),
            count(f.close), count(f.ret_pct_1), count(f.parkinson_20), count(f.rsi_14),
            count(f.ema_9)
        from features.cmc_daily_features as f
        """
    ).fetchone()
    closes = contract.history(300)
    assert row == (max(closes) + 1, max(closes) + 1, len(closes), 0, 0, 0, 0)
    assert due(conn) == EVERY
    for step in [each.feature_type for each in contract.COMPUTATIONS[:-1]]:
        refresh(conn, step)
        assert "store" in due(conn)
    refresh(conn, "store")
    assert due(conn) == set()
    found = features(conn)
    contract.full(conn)
    assert features(conn) == found


def test_a_dry_run_tells_of_these_steps(conn):
    contract.put(conn, 1, contract.history(30))
    lines = refresh(conn, "ema", "store", dry_run=True)
    assert len(lines) == 3
    assert "2 computations are due" in lines[-1]


@pytest.mark.parametrize(
    ("steps", "named"),
    [("'{returns,nonsense}'", "nonsense"), ("'{null}'", "null"), ("'{}'", "empty")],
)
def test_a_step_that_does_not_exist_is_an_error_that_lists_those_that_do(conn, steps, named):
    contract.put(conn, 1, contract.history(30))
    with pytest.raises(UnknownStep, match=named) as caught, translated():
        conn.execute(f"call refresh_features(p_steps => {steps})")
    assert ", ".join(sorted(EVERY)) in caught.value.detail
    assert standing(conn) == set()


def test_some_steps_do_not_mend_a_failure(conn):
    contract.put(conn, 1, contract.history(30))
    refresh(conn)
    conn.execute("select features.record_failure(1, 'TA403', 'beyond numbers')")
    contract.put(conn, 1, {40: 7.0})
    refresh(conn, "volatility")
    failed = "select s.last_error from features.refresh_state as s"
    assert conn.execute(failed).fetchone() == ("TA403: beyond numbers",)
    refresh(conn)
    assert conn.execute(failed).fetchone() == (None,)
