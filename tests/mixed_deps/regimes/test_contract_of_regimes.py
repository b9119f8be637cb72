"""The contract, seen to fail on faults planted into the regimes."""

from __future__ import annotations

import pytest

from tests.support import contract

KERNEL = contract.REGIMES.kernel


@pytest.fixture
def connect(own_db, autocommit):
    """Open connections to a database of the test's own, with one timeframe of each family."""
    contract.only(autocommit(own_db))
    return lambda: autocommit(own_db)


def test_a_label_that_is_known_before_its_bar_closes_is_found(connect):
    conn = connect()
    contract.broken(
        conn,
        KERNEL,
        ('searchsorted(closes, ts, side="right")', "searchsorted(closes, ts + 3 * 86_400_000_000)"),
    )
    contract.is_found(lambda: contract.never_looks_ahead(conn, prefixes=10))


def test_a_rank_among_values_to_come_is_found(connect):
    conn = connect()
    contract.broken(
        conn, KERNEL, ('volatilities(ranges["atr"]', 'volatilities(np.roll(ranges["atr"], -1)')
    )
    contract.is_found(lambda: contract.never_looks_ahead(conn, prefixes=10))


def test_a_state_that_holds_the_last_bar_already_is_found(connect):
    contract.broken(
        connect(),
        KERNEL,
        ("np.searchsorted(closes, ts[-1])", 'np.searchsorted(closes, ts[-1], side="right")'),
    )
    contract.is_found(lambda: contract.any_batches_and_restarts(connect))


def test_transitions_that_forget_the_day_before_are_found(connect):
    contract.broken(connect(), contract.TRANSITIONS.kernel, ("r.ts >= v_start", "r.ts >= p_from"))
    contract.is_found(lambda: contract.any_batches_and_restarts(connect))
