"""What holds for a refresh that nothing disturbs: the same bits on any way, none from the future.

A check runs the verbs ``upto`` one and looks at what these refresh: a fault planted in bars needs
no signals to be found.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence

import psycopg
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support import prices
from tests.support.contract.computations import LAST, computations, verbs
from tests.support.contract.histories import history, price, put
from tests.support.contract.looking import (
    dated,
    digest,
    full,
    known,
    refresh,
    rows,
    start_over,
    versions,
    written,
)

Connect = Callable[[], psycopg.Connection]

#: Longer than any window, a year of bars among them.
DAYS = 500
Step = tuple[str, range, int, int]


def histories(days: int) -> st.SearchStrategy[list[Step]]:
    """What happens to the candles of so many days, in an order."""
    spans = st.builds(
        lambda start, length, stride: range(start, min(start + length, days), stride),
        st.integers(0, days - 1),
        st.integers(1, days),
        st.sampled_from([1, 1, 2, 7, 40]),
    )
    return st.lists(
        st.one_of(
            st.tuples(st.just("put"), spans, st.integers(0, 5), st.integers(0, 3)),
            st.tuples(st.just("drop"), spans, st.just(0), st.just(0)),
            st.tuples(st.just("refresh"), st.just(range(0)), st.just(0), st.just(0)),
        ),
        min_size=1,
        max_size=7,
    )


def incremental_equals_full(
    conn: psycopg.Connection,
    *,
    examples: int,
    part: int = 0,
    days: int = DAYS,
    shrink: bool = True,
    upto: str = LAST,
) -> None:
    """Whatever is loaded, revised and deleted, in whatever order, ends in a full build's bits.

    Each ``part`` has other examples, always the same.
    """

    @seed(part)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(first=st.sampled_from([0, 0, days - 200, days - 80]), steps=histories(days))
    def holds(first: int, steps: list[Step]) -> None:
        start_over(conn)
        # Most windows are long: what goes wrong after their warm-up needs a history to stand.
        put(conn, 1, history(first, without=5))
        refresh(conn, upto=upto)
        for what, numbers, salt, shape in steps:
            if what == "put":
                put(conn, 1, {n: price(n, salt) for n in numbers}, shape)
            elif what == "drop":
                prices.drop(conn, 1, numbers)
            else:
                refresh(conn, upto=upto)
        refresh(conn, upto=upto)
        incremental = digest(conn, upto)
        assert written(refresh(conn, upto=upto), upto) == 0, "a second run writes nothing"
        assert incremental == full(conn, upto)

    holds()


def any_batches_and_restarts(connect: Connect, *, upto: str = LAST) -> None:
    """Batches of any size, the oldest last, a session of its own for each."""
    conn = connect()
    closes = history(500)
    put(conn, 1, closes)
    refresh(conn, upto=upto)
    expected = digest(conn, upto)
    numbers = list(closes)
    # The short ways first: most of what goes wrong shows in them.
    for size, backwards in ((len(numbers), True), (100, False), (1, False), (13, True)):
        start_over(conn)
        # A day at a time is a long way: the last 45 of them tell.
        first = len(numbers) - 45 if size == 1 else 0
        batches = [numbers[:first]] if first else []
        batches += [numbers[at : at + size] for at in range(first, len(numbers), size)]
        for n, batch in enumerate(reversed(batches) if backwards else batches):
            put(conn, 1, {number: closes[number] for number in batch})
            if n % 20 == 0:
                conn.close()
                conn = connect()
            refresh(conn, upto=upto)
        assert digest(conn, upto) == expected, f"batches of {size}"


def repairs_just_what_depends(conn: psycopg.Connection, *, upto: str = LAST) -> None:
    """A candle revised 300 days back rewrites the rows whose bits it changes, and no other."""
    closes = history()
    put(conn, 1, closes)
    refresh(conn, upto=upto)
    before = {each: (rows(conn, each), versions(conn, each)) for each in computations(upto)}
    revised = sorted(closes)[-300]
    put(conn, 1, {revised: closes[revised] * 1.5})
    count = written(refresh(conn, upto=upto), upto)
    for computation, (stood, by) in before.items():
        after = rows(conn, computation)
        changed = {key for key in after.keys() | stood.keys() if after.get(key) != stood.get(key)}
        new = versions(conn, computation)
        assert {key for key in new.keys() | by.keys() if new.get(key) != by.get(key)} == changed
        since = known(conn, computation)
        assert min(since[key] for key in changed if key in since) >= prices.ts(revised)
        count -= len(changed)
    assert count == 0, "the rows are counted"
    incremental = digest(conn, upto)
    assert incremental == full(conn, upto)


def never_looks_ahead(
    conn: psycopg.Connection, *, prefixes: int, days: int = 400, part: int = 0, upto: str = LAST
) -> None:
    """With another future, the rows that could be known have the same bits.

    Where it begins after a candle there is none. Where it begins in a gap the next candle is
    another one: what fills the gap must not tell it early, though the gap has rows only by then.
    No prefix is taken twice: where one history has too few, others follow, each an asset.
    Parts take other histories than each other.
    """
    chance = random.Random(1 + part)
    for asset in itertools.count(1 + part * prefixes):
        closes = history(days, asset, without=10 + asset % 7)
        first, *_, final = sorted(closes)
        ends = list(range(first, final))
        taken = chance.sample(ends, min(prefixes, len(ends)))
        _replays_prefixes(conn, asset, closes, taken, upto)
        prefixes -= len(taken)
        if not prefixes:
            return


def _replays_prefixes(
    conn: psycopg.Connection,
    asset: int,
    closes: Mapping[int, float],
    taken: Sequence[int],
    upto: str,
) -> None:
    put(conn, asset, closes)
    refresh(conn, [asset], upto=upto)
    whole = {each: dated(conn, each, asset) for each in computations(upto)}
    for last in taken:
        end = prices.ts(last)
        later = sorted(n for n in closes if n > last)
        with conn.transaction(force_rollback=True):
            prices.drop(conn, asset, later)
            if last not in closes:
                put(conn, asset, {later[0]: 3 * closes[later[0]]}, shape=2)
            for verb in verbs(upto):
                conn.execute("select features.refresh_asset(%s, true, p_verb => %s)", (asset, verb))
            found = {each: dated(conn, each, asset) for each in whole}
        for each, rows_of in whole.items():
            expected = {key: row for key, row in rows_of.items() if row[1] <= end}
            if last not in closes:
                found[each] = {key: row for key, row in found[each].items() if row[1] <= end}
            assert found[each] == expected, each.table
