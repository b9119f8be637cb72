"""The kernel of the EMAs, compiled from the shipped file, against the slow way and TA-Lib."""

from __future__ import annotations

import json
import math
import os
import random
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import naive, plpython

ROOT = Path(__file__).parents[3]
FILE = "functions/features/ema_kernel.sql"
ARGUMENTS = (
    *("p_ids", "p_periods", "p_of", "p_tf_id", "p_time_close", "p_close", "p_last_id"),
    *("p_last_tf_id", "p_last_close", "p_last_bar_no", "p_last_ema", "p_froms", "p_stored"),
)
DAY = 86_400_000_000
NEVER = -(2**63)
COLUMNS = 7
PERIODS = (6, 9, 10, 12, 14, 17, 20, 21, 26, 30, 50, 52, 77, 100, 200, 252, 365)

Bars = Mapping[int, Mapping[int, float]]
Rows = dict[tuple[int, int], list[float | None]]

kernel = plpython.compiled(plpython.body(FILE), *ARGUMENTS)


class Asset(NamedTuple):
    """Closes by timeframe and day.

    ``since`` is the first day that is due; ``stood`` has the rows before it. Earlier bars are given
    of a timeframe in which a period begins with one that is due, as the step does it.
    """

    bars: Bars
    since: int | None = None
    stood: Rows | None = None


def together(
    assets: Mapping[int, Asset],
    periods: Sequence[int] = PERIODS,
    *,
    stored: Sequence[bytes] = (),
    shuffled: bool = False,
):
    """Call it with a set of assets; a period of 0 is a slot that is not used."""
    pieces: list[list[tuple[int, int, float]]] = []
    stand: list[tuple[int, int, float, int, list[float | None]]] = []
    for id_, (bars, since, stood) in assets.items():
        last: dict[int, list[float | None]] = {}
        for (tf, day), row in sorted((stood or {}).items()):
            if since is not None and day < since and since <= max(bars.get(tf, [-1])):
                last[tf] = row
        earlier = {tf: [x for day, x in bars[tf].items() if day < (since or 0)] for tf in last}
        going_on = {
            tf
            for tf, closes in earlier.items()
            if not any(len(closes) < period <= len(bars[tf]) for period in periods)
        }
        given_bars = [
            (tf, day, close)
            for tf, closes in bars.items()
            for day, close in closes.items()
            if tf not in going_on or day >= (since or 0)
        ]
        if shuffled:
            random.Random(1).shuffle(given_bars)
        pieces.append(given_bars)
        stand += [(id_, tf, closes[-1], len(closes), last[tf]) for tf, closes in earlier.items()]
    froms = [NEVER if each.since is None else each.since * DAY for each in assets.values()]
    return kernel(
        list(assets),
        plpython.array_send(23, periods),
        list(assets),
        [plpython.array_send(23, [tf for tf, _, _ in each]) for each in pieces],
        [plpython.array_send(1184, [day * DAY for _, day, _ in each]) for each in pieces],
        [plpython.array_send(701, [close for _, _, close in each]) for each in pieces],
        plpython.array_send(23, [id_ for id_, *_ in stand]),
        plpython.array_send(23, [tf for _, tf, *_ in stand]),
        plpython.array_send(701, [close for _, _, close, *_ in stand]),
        plpython.array_send(23, [number for *_, number, _ in stand]),
        plpython.array_send(701, [math.nan if x is None else x for *_, row in stand for x in row]),
        plpython.array_send(1184, froms),
        list(stored) or None,
    )


def run(
    bars: Bars,
    periods: Sequence[int] = PERIODS,
    *,
    since: int | None = None,
    stood: Rows | None = None,
    stored: Sequence[bytes] = (),
    shuffled: bool = False,
):
    """Call it with one asset; unchanged, changed, stale timeframes and times, packed rows."""
    found = together({7: Asset(bars, since, stood)}, periods, stored=stored, shuffled=shuffled)
    unchanged, changed, ids, *keys, packed = found
    assert ids == [7] * len(keys[0])
    return *unchanged, *changed, *keys, packed


def rows(found) -> Rows:
    """The packed rows by timeframe and day."""
    result: Rows = {}
    for asset, tf, time_close, *_, ema in plpython.fields(found[-1], COLUMNS):
        assert asset is not None
        assert tf is not None
        assert time_close is not None
        assert ema is not None
        assert struct.unpack(">i", asset) == (7,)
        key = struct.unpack(">i", tf)[0], struct.unpack(">q", time_close)[0] // DAY
        result[key] = plpython.floats(ema)
    return result


