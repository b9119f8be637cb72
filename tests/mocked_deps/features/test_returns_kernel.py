"""The kernel of the returns, compiled from the shipped file, against the slow way."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import naive, plpython

ROOT = Path(__file__).parents[3]
FILE = "functions/features/returns_kernel.sql"
ARGUMENTS = ("p_id", "p_sessions", "p_ts", "p_close", "p_whole", "p_after", "p_stored")
DAY = 86_400_000_000
NEVER = struct.pack(">q", -(2**63))
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


def kernel(window: int = 252):
    """The shipped kernel, with a shorter window where a test can't afford the real one."""
    text = plpython.changed(FILE, ("WINDOW = 252\n", f"WINDOW = {window}\n"))
    return plpython.compiled(text, *ARGUMENTS)


def run(routine, closes, *, after=None, whole=True, stored=()):
    """Call it with closes by session number; ``after`` is the last session whose row stands."""
    numbers = sorted(closes)
    sessions = list(range(numbers[0], numbers[-1] + 1)) if numbers else []
    return routine(
        7,
        plpython.array_send(1184, [n * DAY for n in sessions]),
        plpython.array_send(1184, [n * DAY for n in numbers]),
        plpython.array_send(701, [closes[n] for n in numbers]),
        whole,
        NEVER if after is None else struct.pack(">q", after * DAY),
        list(stored) or None,
    )


def rows(packed):
    """The packed rows by session number."""
    found = {}
    for values in plpython.tuples(packed, "".join(COLUMNS.values())):
        row = dict(zip(COLUMNS, values, strict=True))
        found[row.pop("ts") // DAY] = row
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
    complete, _, unchanged, stale, changed, packed = run(kernel(), closes)
    expected = naive.returns(closes)
    assert (complete, unchanged, stale, changed) == (True, 0, [], len(expected))
    flags = [row["outlier_z_1"] for row in expected.values()]
    assert True in flags
    assert False in flags
    same(rows(packed), expected)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 60), st.sampled_from([1.0, 2.0, 4.0, 0.25, 3.0, 7.5, 100.0]), max_size=61
    )
)
def test_any_history_agrees_with_the_slow_way(closes):
    # Ratios of these are exact or far apart: a flag never hangs on the last bit.
    _, last, _, _, changed, packed = run(kernel(window=6), closes)
    expected = naive.returns(closes, window=6)
    assert changed == len(expected)
    assert (last is None) == (not closes)
    same(rows(packed), expected)


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
        complete, *_, packed = run(kernel(), part, after=880, whole=False)
        if complete:
            assert rows(packed) == {n: row for n, row in full.items() if n > 880}
    assert complete


def test_it_asks_for_more_candles_rather_than_guess():
    closes = market(400)
    assert run(kernel(), closes, after=252 + 30, whole=False)[0]
    assert run(kernel(), closes, after=252 + 29, whole=False)[0]
    assert not run(kernel(), closes, after=252 + 28, whole=False)[0]


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
            7,
            plpython.array_send(1184, [0, DAY]),
            plpython.array_send(1184, [0, DAY + 5]),
            plpython.array_send(701, [1.0, 2.0]),
            True,
            NEVER,
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
