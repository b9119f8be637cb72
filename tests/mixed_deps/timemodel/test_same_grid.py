"""Which timeframes have the same bars: what same_grid says, and what the windows are."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date
from itertools import combinations
from pathlib import Path

import psycopg
import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "time-model.md").read_text()
# First candles at the beginning of a year, within units, and on a leap day.
FIRSTS = {
    "CRYPTO": [date(2018, 1, 1), date(2018, 4, 4), date(2019, 12, 31), date(2020, 2, 29)],
    "EQUITY": [date(2018, 1, 2), date(2018, 4, 4), date(2019, 12, 31), date(2020, 3, 3)],
}


def classes(conn, session):
    """The sets of timeframes that same_grid puts together, each sorted."""
    found = defaultdict(set)
    for a, b in conn.execute(
        """
        select a.tf, b.tf
        from timemodel.dim_timeframe as a
        cross join timemodel.dim_timeframe as b
        where timemodel.same_grid(a.tf, b.tf, %s)
        """,
        (session,),
    ):
        found[a].add(b)
    return {frozenset(each) for each in found.values()}


@pytest.fixture(scope="module")
def grids(equity_db):
    """The dates of every timeframe's windows, by session and timeframe."""
    found = {}
    with psycopg.connect(equity_db) as conn:
        for session, firsts in FIRSTS.items():
            for tf, dates in conn.execute(
                """
                select t.tf, array_agg(
                    (f.first_on, w.starts_on, w.ends_on)::text order by f.first_on, w.starts_on
                )
                from timemodel.dim_timeframe as t
                cross join unnest(%(firsts)s::date[]) as f (first_on)
                cross join lateral timemodel.timeframe_windows(
                    t.tf_id, %(session)s, f.first_on, f.first_on, f.first_on + 800
                ) as w
                group by t.tf
                """,
                {"session": session, "firsts": firsts},
            ):
                found[session, tf] = tuple(dates)
    return found


@pytest.mark.parametrize("session", list(FIRSTS))
def test_of_one_session_just_those_are_the_same_whose_windows_are(equity, grids, session):
    expected = defaultdict(set)
    for (of, tf), dates in grids.items():
        if of == session:
            expected[dates].add(tf)
    assert classes(equity, session) == {frozenset(each) for each in expected.values()}


def test_without_a_session_just_those_are_the_same_that_are_of_every_session(equity, grids):
    expected = defaultdict(set)
    for tf in {tf for _, tf in grids}:
        expected[tuple(grids[session, tf] for session in FIRSTS)].add(tf)
    assert classes(equity, None) == {frozenset(each) for each in expected.values()}


@pytest.mark.parametrize(
    ("a", "b", "session", "expected"),
    [
        ("7D_CAL", "1W_CAL_ANCHOR_ISO", None, True),
        ("7D_CAL", "1W_CAL_ANCHOR_US", None, False),
        ("1W", "5D", None, False),
        ("1W", "5D", "EQUITY", True),
        ("1W", "5D", "CRYPTO", False),
        ("1W", "7D", "CRYPTO", True),
        ("1D", "1D_CAL", None, True),
        ("2D", "2D_CAL", "CRYPTO", False),
        ("1M_CAL", "1M_CAL_ANCHOR", None, False),
        ("12M_CAL", "1Y_CAL", None, False),
        ("10W_CAL_ANCHOR_ISO", "70D_CAL", None, True),
    ],
)
def test_pairs_worked_by_hand(equity, a, b, session, expected):
    for pair in ((a, b), (b, a)):
        found = equity.execute("select timemodel.same_grid(%s, %s, %s)", (*pair, session))
        assert found.fetchone() == (expected,)


def test_the_page_lists_the_timeframes_that_are_the_same(equity):
    listed = {}
    for session, text in re.findall(
        r"^\| (every session|`[A-Z]+`) \| (.*) \|$", PAGE, re.MULTILINE
    ):
        key = None if session == "every session" else session.strip("`")
        names = frozenset(re.findall(r"`(\w+)`", text))
        listed.setdefault(key, set()).add(names)
    assert set(listed) == {None, *FIRSTS}
    always = {each for each in classes(equity, None) if len(each) > 1}
    assert listed[None] == always
    for session in FIRSTS:
        more = {each for each in classes(equity, session) if len(each) > 1} - always
        assert listed[session] == more


def test_same_grid_is_an_equivalence(equity):
    for session in (None, *FIRSTS):
        found = classes(equity, session)
        assert sum(map(len, found)) == 199
        assert all(a.isdisjoint(b) for a, b in combinations(found, 2))