def closes_of(found) -> dict[tuple[int, int], tuple[float, float | None, int]]:
    """The close, the one before and the number of each bar."""
    return {
        (struct.unpack(">i", tf)[0], struct.unpack(">q", time_close)[0] // DAY): (
            struct.unpack(">d", close)[0],
            None if before is None else struct.unpack(">d", before)[0],
            struct.unpack(">i", number)[0],
        )
        for _, tf, time_close, close, before, number, _ in plpython.fields(found[-1], COLUMNS)
    }


def records(found) -> list[bytes]:
    """The packed rows as record_send gives them."""
    kinds = (23, 23, 1184, 701, 701, 23, 1022)
    return [
        struct.pack(">i", COLUMNS)
        + b"".join(
            struct.pack(">Ii", kind, -1 if value is None else len(value)) + (value or b"")
            for kind, value in zip(kinds, row, strict=True)
        )
        for row in plpython.fields(found[-1], COLUMNS)
    ]


def market(days: int, seed: int = 1) -> list[float]:
    """Closes of a random walk."""
    walk = np.cumsum(np.random.default_rng(seed).normal(0, 0.03, days)).tolist()
    # numpy's own exp would give other prices on another processor.
    return [100 * math.exp(x) for x in walk]


def ladder(closes: Sequence[float], lengths: Sequence[int]) -> dict[int, dict[int, float]]:
    """Bars of so many days each, by timeframe."""
    return {
        tf: {day: closes[day] for day in range(length - 1, len(closes), length)}
        for tf, length in enumerate(lengths, 1)
    }


BARS = ladder(market(1200), (1, 2, 3, 3, 7, 30, 365, 1201))


def same(found: Rows, bars: Bars, periods: Sequence[int]) -> None:
    """Compare with the slow way."""
    assert found.keys() == {(tf, day) for tf, closes in bars.items() for day in closes}
    for tf, closes in bars.items():
        for slot, period in enumerate(periods):
            expected = naive.ema(list(closes.values()), period) if period else [None] * len(closes)
            for day, value in zip(closes, expected, strict=True):
                got = found[tf, day][slot]
                assert (got is None) == (value is None), (tf, day, period)
                if got is not None and value is not None:
                    assert math.isclose(got, value, rel_tol=1e-12), (tf, day, period, got, value)


def test_it_agrees_with_the_slow_way_at_full_size():
    found = run(BARS)
    assert found[:4] == (0, sum(map(len, BARS.values())), [], [])
    same(rows(found), BARS, PERIODS)


def test_each_bar_has_its_close_the_one_before_and_its_number_wherever_it_goes_on():
    expected = {
        (tf, day): (closes[day], closes[days[n - 1]] if n else None, n + 1)
        for tf, closes in BARS.items()
        for days in [list(closes)]
        for n, day in enumerate(days)
    }
    whole = run(BARS)
    assert closes_of(whole) == expected
    for since in (1, 6, 365, 366, 1199):
        found = closes_of(run(BARS, since=since, stood=rows(whole)))
        assert found == {key: row for key, row in expected.items() if key[1] >= since}


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.integers(1, 9),
        st.dictionaries(
            st.integers(0, 40), st.floats(1e-10, 1e12, allow_subnormal=False), max_size=25
        ),
        max_size=5,
    ),
    st.lists(st.integers(2, 12), unique=True, max_size=4),
)
def test_any_bars_agree_with_the_slow_way(bars, periods):
    ordered = {tf: dict(sorted(closes.items())) for tf, closes in bars.items()}
    expected = ordered if periods else {}
    same(rows(run(ordered, [*periods, 0], shuffled=True)), expected, [*periods, 0])


@pytest.mark.parametrize("price", [1e-10, 1.0, 1e12])
def test_it_is_ta_lib_s_ema(price):
    closes = np.array(market(3000)) * price
    found = rows(run({1: dict(enumerate(closes.tolist()))}))
    for slot, period in enumerate(PERIODS):
        expected = talib.EMA(closes, period)
        got = np.array([found[1, day][slot] for day in range(len(closes))], dtype=float)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=0)


def test_a_price_that_never_moves_is_its_own_average_to_the_bit():
    found = rows(run({1: dict.fromkeys(range(400), 0.1 + 0.2)}, (6, 365)))
    assert found[1, 399][0] == pytest.approx(0.1 + 0.2, rel=1e-15)
    assert found[1, 5] == [found[1, 399][0], None]


def test_one_single_bar_has_no_average_yet():
    assert rows(run({1: {5: 3.0}}, (2, 3))) == {(1, 5): [None, None]}
    assert rows(run({}, (2, 3))) == {}


def test_no_bit_depends_on_the_other_timeframes_or_on_the_order():
    together = rows(run(BARS))
    assert rows(run(BARS, shuffled=True)) == together
    for tf, closes in BARS.items():
        alone = rows(run({tf: closes}))
        assert alone == {key: row for key, row in together.items() if key[0] == tf}


