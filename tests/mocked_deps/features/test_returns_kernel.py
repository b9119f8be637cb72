"""The kernel of the returns, compiled from the shipped file, against the slow way."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import naive, plpython

ROOT = Path(__file__).parents[3]
FILE = "functions/features/returns_kernel.sql"
ARGUMENTS = (
    *("p_ids", "p_calendars", "p_sessions", "p_ts", "p_close"),
    *("p_whole", "p_after", "p_stored", "p_look_back", "p_sigmas", "p_fence"),
)
DAY = 86_400_000_000
NEVER = -(2**63)
COLUMNS = {
    "id": "i",
    "ts": "q",
    "available_at": "q",
    **{f"ret_pct_{n}": "d" for n in naive.SPANS},
    **{f"ret_log_{n}": "d" for n in naive.SPANS},
    **{f"ret_z_{n}": "d" for n in naive.SCORED},
    "gap_days": "i",
    "is_gap": "?",
    **{f"outlier_z_{n}": "?" for n in naive.SCORED},
    **{f"outlier_iqr_{n}": "?" for n in naive.SCORED},
}


def kernel(window: int = 252, rule=(4, 1.5)):
    """The shipped kernel, with a shorter window where a test can't afford the real one."""
    routine = plpython.compiled(plpython.body(FILE), *ARGUMENTS)
    return lambda *given: routine(*given, window, *rule)


class Found(NamedTuple):
    """What the kernel gives."""

    incomplete: list[int]
    last: list[str | None]
    unchanged: list[int]
    changed: list[int]
    stale_ids: list[int]
    stale: list[str]
    packed: bytes


def run_set(routine, histories, *, afters=None, whole=True, stored=()):
    """Call it with the closes by session number of each asset; all have one calendar."""
    afters = afters or {}
    numbers = [n for closes in histories.values() for n in closes]
    sessions = list(range(min(numbers), max(numbers) + 1)) if numbers else []
    return Found(
        *routine(
            list(histories),
            [1] * len(histories),
            [plpython.array_send(1184, [n * DAY for n in sessions])],
            [plpython.array_send(1184, [n * DAY for n in closes]) for closes in histories.values()],
            [plpython.array_send(701, list(closes.values())) for closes in histories.values()],
            [whole] * len(histories),
            plpython.array_send(
                1184, [afters[id_] * DAY if id_ in afters else NEVER for id_ in histories]
            ),
            list(stored) or None,
        )
    )


def run(routine, closes, *, after=None, whole=True, stored=()):
    """Call it for one asset; ``after`` is the last session whose row stands."""
    afters = {} if after is None else {7: after}
    return run_set(routine, {7: closes}, afters=afters, whole=whole, stored=stored)


def rows(packed):
    """The packed rows by session number."""
    found = {}
    for values in plpython.tuples(packed, "".join(COLUMNS.values())):
        row = dict(zip(COLUMNS, values, strict=True))
        found[row.pop("ts") // DAY] = row
    return found


def records(routine, histories):
    """The rows of assets as record_send would give them."""
    kinds = {"i": 23, "q": 1184, "d": 701, "?": 16}
    found = []
    for row in plpython.fields(run_set(routine, histories).packed, len(COLUMNS)):
        record = [struct.pack(">i", len(row))]
        for kind, value in zip(COLUMNS.values(), row, strict=True):
            length = -1 if value is None else len(value)
            record.append(struct.pack(">ii", kinds[kind], length) + (value or b""))
        found.append(b"".join(record))
    return found


def market(days: int, seed: int = 1, *, without: int = 0) -> dict[int, float]:
    """Closes of a random walk with a jump now and then, without every n-th day."""
    chance = np.random.default_rng(seed)
    steps = chance.normal(0, 0.03, days) + (chance.random(days) < 0.02) * 0.4
    walk = np.cumsum(steps).tolist()
    # numpy's own exp would give other prices on another processor.
    return {n: 100 * math.exp(walk[n]) for n in range(days) if not without or n % without}


def same(found, expected):
    assert found.keys() == expected.keys()
    for session, row in expected.items():
        assert found[session].pop("id") == 7
        assert found[session].pop("available_at") == session * DAY
        for name, value in row.items():
            got = found[session][name]
            if isinstance(value, float):
                assert got is not None, (session, name)
                close = math.isclose(got, value, rel_tol=1e-9, abs_tol=1e-14)
                assert close, (session, name, got, value)
            else:
                assert got == value, (session, name)


@pytest.mark.parametrize("without", [0, 9])
def test_it_agrees_with_the_slow_way_at_full_size(without):
    closes = market(700, without=without)
    found = run(kernel(), closes)
    expected = naive.returns(closes)
    assert found[:1] + found[2:-1] == ([], [0], [len(expected)], [], [])
    flags = [row["outlier_z_1"] for row in expected.values()]
    assert True in flags
    assert False in flags
    same(rows(found.packed), expected)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 60), st.sampled_from([1.0, 2.0, 4.0, 0.25, 3.0, 7.5, 100.0]), max_size=61
    )
)
def test_any_history_agrees_with_the_slow_way(closes):
    # Ratios of these are exact or far apart: a flag never hangs on the last bit.
    found = run(kernel(window=6), closes)
    expected = naive.returns(closes, window=6)
    assert found.changed == [len(expected)]
    assert (found.last == [None]) == (not closes)
    same(rows(found.packed), expected)


