"""The kernel of the signals, compiled from the shipped file, against the slow way."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import naive_signals, plpython
from tests.support.naive_signals import Bar, Event

FILE = "functions/signals/signals_kernel.sql"
COLUMNS = ("open", "high", "low", "close", "rsi_14", "atr_14", "parkinson_20", "setups")
ARGUMENTS = (
    *("p_type", "p_pairs", "p_ts", "p_available_at"),
    *(f"p_{name}" for name in COLUMNS),
    *("p_own", "p_stored"),
)
OUTS = (
    *("packed", "stale_ids", "stale_signal_ids", "stale", "stale_states", "changed", "unchanged"),
    *("last_ts", "open_entries", "last_exit_ts"),
    *("segment_pairs", "segment_years", "segment_counts", "segment_last_ts", "segment_digests"),
)
#: The columns of a row, by their types' numbers.
TYPES = (23, 23, 1184, 25, 25, 1184, 701, 1184, 701, 701, 1184, 3802, 23, 17, 17, 25)
DAY = 86_400_000_000
INPUTS = {
    "ema_crossover": ("fast_ema", "slow_ema"),
    "rsi_mean_revert": ("rsi",),
    "atr_breakout": ("atr",),
}

kernel = plpython.compiled(plpython.body(FILE), *ARGUMENTS)


def market(seed: int, days: int, kind: str) -> list[Bar]:
    """Bars of small numbers, often equal, a day to a month apart, from mid-2019 on."""
    chance = random.Random(seed)
    ts = (
        int((datetime(2019, 7, 1, tzinfo=UTC) - naive_signals.EPOCH).total_seconds()) * 10**6 - 1000
    )

    def one(*values: float | None) -> float | None:
        return chance.choice(values)

    found = []
    for _ in range(days):
        ts += DAY * chance.choice((1, 1, 1, 3, 30))
        low, high = sorted((chance.randint(10, 30), chance.randint(10, 30)))
        own = {
            "ema_crossover": (one(1.0, 2.0, 2.5, 3.0, None), one(2.0, 2.5, None)),
            "rsi_mean_revert": (one(10.0, 25.0, 30.0, 30.5, 50.0, 69.5, 70.0, 90.0, None),),
            "atr_breakout": (one(1.0, 5.0, 8.0, None),),
        }[kind]
        found.append(
            Bar(
                ts,
                chance.randint(low, high) * 1.0,
                high * 1.0,
                low * 1.0,
                chance.randint(low, high) * 1.0,
                one(20.0, 40.0, 60.0, 61.0, 80.0, None),
                one(1.5, None),
                one(0.2, 0.5, 1.25e-07, None),
                one(
                    None,
                    frozenset(),
                    frozenset({"breakout", "pullback"}),
                    frozenset({"mean_revert"}),
                    frozenset({"short"}),
                    frozenset(naive_signals.SETUPS),
                ),
                own,
            )
        )
    return found


def run(
    kind: str,
    params: dict[str, Any],
    bars: Sequence[Bar],
    *,
    since: int | None = None,
    positions: Sequence[dict[str, Any]] = (),
    last_exit: int | None = None,
    stored: Sequence[bytes] | None = None,
    routine: Callable[..., Any] = kernel,
):
    """Call it with one asset's bars in no order."""
    bars = random.Random(1).sample(bars, len(bars))

    def packed(values: Sequence[float | None], kind: int = 701) -> list[bytes | None]:
        return [plpython.array_send(kind, [float("nan") if v is None else v for v in values])]

    pair = {
        **{"asset": 0, "id": 7, "signal_id": 3, "version": 2, "params": params},
        **{"digest": "ab" * 32, "own": list(range(len(INPUTS[kind]))), "from": since},
        **{"open": list(positions), "last_exit": last_exit},
    }
    columns = [packed([getattr(bar, name) for bar in bars]) for name in COLUMNS[:-1]]
    setups = packed(
        [
            None if bar.setups is None else sum(naive_signals.SETUPS[name] for name in bar.setups)
            for bar in bars
        ]
    )
    own = [packed([bar.own[n] for bar in bars])[0] for n in range(len(INPUTS[kind]))]
    ts = packed([bar.ts for bar in bars], 1184)
    outs = routine(
        *(kind, json.dumps([pair]), ts, ts, *columns, setups if "use_regime" in params else None),
        *([own], stored),
    )
    return dict(zip(OUTS, outs, strict=True))