def test_no_bit_depends_on_the_other_assets():
    full = rows(run(BARS))
    short = ladder(market(400, 2), (1, 30, 400))
    assets = {
        3: Asset(short),
        5: Asset({}),
        7: Asset(BARS, 1000, full),
        # Both the last bars of 7 and the first of 9 are of 1D and on the same days.
        9: Asset({tf: BARS[tf] for tf in (1, 7)}),
    }
    whole = together(assets)
    packed = [together({id_: each})[-1] for id_, each in assets.items()]
    assert whole[-1] == b"".join(packed)
    counts = [len(list(plpython.fields(part, COLUMNS))) for part in packed]
    assert whole[:2] == ([0] * 4, counts)
    assert counts[1] == 0
    # What stands of one is not taken for another's.
    stored = [record for part in packed[2:] for record in records((part,))]
    unchanged, changed, *stale, part = together(assets, stored=stored)
    assert (unchanged, changed) == ([0, 0, *counts[2:]], [counts[0], 0, 0, 0])
    assert stale == [[], [], []]
    assert part == packed[0]


def test_it_goes_on_anywhere_with_the_same_bits():
    full = rows(run(BARS))
    for since in (0, 1, 5, 364, 365, 366, 400, 731, 732, 1000, 1199):
        found = rows(run(BARS, since=since, stood=full))
        assert found == {key: row for key, row in full.items() if key[1] >= since}


def test_a_restart_at_every_bar_ends_in_the_same_bits():
    bars = ladder(market(60), (1, 2, 5))
    periods = (3, 0, 12, 7)
    full, grown = rows(run(bars, periods)), {}
    for day in range(60):
        known = {tf: {n: x for n, x in closes.items() if n <= day} for tf, closes in bars.items()}
        grown |= rows(run(known, periods, since=day, stood=grown))
    assert grown == full


def test_no_value_knows_what_comes_after_it():
    bars = ladder(market(40), (1, 3))
    full = rows(run(bars, (4, 9)))
    for last in range(40):
        part = {tf: {n: x for n, x in closes.items() if n <= last} for tf, closes in bars.items()}
        found = rows(run(part, (4, 9)))
        assert found == {key: row for key, row in full.items() if key[1] <= last}


def test_another_period_fills_its_slot_and_changes_no_other_bit():
    before, after = rows(run(BARS, (6, 365))), rows(run(BARS, (6, 365, 0, 40)))
    assert {key: row[:2] for key, row in after.items()} == before
    assert all(row[2] is None for row in after.values())
    assert after[1, 39][3] == pytest.approx(math.fsum(market(1200)[:40]) / 40)


def test_only_what_differs_is_given_and_what_is_gone_is_named():
    whole = run(BARS)
    stored = records(whole)
    unchanged, changed, *stale, packed = run(BARS, stored=stored)
    assert (unchanged, stale, changed, packed) == (len(stored), [[], []], 0, b"")
    # The last bar of one timeframe goes, and another's was different.
    fewer = BARS | {1: {day: x for day, x in BARS[1].items() if day < 1199}, 6: BARS[6] | {1199: 1}}
    unchanged, changed, tfs, times, packed = found = run(fewer, stored=stored)
    assert (unchanged, tfs, changed) == (len(stored) - 2, [1, 6], 2)
    assert times == ["2003-04-14T00:00:00.000000Z"] * 2
    assert list(rows(found)) == [(6, 1199)]


def test_a_close_that_cannot_be_averaged_is_an_error_that_names_the_bar():
    with pytest.raises(plpython.Raised) as caught:
        run({3: {0: 1.0, 1: 1e306}})
    assert caught.value.facts["sqlstate"] == "TA406"
    assert (
        caught.value.facts["detail"] == "Asset 7, timeframe 3, 2000-01-02T00:00:00.000000Z: 1e+306."
    )


PROBE = """
import hashlib, json, sys
sys.path[:0] = json.loads(sys.argv[1])
from tests.mocked_deps.features import test_ema_kernel as here
print(hashlib.sha256(here.run(here.BARS)[-1]).hexdigest())
"""


def test_the_processor_s_widest_instructions_change_no_bit():
    core = np._core._multiarray_umath
    found = [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)]
    digests = set()
    for off in ("", " ".join(name for name in found if "512" in name), " ".join(found)):
        done = subprocess.run(
            [sys.executable, "-c", PROBE, json.dumps([str(ROOT)])],
            env=os.environ | {"NPY_DISABLE_CPU_FEATURES": off},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)
    assert len(digests) == 1