def test_candles_may_come_in_any_order():
    closes = market(400, without=11)
    backwards = dict(reversed(closes.items()))
    assert run(kernel(), backwards) == run(kernel(), closes)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(0, 60), max_size=61),
            st.one_of(st.none(), st.integers(0, 60)),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_set_of_assets_gives_the_bits_of_each_alone(assets):
    routine = kernel(window=6)
    walk = market(61, seed=3)
    histories = {
        id_: {n: walk[n] * id_ for n in sorted(numbers)}
        for id_, (numbers, _) in enumerate(assets, 1)
    }
    afters = {id_: after for id_, (_, after) in enumerate(assets, 1) if after is not None}
    found = run_set(routine, histories, afters=afters)
    alone = [
        run_set(
            routine,
            {id_: closes},
            afters={id_: afters[id_]} if id_ in afters else None,
        )
        for id_, closes in histories.items()
    ]
    for name in ("last", "unchanged", "changed"):
        assert getattr(found, name) == [each for one in alone for each in getattr(one, name)]
    assert found.packed == b"".join(one.packed for one in alone)


def test_what_each_asset_of_a_set_keeps_and_changes_is_counted():
    closes = {1: market(300), 2: market(300, seed=2), 3: market(300, seed=3)}
    routine = kernel(window=20)
    stood = records(routine, closes | {2: {n: x for n, x in closes[2].items() if n < 298}})
    revised = {n: x * (2 if n == 299 else 1) for n, x in closes[1].items()}
    found = run_set(
        routine,
        {1: revised, 2: closes[2], 3: {n: x for n, x in closes[3].items() if n < 290}},
        stored=stood,
    )
    assert found.changed == [1, 2, 10]
    assert found.unchanged == [299, 298, 290]
    assert found.stale_ids == [1, *[3] * 10]
    assert len(rows(found.packed)) == 2
    again = run_set(routine, closes, stored=records(routine, closes))
    assert (again.changed, again.unchanged) == ([0, 0, 0], [300, 300, 300])
    assert (again.stale, again.packed) == ([], b"")


def test_a_value_that_never_changes_has_no_score_and_is_no_outlier():
    closes = dict.fromkeys(range(300), 100.0) | {300: 130.0}
    found = rows(run(kernel(), closes)[-1])
    assert found[299]["ret_z_1"] is None
    assert found[299]["outlier_z_1"] is False
    assert found[300]["outlier_z_1"] is True
    # A sum of 252 equal numbers may be rounded: equal values must still have no deviation.
    steady = rows(run(kernel(), {n: 0.7 * 2.0**n for n in range(300)})[-1])
    assert steady[299]["ret_z_1"] is None


