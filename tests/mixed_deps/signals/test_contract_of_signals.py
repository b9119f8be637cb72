"""The contract, seen to fail on faults planted into the signals."""

from __future__ import annotations

import pytest

from tests.support import contract

KERNEL = contract.BREAKOUTS.kernel
STEP = contract.BREAKOUTS.step


@pytest.fixture
def conn(own_db, autocommit):
    """A database of the test's own, with the timeframe that is read."""
    conn = autocommit(own_db)
    contract.only(conn, ("1D",))
    return conn


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sliding_window_view(values[:-1]", "sliding_window_view(np.roll(values, -12)[:-1]"),
        (
            "fast, slow = own\n",
            "fast, slow = (np.convolve(each, [1, 1, 1], 'same') for each in own)\n",
        ),
        ("table[done : at - first + 1]", "table[done : at - first + 2]"),
    ],
    ids=["a channel with bars to come", "a centred EMA", "a digest with the next bar"],
)
def test_a_signal_that_looks_ahead_is_found(conn, old, new):
    contract.broken(conn, KERNEL, (old, new))
    contract.is_found(lambda: contract.never_looks_ahead(conn, prefixes=15, days=200))


def goes_on(conn) -> None:
    """Another candle ends in the bits of a full build."""
    closes = contract.history(500)
    last = max(closes)
    contract.put(conn, 1, {n: close for n, close in closes.items() if n < last})
    contract.refresh(conn)
    contract.put(conn, 1, {last: closes[last]})
    contract.refresh(conn)
    found = contract.digest(conn)
    assert found == contract.full(conn)


def test_a_year_goes_on(conn):
    goes_on(conn)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("where w.ts < p.from_ts", "where false"),
        ("                  and c.ts >= p.from_ts\n", "                  and false\n"),
        ("            )::integer + 1,\n", "            )::integer * 0 + 1,\n"),
    ],
    ids=["what was open is forgotten", "what was closed since is forgotten", "no look-back"],
)
def test_a_year_that_forgets_the_one_before_is_found(conn, old, new):
    contract.broken(conn, STEP, (old, new))
    contract.is_found(lambda: goes_on(conn))
