"""The kernel of the volatilities, from the shipped file, against the slow way and TA-Lib."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import naive, plpython

FILE = "functions/features/vol_kernel.sql"
ARGUMENTS = (
    *("p_ids", "p_years", "p_calendars", "p_sessions", "p_ts", "p_open", "p_high", "p_low"),
    *("p_close", "p_whole", "p_after", "p_atr", "p_stored"),
    *("p_policy", "p_look_back", "p_sigmas", "p_fence"),
)
DAY = 86_400_000_000
NEVER = -(2**63)
COLUMNS = {
    "id": "i",
    "ts": "q",
    "available_at": "q",
    **{f"{name}_{n}": "d" for name in naive.MEASURES for n in naive.VOL_WINDOWS},
    "atr_14": "d",
    **{f"z_{name}_20": "d" for name in naive.MEASURES},
    "is_gap": "?",
    "is_filled": "?",
    **{f"outlier_z_{name}_20": "?" for name in naive.MEASURES},
    **{f"outlier_iqr_{name}_20": "?" for name in naive.MEASURES},
}


def kernel(window: int = 252, policy: str = "forward_fill", sigmas: float = 4, fence: float = 1.5):
    """The shipped kernel, with other windows of scores, gaps and flags where a test wants them."""
    routine = plpython.compiled(plpython.body(FILE), *ARGUMENTS)
    return lambda *given: routine(*given, policy, window, sigmas, fence)


class Found(NamedTuple):
    """What the kernel gives."""

    incomplete: list[int]
    last: list[str | None]
    unchanged: list[int]
    changed: list[int]
    stale_ids: list[int]
    stale: list[str]
    packed: bytes


def run_set(routine, histories, *, afters=None, whole=True, atrs=None, year=365, stored=()):
    """Call it with the candles by session number of each asset; all have one calendar."""
    afters, atrs = afters or {}, atrs or {}
    numbers = [n for candles in histories.values() for n in candles]
    sessions = list(range(min(numbers), max(numbers) + 1)) if numbers else []
    return Found(
        *routine(
            list(histories),
            [year] * len(histories),
            [1] * len(histories),
            [plpython.array_send(1184, [n * DAY for n in sessions])],
            [plpython.array_send(1184, [n * DAY for n in each]) for each in histories.values()],
            *(
                [
                    plpython.array_send(701, [candle[price] for candle in each.values()])
                    for each in histories.values()
                ]
                for price in range(4)
            ),
            [whole] * len(histories),
            plpython.array_send(
                1184, [afters[id_] * DAY if id_ in afters else NEVER for id_ in histories]
            ),
            [atrs.get(id_) for id_ in histories],
            list(stored) or None,
        )
    )


def run(routine, candles, *, after=None, whole=True, atr=None, year=365):
    """Call it for one asset; ``after`` is the last session whose row stands."""
    afters = {} if after is None else {7: after}
    return run_set(routine, {7: candles}, afters=afters, whole=whole, atrs={7: atr}, year=year)


def rows(packed):
    """The packed rows by session number."""
    found = {}
    for values in plpython.tuples(packed, "".join(COLUMNS.values())):
        row = dict(zip(COLUMNS, values, strict=True))
        found[row.pop("ts") // DAY] = row
    return found


def market(days: int, seed: int = 1, *, without: int = 0, scale: float = 100.0):
    """Candles of a random walk with a jump now and then, without every n-th day."""
    chance = np.random.default_rng(seed)
    steps = chance.normal(0, 0.03, days) + (chance.random(days) < 0.02) * 0.4
    walk = np.cumsum(steps).tolist()
    wander = np.abs(chance.normal(0, 0.02, (days, 3))).tolist()
    found = {}
    for n in range(days):
        if without and n % without == 0:
            continue
        # numpy's own exp would give other prices on another processor.
        close = scale * math.exp(walk[n])
        opened = close * (1 + wander[n][0] - 0.02)
        high = max(opened, close) * (1 + wander[n][1])
        low = min(opened, close) / (1 + wander[n][2])
        found[n] = (opened, high, low, close)
    return found


def same(found, expected, known=None):
    assert found.keys() == expected.keys()
    for session, row in expected.items():
        got = dict(found[session])
        assert got.pop("id") == 7
        assert got.pop("available_at") == (known or {}).get(session, session) * DAY
        assert got.keys() == row.keys()
        for name, value in row.items():
            if isinstance(value, float):
                assert got[name] is not None, (session, name)
                close = math.isclose(got[name], value, rel_tol=1e-9, abs_tol=1e-13)
                assert close, (session, name, got[name], value)
            else:
                assert got[name] == value, (session, name)


@pytest.mark.parametrize("without", [0, 9])
def test_it_agrees_with_the_slow_way_at_full_size(without):
    candles = market(400, without=without)
    opened, high, low, close = candles[373]
    candles[373] = (opened, 9 * high, low / 9, close)
    found = run(kernel(), candles)
    expected = naive.volatilities(candles)
    assert found[:1] + found[2:-1] == ([], [0], [len(expected)], [], [])
    for flag in ("outlier_z", "outlier_iqr"):
        assert {row[f"{flag}_parkinson_20"] for row in expected.values()} == {None, True, False}
    same(rows(found.packed), expected)


SET = {3: market(300, seed=3), 4: {}, 7: market(40, seed=4, without=9), 9: market(420, without=13)}


def by_asset(packed):
    """The packed rows by asset and session number."""
    found = {}
    for values in plpython.tuples(packed, "".join(COLUMNS.values())):
        row = dict(zip(COLUMNS, values, strict=True))
        found[row["id"], row["ts"] // DAY] = row
    return found


@pytest.mark.parametrize("policy", ["skip", "forward_fill", "interpolate"])
def test_a_set_of_assets_gives_the_bits_of_each_alone(policy):
    routine = kernel(30, policy)
    alone = {id_: by_asset(run_set(routine, {id_: each}).packed) for id_, each in SET.items()}
    whole = run_set(routine, SET)
    assert by_asset(whole.packed) == {
        key: row for each in alone.values() for key, row in each.items()
    }
    assert whole.changed == [len(each) for each in alone.values()]
    assert [last is None for last in whole.last] == [False, True, False, False]
    # Each goes on from a row of its own.
    afters = {3: 200, 9: 418}
    atrs = {id_: alone[id_][id_, n]["atr_14"] for id_, n in afters.items()}
    assert by_asset(run_set(routine, SET, afters=afters, atrs=atrs).packed) == {
        key: row
        for id_, each in alone.items()
        for key, row in each.items()
        if key[1] > afters.get(id_, -1)
    }


def test_a_set_names_the_assets_that_need_more_candles():
    long = {3: market(400), 7: market(400, seed=2), 9: market(400, seed=3)}
    found = run_set(
        kernel(),
        long,
        afters={3: 272, 7: 271, 9: 398},
        whole=False,
        atrs={3: 1.0, 7: 1.0},
    )
    assert found.incomplete == [7, 9]


def test_an_odd_candle_of_a_set_is_named_with_its_asset():
    odd = market(20) | {16: (1e-300, 1e300, 1e-300, 1.0)}
    with pytest.raises(plpython.Raised, match="beyond what a number can hold") as caught:
        run_set(kernel(), {3: market(30), 9: odd})
    assert caught.value.facts["detail"].startswith("Asset 9, 2000-01-17")


def test_an_equity_s_year_has_252_sessions():
    candles = market(160)
    of_365, of_252 = (rows(run(kernel(), candles, year=year)[-1])[159] for year in (365, 252))
    same({159: of_252}, {159: naive.volatilities(candles, 252)[159]})
    assert of_252["parkinson_20"] / of_365["parkinson_20"] == pytest.approx(math.sqrt(252 / 365))
    assert of_252["atr_14"] == of_365["atr_14"]


# Prices of these are far apart: a score never hangs on the last bit.
shapes = st.sampled_from(
    [(1.0, 1.0, 1.0, 1.0), (1.0, 2.0, 0.5, 1.5), (3.0, 7.0, 3.0, 7.0), (9.0, 9.0, 2.0, 4.0)]
)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.integers(0, 110), st.tuples(shapes, st.integers(-3, 3)), max_size=90),
    st.sampled_from([1e-10, 1.0, 1e12]),
)
def test_any_history_agrees_with_the_slow_way(drawn, scale):
    candles = {
        n: tuple(scale * 2.0**power * price for price in shape)
        for n, (shape, power) in drawn.items()
    }
    given = run(kernel(window=25), candles)
    expected = naive.volatilities(candles, window=25)
    found = rows(given.packed)
    assert given.changed == [len(expected)]
    assert (given.last == [None]) == (not candles)
    for session, row in expected.items():
        for name in naive.MEASURES:
            # A few shapes in any order may have measures that differ in the last bits only.
            if abs(row[f"z_{name}_20"] or 0) < 1e-6 or found[session][f"z_{name}_20"] is None:
                for score in ("z", "outlier_z", "outlier_iqr"):
                    row.pop(f"{score}_{name}_20")
                    found[session].pop(f"{score}_{name}_20")
            else:
                row.pop(f"outlier_iqr_{name}_20")
                found[session].pop(f"outlier_iqr_{name}_20")
    same(found, expected)


@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e12])
@pytest.mark.parametrize("days", [1, 14, 15, 16, 400])
def test_atr_is_that_of_ta_lib(days, scale):
    candles = market(days, scale=scale)
    _, high, low, close = map(np.array, zip(*candles.values(), strict=True))
    found = rows(run(kernel(), candles)[-1])
    expected = talib.ATR(high, low, close, 14)
    assert [found[n]["atr_14"] is None for n in range(days)] == np.isnan(expected).tolist()
    got = [found[n]["atr_14"] or math.nan for n in range(days)]
    assert np.allclose(got, expected, rtol=1e-12, atol=0, equal_nan=True)


def test_a_constant_price_has_no_volatility_and_no_score():
    found = rows(run(kernel(), dict.fromkeys(range(300), (0.1, 0.1, 0.1, 0.1)))[-1])
    last = found[299]
    for name in naive.MEASURES:
        assert [last[f"{name}_{n}"] for n in naive.VOL_WINDOWS] == [0.0, 0.0, 0.0]
        assert last[f"z_{name}_20"] is None
        assert last[f"outlier_z_{name}_20"] is last[f"outlier_iqr_{name}_20"] is False
    assert last["atr_14"] == 0.0


def test_one_candle_has_a_row_of_nulls():
    (row,) = rows(run(kernel(), {5: (1.0, 2.0, 0.5, 1.0)})[-1]).values()
    assert {name for name, value in row.items() if value is not None} == {
        *("id", "available_at", "is_gap", "is_filled")
    }


def test_a_hole_of_48_days_repeats_the_row_before_it_and_enters_no_window():
    whole = market(400)
    candles = {n: candle for n, candle in whole.items() if not 300 <= n < 348}
    found = rows(run(kernel(), candles)[-1])
    before = found[299]
    for n in range(300, 348):
        filled = {"available_at": n * DAY, "is_gap": True, "is_filled": True}
        assert found[n] == before | filled
    # The same candles without a hole between them have the same volatilities.
    closed = {n if n < 300 else n - 48: candle for n, candle in candles.items()}
    dense = rows(run(kernel(), closed)[-1])
    for n in range(348, 400):
        assert found[n] | {"available_at": 0} == dense[n - 48] | {"available_at": 0}


def test_a_gap_before_the_first_value_is_not_filled():
    found = rows(run(kernel(), {n: (1.0, 2.0, 0.5, 1.0) for n in range(9) if n != 4})[-1])
    assert (found[4]["is_gap"], found[4]["is_filled"]) == (True, False)


@pytest.mark.parametrize("policy", ["skip", "forward_fill", "interpolate"])
def test_sessions_without_a_candle_follow_the_policy(policy):
    candles = {n: candle for n, candle in market(150, without=9).items() if not 100 <= n < 103}
    expected = naive.volatilities(candles, window=40)
    known = {}
    if policy != "forward_fill":
        expected = naive.filled(expected, policy)
    if policy == "interpolate":
        known = {
            n: min(m for m in candles if m > n) for n, row in expected.items() if row["is_filled"]
        }
        assert known[100] == 103
    routine = kernel(40, policy)
    whole = rows(run(routine, candles)[-1])
    for after in (18, 30, 99, 103, 117, 140):
        later = {n: row for n, row in whole.items() if n > after}
        assert rows(run(routine, candles, after=after)[-1]) == later
    same(whole, expected, known)


@pytest.mark.parametrize("window", [20, 300])
def test_scores_and_flags_go_by_the_rule_that_is_given(window):
    candles = market(400)
    found = rows(run(kernel(window, sigmas=2, fence=0.5), candles)[-1])
    same(found, naive.volatilities(candles, window=window, rule=(2, 0.5)))


def test_a_short_look_back_still_reads_what_the_longest_window_needs():
    candles = market(400)
    assert run(kernel(20), candles, after=127, whole=False, atr=1.0).incomplete == []
    assert run(kernel(20), candles, after=126, whole=False, atr=1.0).incomplete == [7]
    whole = rows(run(kernel(20), candles)[-1])
    part = {n: candle for n, candle in candles.items() if n >= 10}
    late = run(kernel(20), part, after=137, whole=False, atr=whole[137]["atr_14"])
    assert rows(late[-1]) == {n: row for n, row in whole.items() if n > 137}


def test_it_starts_anywhere_with_the_same_bits():
    candles = market(900, without=11)
    full = rows(run(kernel(), candles)[-1])
    for after in (1, 14, 20, 251, 272, 290, 600, 780, 898):
        later = {n: row for n, row in full.items() if n > after}
        assert rows(run(kernel(), candles, after=after)[-1]) == later
        atr = full[after]["atr_14"]
        assert rows(run(kernel(), candles, after=after, atr=atr)[-1]) == later
    atr = full[879]["atr_14"]
    later = {n: row for n, row in full.items() if n > 879}
    for look in (320, 500):
        part = {n: candle for n, candle in candles.items() if n > 879 - look}
        # The row after is that of a session without a candle.
        assert 880 not in part
        found = run(kernel(), part, after=879, whole=False, atr=atr)
        if not found.incomplete:
            assert rows(found.packed) == later
    assert not found.incomplete


def test_it_asks_for_more_candles_rather_than_guess():
    candles = market(400)
    assert run(kernel(), candles, after=272, whole=False, atr=1.0).incomplete == []
    assert run(kernel(), candles, after=271, whole=False, atr=1.0).incomplete == [7]
    assert run(kernel(), candles, after=350, whole=False).incomplete == [7]


def test_no_value_knows_what_comes_after_it():
    candles = market(150, without=7)
    routine = kernel(window=20)
    full = rows(run(routine, candles)[-1])
    for last in sorted(candles)[:-1]:
        part = {n: candle for n, candle in candles.items() if n <= last}
        assert rows(run(routine, part)[-1]) == {n: row for n, row in full.items() if n <= last}


@pytest.mark.parametrize(
    ("candle", "day"),
    [
        ((1e-300, 1e300, 1e-300, 1.0), 17),
        ((1e300, 1e300, 1e-300, 1e300), 17),
        # The second of them is too much for the average.
        ((1.0, 1.7e308, 1.0, 1.7e308), 18),
    ],
)
def test_a_volatility_that_is_no_number_is_an_error_that_names_the_day(candle, day):
    candles = market(20) | {16: candle, 17: candle}
    with pytest.raises(plpython.Raised, match="beyond what a number can hold") as caught:
        run(kernel(), candles)
    assert caught.value.facts["sqlstate"] == "TA409"
    assert f"2000-01-{day}" in caught.value.facts["detail"]


def test_a_candle_outside_the_sessions_is_an_error_that_names_it():
    with pytest.raises(plpython.Raised, match="no session") as caught:
        kernel()(
            *([7], [365], [1]),
            [plpython.array_send(1184, [0, DAY])],
            [plpython.array_send(1184, [0, DAY + 5])],
            *[[plpython.array_send(701, [1.0, 2.0])]] * 4,
            *([True], plpython.array_send(1184, [NEVER]), [None], None),
        )
    assert "2000-01-02T00:00:00.000005Z" in caught.value.facts["detail"]