def test_it_starts_anywhere_with_the_same_bits():
    closes = market(900, without=11)
    whole = run(kernel(), closes)[-1]
    full = rows(whole)
    for after in (0, 1, 251, 252, 600, 780, 898):
        assert rows(run(kernel(), closes, after=after)[-1]) == {
            n: row for n, row in full.items() if n > after
        }
    for look in (320, 500):
        part = {n: close for n, close in closes.items() if n > 880 - look}
        found = run(kernel(), part, after=880, whole=False)
        if not found.incomplete:
            assert rows(found.packed) == {n: row for n, row in full.items() if n > 880}
    assert not found.incomplete


@pytest.mark.parametrize("window", [20, 300])
def test_scores_and_flags_go_by_the_rule_that_is_given(window):
    closes = market(400)
    found = rows(run(kernel(window, (2, 0.5)), closes)[-1])
    same(found, naive.returns(closes, window=window, rule=(2, 0.5)))


def test_it_asks_for_more_candles_rather_than_guess():
    closes = market(400)
    assert run(kernel(), closes, after=252 + 30, whole=False).incomplete == []
    assert run(kernel(), closes, after=252 + 29, whole=False).incomplete == []
    assert run(kernel(), closes, after=252 + 28, whole=False).incomplete == [7]
    both = {1: closes, 2: closes}
    afters = {1: 252 + 29, 2: 252 + 28}
    assert run_set(kernel(), both, afters=afters, whole=False).incomplete == [2]


def test_no_value_knows_what_comes_after_it():
    closes = market(120, without=7)
    routine = kernel(window=20)
    full = rows(run(routine, closes)[-1])
    for last in sorted(closes)[:-1]:
        part = {n: close for n, close in closes.items() if n <= last}
        found = rows(run(routine, part)[-1])
        assert found == {n: row for n, row in full.items() if n <= last}


@pytest.mark.parametrize(
    ("closes", "state"),
    [({0: 1e-300, 1: 1e300}, "TA403"), ({0: 1e300, 1: 1e-300}, "TA403")],
)
def test_a_return_that_is_no_number_is_an_error_that_names_the_day(closes, state):
    with pytest.raises(plpython.Raised) as caught:
        run(kernel(), closes)
    assert caught.value.facts["sqlstate"] == state
    assert "2000-01-02" in caught.value.facts["detail"]


def test_a_candle_outside_the_sessions_is_an_error_that_names_it():
    with pytest.raises(plpython.Raised, match="no session") as caught:
        kernel()(
            [7],
            [1],
            [plpython.array_send(1184, [0, DAY])],
            [plpython.array_send(1184, [0, DAY + 5])],
            [plpython.array_send(701, [1.0, 2.0])],
            [True],
            plpython.array_send(1184, [NEVER]),
            None,
        )
    assert "2000-01-02T00:00:00.000005Z" in caught.value.facts["detail"]


PROBE = """
import hashlib, json, sys
root, changes = json.loads(sys.argv[1])
sys.path[:0] = [root]
from tests.mocked_deps.features import test_returns_kernel as here
from tests.support import plpython
plpython.change("functions/indicators/series.sql", *changes)
print(hashlib.sha256(here.run(here.kernel(), here.market(900, without=13))[-1]).hexdigest())
"""
FEATURES = [
    name
    for name in np._core._multiarray_umath.__cpu_dispatch__
    if np._core._multiarray_umath.__cpu_features__.get(name)
]


def digests_by_processor(*changes: tuple[str, str]) -> set[str]:
    """What the kernel gives on a processor as it is, without AVX-512, and without anything.

    With something changed in the text that kernels share.
    """
    digests = set()
    for off in ("", " ".join(name for name in FEATURES if "512" in name), " ".join(FEATURES)):
        done = subprocess.run(
            [sys.executable, "-c", PROBE, json.dumps([str(ROOT), changes])],
            env=os.environ | {"NPY_DISABLE_CPU_FEATURES": off},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)
    return digests


def test_the_processor_s_widest_instructions_change_no_bit():
    assert len(digests_by_processor()) == 1


@pytest.mark.skipif(
    not any("512" in name for name in FEATURES), reason="this processor has no AVX-512"
)
def test_logarithms_that_change_with_the_processor_are_found():
    fault = ("np.fromiter(map(log, logged.tolist()), float, len(logged))", "np.log(logged)")
    assert len(digests_by_processor(fault)) == 2