def rows(kind: str, found: dict[str, Any]) -> list[list[bytes | None]]:
    return list(plpython.fields(found["packed"], 16 if kind == "atr_breakout" else 15))


def record(row: Sequence[bytes | None]) -> bytes:
    """A row as record_send gives it."""
    parts = [struct.pack(">i", len(row))]
    for oid, value in zip(TYPES, row, strict=False):
        parts.append(struct.pack(">ii", oid, -1 if value is None else len(value)) + (value or b""))
    return b"".join(parts)


def read(value: bytes | None, kind: str) -> Any:
    return None if value is None else struct.unpack(f">{kind}", value)[0]


def snapshot(kind: str, params: dict[str, Any], bars: Sequence[Bar], at: int) -> dict[str, Any]:
    """What the signal read at a bar, by name."""
    bar = bars[at]
    found = {name: getattr(bar, name) for name in COLUMNS[:-1]}
    found.update(zip(INPUTS[kind], bar.own, strict=True))
    if kind == "atr_breakout":
        ends = naive_signals.channel(bars, at, params["channel_period"])
        found.update(zip(("channel_high", "channel_low"), ends, strict=True))
    if params.get("use_regime"):
        found["setups"] = (
            None
            if bar.setups is None
            else [name for name in naive_signals.SETUPS if name in bar.setups]
        )
    return found


def compare(
    kind: str, params: dict[str, Any], bars: Sequence[Bar], found: dict[str, Any]
) -> list[Event]:
    """Hold all that the kernel gave to the slow way."""
    expected = naive_signals.events(kind, params, bars)
    got = rows(kind, found)
    assert len(got) == len(expected)
    for row, event in zip(got, expected, strict=True):
        bar, entry = bars[event.at], bars[event.entry]
        is_exit = event.state == "closed"
        gain = bar.close / entry.close
        assert [read(row[0], "i"), read(row[1], "i"), read(row[2], "q")] == [7, 3, bar.ts]
        assert [row[3], row[4]] == [event.state.encode(), event.direction.encode()]
        assert [read(row[5], "q"), read(row[6], "d")] == [entry.ts, entry.close]
        assert [read(row[7], "q"), read(row[8], "d"), read(row[9], "d")] == (
            [bar.ts, bar.close, gain - 1 if event.direction == "long" else 1 - gain]
            if is_exit
            else [None] * 3
        )
        assert read(row[10], "q") == bar.ts
        assert row[11][:1] == b"\1"
        assert json.loads(row[11][1:]) == snapshot(kind, params, bars, event.entry)
        assert read(row[12], "i") == 2
        assert row[13] == naive_signals.digest(kind, params, bars, event.at)
        assert row[14] == b"\xab" * 32
        if kind == "atr_breakout":
            assert row[15] == event.breakout.encode()
    assert [
        *zip(
            found["segment_years"],
            found["segment_counts"],
            found["segment_digests"],
            strict=True,
        )
    ] == [
        (year, count, digest)
        for year, count, _, digest in naive_signals.segments(kind, params, bars)
    ]
    return expected


def standing(expected: Sequence[Event], before: int) -> list[Event]:
    """The entries that are open before a bar."""
    past = [event for event in expected if event.at < before]
    closed = {event.entry for event in past if event.state == "closed"}
    return [event for event in past if event.state == "open" and event.at not in closed]


filters = st.fixed_dictionaries(
    {"direction": st.sampled_from(["long", "short", "both"])},
    optional={
        "max_open_positions": st.integers(1, 3),
        "rsi_threshold": st.sampled_from([None, 40, 60.5]),
        "min_vol": st.sampled_from([None, 0.3]),
        "cooldown_bars": st.integers(0, 4),
        "use_regime": st.booleans(),
    },
)
kinds = st.one_of(
    st.tuples(st.just("ema_crossover"), st.just({"fast_period": 2, "slow_period": 4})),
    st.tuples(
        st.just("rsi_mean_revert"),
        st.fixed_dictionaries(
            {
                "rsi_period": st.just(14),
                "oversold": st.sampled_from([25, 30]),
                "overbought": st.sampled_from([50, 70.0]),
            }
        ),
    ),
    st.tuples(
        st.just("atr_breakout"),
        st.fixed_dictionaries(
            {
                "atr_period": st.just(14),
                "channel_period": st.integers(2, 6),
                "atr_multiplier": st.sampled_from([0, 1.5]),
            }
        ),
    ),
)


