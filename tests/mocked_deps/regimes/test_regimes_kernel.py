"""The kernel of the regimes, compiled from the shipped file, against the slow way."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import naive, naive_regimes, plpython
from tests.support.naive_regimes import Bar

FILE = "functions/regimes/regimes_kernel.sql"
NUMBERS = ("high", "low", "close", "volume", "ema_fast", "ema_mid", "ema_slow")
ARGUMENTS = (
    *("p_id", "p_layers", "p_ts", "p_available_at", "p_is_gap", "p_place", "p_time_close"),
    *(f"p_{name}" for name in NUMBERS),
    *("p_state", "p_stored"),
)
DAY = 86_400_000_000

kernel = plpython.compiled(plpython.body(FILE), *ARGUMENTS)

#: As seeded, with windows that a short history fills.
LAYER: dict[str, Any] = {
    "ema_fast": 3,
    "ema_mid": 5,
    "ema_slow": 8,
    "adx_period": 4,
    "adx_minimum": 20.0,
    "trend_hold": 2,
    "atr_period": 4,
    "volatility_window": 12,
    "volatility_low": 33.0,
    "volatility_high": 67.0,
    "volatility_hold": 1,
    "liquidity_window": 10,
    "liquidity_stressed": 0.5,
    "liquidity_easy": 2.0,
    "liquidity_hold": 1,
}


def market(days: Sequence[int], seed: int = 1, *, wild: float = 0.04) -> list[Bar]:
    """Bars of a random walk that end on these days, some without a volume."""
    chance = random.Random(seed)
    close, found = 100.0, []
    for day in days:
        before = close
        close *= math.exp(chance.gauss(0, wild))
        found.append(
            Bar(
                day,
                max(before, close) * (1 + chance.random() / 50),
                min(before, close) * (1 - chance.random() / 50),
                close,
                None if chance.random() < 0.03 else chance.lognormvariate(10, 1),
            )
        )
    return found


def run(
    layers: Sequence[dict[str, Any] | None],
    bars: Sequence[Sequence[Bar]],
    days: Sequence[int],
    *,
    since: int | None = None,
    state: bytes | None = None,
):
    """Call it with the bars of each layer, the earlier ones left out, in no order."""
    given_bars = []
    for place, (layer, of_layer) in enumerate(zip(layers, bars, strict=True)):
        closes = [bar.close for bar in of_layer]
        averages = [
            naive.ema(closes, layer[f"ema_{name}"]) if layer and closes else [None] * len(closes)
            for name in ("fast", "mid", "slow")
        ]
        given_bars += [
            (place, bar.day, bar.high, bar.low, bar.close, bar.volume, *each)
            for bar, *each in zip(of_layer, *averages, strict=True)
            if since is None or bar.day >= since
        ]
    random.Random(1).shuffle(given_bars)
    columns = list(zip(*given_bars, strict=True)) if given_bars else [()] * 9
    shown = [day for day in days if since is None or day >= since]
    stamps = plpython.array_send(1184, [day * DAY for day in shown])
    return kernel(
        7,
        json.dumps(layers),
        stamps,
        stamps,
        plpython.array_send(23, [0] * len(shown)),
        plpython.array_send(23, columns[0]),
        plpython.array_send(1184, [day * DAY for day in columns[1]]),
        *(
            plpython.array_send(701, [math.nan if x is None else x for x in column])
            for column in columns[2:]
        ),
        state,
        None,
    )


def labels(found) -> dict[int, list[str]]:
    """The words of each day, L0 first."""
    result = {}
    for row in plpython.fields(found[3], 13):
        assert all(value is not None for value in row)
        day = int.from_bytes(row[1] or b"", "big", signed=True) // DAY
        result[day] = [(word or b"").decode() for word in row[4:]]
    return result


def expected(
    layers: Sequence[dict[str, Any]], bars: Sequence[Sequence[Bar]], days: Sequence[int]
) -> dict[int, list[str]]:
    """The same, the slow way."""
    each = [naive_regimes.by_day(of, layer, days) for layer, of in zip(layers, bars, strict=True)]
    return {day: [word for layer in each for word in layer[n]] for n, day in enumerate(days)}


def ladder(days: int, seed: int, *, holes: int = 0) -> list[list[Bar]]:
    """Bars of 30, 7 and 1 days; of one day, every n-th is missing."""
    kept = [day for day in range(days) if not holes or day % holes != 3]
    return [
        market(range(29, days, 30), seed),
        market(range(6, days, 7), seed + 1),
        market(kept, seed + 2),
    ]


@settings(max_examples=40, deadline=None)
@given(
    days=st.integers(1, 180),
    seed=st.integers(0, 10_000),
    holes=st.sampled_from([0, 5, 17]),
    holds=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
)
def test_the_labels_are_those_of_the_slow_way(days, seed, holes, holds):
    names = ("trend_hold", "volatility_hold", "liquidity_hold")
    layers = [LAYER, LAYER, LAYER | dict(zip(names, holds, strict=True))]
    bars = ladder(days, seed, holes=holes)
    found = labels(run(layers, bars, range(days)))
    assert found == expected(layers, bars, range(days))


def test_every_word_is_seen():
    bars = ladder(700, 3)
    found = labels(run([LAYER | {"adx_minimum": 35.0}] * 3, bars, range(700)))
    for place, words in enumerate(
        [{"Up", "Down", "Sideways"}, {"Low", "Normal", "High"}, {"Stressed", "Normal", "Easy"}]
    ):
        for layer in (1, 2):
            seen = {row[3 * layer + place] for row in found.values()}
            assert seen == words | {"Unknown"}, (layer, place)


@settings(max_examples=40, deadline=None)
@given(
    days=st.integers(2, 180),
    seed=st.integers(0, 10_000),
    holes=st.sampled_from([0, 5, 17]),
    cuts=st.lists(st.integers(1, 179), min_size=1, max_size=6),
)
def test_a_run_goes_on_from_the_state_of_the_one_before(days, seed, holes, cuts):
    bars = ladder(days, seed, holes=holes)
    whole = run([LAYER] * 3, bars, range(days))
    state, since, rows = None, None, {}
    for end in sorted({min(cut, days) for cut in cuts} | {days}):
        seen = [[bar for bar in of if bar.day < end] for of in bars]
        part = run([LAYER] * 3, seen, range(end), since=since, state=state)
        rows |= labels(part)
        state, since = part[5], end - 1
    assert rows == labels(whole)
    assert state == whole[5], "the state has the same bits, wherever runs ended"


def test_what_ends_with_the_last_session_may_still_change():
    bars = ladder(100, 1)
    first = run([LAYER] * 3, bars, range(100))
    last = bars[2][-1]
    revised = [*bars[:2], [*bars[2][:-1], Bar(last.day, last.high * 2, 1.0, 2.0, 1e9)]]
    again = run([LAYER] * 3, revised, range(100), since=99, state=first[5])
    assert labels(again)[99] == labels(run([LAYER] * 3, revised, range(100)))[99]
    assert labels(again)[99] != labels(first)[99]


def test_a_layer_that_is_missing_is_unknown():
    bars = ladder(200, 1)
    found = labels(run([None, LAYER, LAYER], bars, range(200)))
    assert {tuple(row[:3]) for row in found.values()} == {("Unknown",) * 3}
    assert found[199][6] != "Unknown"


def test_an_asset_without_sessions_has_no_rows():
    found = run([LAYER] * 3, [[], [], []], [])
    assert (found[0], found[1], found[2], found[3], found[4], found[5]) == (
        0,
        [],
        0,
        b"",
        None,
        None,
    )


def test_flat_prices_and_no_trade_are_defined():
    flat = [Bar(day, 5.0, 5.0, 5.0, 0.0) for day in range(60)]
    found = labels(run([None, None, LAYER], [[], [], flat], range(60)))
    # No movement: the ADX is 0, every ATR equals the last, and a volume over nothing is no number.
    assert found[59][6:] == ["Sideways", "High", "Unknown"]


@pytest.mark.parametrize(
    ("given_labels", "bars", "stands"),
    [
        ("UDUDD", 2, "????D"),
        ("UUDDSUU", 2, "?UUDDDU"),
        ("UDSDSDS", 2, "???????"),
        ("UU?DD", 2, "?U??D"),
        ("UUUDDUDDD", 3, "??UUUUUUD"),
        ("USD", 1, "USD"),
    ],
)
def test_the_slow_way_holds_labels_as_worked_by_hand(given_labels, bars, stands):
    names = {"U": "Up", "D": "Down", "S": "Sideways", "?": "Unknown"}
    found = naive_regimes.held([names[letter] for letter in given_labels], bars)
    assert found == [names[letter] for letter in stands]
