"""What becomes of a staged line: the first of the verdicts that fits, and when prices differ."""

from __future__ import annotations

import pytest

PLAIN = {
    "p_reason": None,
    "p_is_forming": False,
    "p_is_own": True,
    "p_extends": False,
    "p_is_stored": True,
    "p_is_same": False,
    "p_is_repetition": None,
}
EVERYTHING = {
    "p_reason": "price missing",
    "p_is_forming": True,
    "p_is_own": False,
    "p_is_repetition": True,
    "p_is_same": True,
}


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ({}, "revised"),
        ({"p_is_same": True}, "unchanged"),
        ({"p_is_stored": False}, "loaded"),
        ({"p_is_stored": False, "p_is_repetition": True}, "unchanged"),
        ({"p_is_own": False}, "other source"),
        ({"p_is_own": False, "p_extends": True}, "other source"),
        ({"p_is_own": False, "p_is_stored": False}, "other source"),
        ({"p_is_own": False, "p_is_stored": False, "p_extends": True}, "loaded"),
        ({"p_is_own": False, "p_is_repetition": True}, "other source"),
        (EVERYTHING | {"p_reason": None}, "forming"),
        (EVERYTHING, "rejected"),
    ],
)
def test_a_line_ends_in_the_first_verdict_that_fits(tx, line, verdict):
    said = tx.execute(
        """
        select bars.line_verdict(
            %(p_reason)s, %(p_is_forming)s, %(p_is_own)s, %(p_extends)s, %(p_is_stored)s,
            %(p_is_same)s, %(p_is_repetition)s
        )
        """,
        PLAIN | line,
    ).fetchone()
    assert said == (verdict,)


@pytest.mark.parametrize("place", range(4))
def test_prices_differ_from_a_ten_millionth_on(tx, place):
    ours = [1.0, 3.0, 0.5, 2.0]
    for share, differs in ((1 + 0.9e-7, False), (1 + 1.1e-7, True), (1 - 1.1e-7, True)):
        theirs = [price * share if at == place else price for at, price in enumerate(ours)]
        said = tx.execute(
            "select bars.prices_differ(%s, %s, %s, %s, %s, %s, %s, %s)", (*ours, *theirs)
        ).fetchone()
        assert said == (differs,), (theirs, differs)