@settings(max_examples=300, deadline=None)
@given(kinds, filters, st.integers(0, 10**6), st.integers(0, 150))
def test_it_gives_what_the_definitions_say_bar_by_bar(kind, chosen, seed, days):
    kind, params = kind[0], {**kind[1], **chosen}
    bars = market(seed, days, kind)
    expected = compare(kind, params, bars, found := run(kind, params, bars))
    stamps = [bars[event.at].ts for event in standing(expected, len(bars))]
    assert found["open_entries"][0].count("Z") == len(stamps)
    assert found["changed"] == [len(expected)]
    assert (found["last_exit_ts"] == [None]) == all(e.state == "open" for e in expected)


@settings(max_examples=300, deadline=None)
@given(kinds, filters, st.integers(0, 10**6), st.integers(2, 150), st.integers(2020, 2023))
def test_a_year_that_goes_on_from_the_one_before_gives_the_same_bits(
    kind, chosen, seed, days, year
):
    kind, params = kind[0], {**kind[1], **chosen}
    bars = market(seed, days, kind)
    whole = rows(kind, run(kind, params, bars))
    expected = naive_signals.events(kind, params, bars)
    first = sum(bar.year < year for bar in bars)
    since = int((datetime(year, 1, 1, tzinfo=UTC) - naive_signals.EPOCH).total_seconds()) * 10**6
    before = max(params.get("channel_period", 0), params.get("cooldown_bars", 0)) + 1
    carried = [
        {
            "ts": bars[event.at].ts,
            "direction": event.direction,
            "price": bars[event.at].close,
            "snapshot": row[11][1:].decode(),
            "breakout": event.breakout,
        }
        for event, row in zip(expected, whole, strict=True)
        if event in standing(expected, first)
    ]
    exits = [bars[e.at].ts for e in expected if e.state == "closed" and e.at < first]
    later = [row for row in whole if read(row[2], "q") >= since]
    told = {"since": since, "positions": carried, "last_exit": max(exits, default=None)}
    some = bars[max(first - before, 0) :]
    found = run(kind, params, some, **told)
    assert rows(kind, found) == later
    again = run(kind, params, some, **told, stored=[record(row) for row in later])
    assert again["packed"] == b""
    assert (again["changed"], again["unchanged"], again["stale"]) == ([0], [len(later)], [])
    assert [again[name] for name in OUTS[7:]] == [found[name] for name in OUTS[7:]]


def test_rows_that_stand_and_are_none_go():
    bars = market(5, 100, "rsi_mean_revert")
    params = {"rsi_period": 14, "oversold": 30, "overbought": 70, "direction": "both"}
    whole = rows("rsi_mean_revert", run("rsi_mean_revert", params, bars))
    other = list(whole[0])
    other[4] = b"short" if other[4] == b"long" else b"long"
    strange = list(whole[1])
    strange[2] = struct.pack(">q", 5 * 10**14)
    stored = [record(row) for row in (other, strange, *whole[2:])]
    found = run("rsi_mean_revert", params, bars, stored=stored)
    assert rows("rsi_mean_revert", found) == whole[:2]
    assert found["changed"] == [3]
    assert found["unchanged"] == [len(whole) - 2]
    assert set(zip(found["stale_ids"], found["stale_signal_ids"], strict=True)) == {(7, 3)}
    assert len(found["stale"]) == 2


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("ema_crossover", "(fast_before <= slow_before)", "(fast_before < slow_before)"),
        ("rsi_mean_revert", "(rsi >= overbought, ", "(rsi > overbought, "),
        ("atr_breakout", "sliding_window_view(values[:-1]", "sliding_window_view(values[1:]"),
        ("atr_breakout", "multiplier * shifted(atr)", "multiplier * atr"),
    ],
    ids=["a tie is no cross", "at overbought", "the bar itself", "the ATR of the bar itself"],
)
def test_a_rule_that_is_slightly_other_is_found(kind, old, new):
    params = {
        "ema_crossover": {"fast_period": 2, "slow_period": 4},
        "rsi_mean_revert": {"rsi_period": 14, "oversold": 30, "overbought": 70},
        "atr_breakout": {"atr_period": 14, "channel_period": 3, "atr_multiplier": 1.5},
    }[kind] | {"direction": "both"}
    text = plpython.body(FILE)
    assert old in text
    broken = plpython.compiled(text.replace(old, new), *ARGUMENTS)
    with pytest.raises(AssertionError):
        for seed in range(5):
            bars = market(seed, 150, kind)
            compare(kind, params, bars, run(kind, params, bars, routine=broken))
