-- regimes.regimes_kernel(...): one asset's regimes from packed bars and sessions, as packed rows that differ.
--
--     select k.*
--     from regimes.regimes_kernel(
--         1, layers, ts, available_at, is_gap, place, time_close, high, low, close, volume,
--         ema_fast, ema_mid, ema_slow, state, stored
--     ) as k;
--
-- Arrays come as array_send. Sessions in order of time; bars of all layers in any order, p_place says
-- whose (0: L0), with the volume in quote currency and nulls as NaN. p_layers are the rows of
-- dim_regime_layers, L0 first, null for one that is missing. Without p_state these are all bars and
-- sessions; with it those since the last session of the run that made it, inclusive: it holds each
-- layer as before the bars that close at that session or later, because that run's last bar may still change.
--
-- Trend: Up where close > slow and fast > mid, Down where both are reversed, else Sideways, also where the
-- ADX is under its minimum. Volatility: rank of ATR / close among its last values, itself included, in percent.
-- Liquidity: volume over the median of the volumes before it; bars without a volume are stepped over.
-- A label changes once another has held its bars; Unknown, which is a warm-up or a bar without a
-- volume, is so at once, and the first label after it has to hold too.
--
-- requires: functions/db/packing.sql, functions/indicators/arithmetic.sql
-- requires: functions/indicators/atr.sql, functions/indicators/adx.sql
-- needs: plpython3u

create or replace function regimes.regimes_kernel(
    p_id integer,
    p_layers jsonb,
    p_ts bytea,
    p_available_at bytea,
    p_is_gap bytea,
    p_place bytea,
    p_time_close bytea,
    p_high bytea,
    p_low bytea,
    p_close bytea,
    p_volume bytea,
    p_ema_fast bytea,
    p_ema_mid bytea,
    p_ema_slow bytea,
    p_state bytea,
    p_stored bytea[],
    out unchanged integer,
    out stale timestamptz[],
    out changed integer,
    out packed bytea,
    out last_ts timestamptz,
    out state bytea
)
language plpython3u
immutable parallel unsafe
as $$
import json
from types import SimpleNamespace

import numpy as np

plpy.execute(
    "select db.packing(), indicators.arithmetic(), indicators._atr_kernel(), indicators._adx_kernel()"
)
packing, arithmetic, indicators = GD["packing"], GD["arithmetic"], GD["indicators"]

UNKNOWN, LOW, MIDDLE, HIGH = range(4)
WORDS = [
    np.array(words, "S8")
    for words in (
        ("Unknown", "Down", "Sideways", "Up"),
        ("Unknown", "Low", "Normal", "High"),
        ("Unknown", "Stressed", "Normal", "Easy"),
    )
]


def some(carried):
    """What an indicator goes on from; None before its first bar."""
    return carried if len(carried) else None


def trends(bars, layer, adx):
    """The trend of each bar by itself."""
    found = np.full(len(bars.close), MIDDLE)
    found[(bars.close > bars.slow) & (bars.fast > bars.mid)] = HIGH
    found[(bars.close < bars.slow) & (bars.fast < bars.mid)] = LOW
    found[adx < layer["adx_minimum"]] = MIDDLE
    found[np.isnan(adx) | np.isnan(bars.fast) | np.isnan(bars.mid) | np.isnan(bars.slow)] = UNKNOWN
    return found


def volatilities(values, layer, before):
    """The volatility of each bar, and the values that the next ones are ranked among."""
    window, known = layer["volatility_window"], ~np.isnan(values)
    whole, before = arithmetic.held(before, values[known], window)
    ranks = arithmetic.over(
        whole,
        window,
        int(known.sum()),
        lambda block: 100 * (block <= block[:, -1:]).sum(axis=1) / window,
    )
    found = np.full(len(values), UNKNOWN)
    found[known] = np.select(
        [ranks < layer["volatility_low"], ranks < layer["volatility_high"], ~np.isnan(ranks)],
        [LOW, MIDDLE, HIGH],
    )
    return found, before


def liquidities(volumes, layer, before):
    """The liquidity of each bar, and the volumes that the next ones are compared with."""
    window, known = layer["liquidity_window"] + 1, ~np.isnan(volumes)
    whole, before = arithmetic.held(before, volumes[known], window)
    ratios = arithmetic.over(
        whole, window, int(known.sum()), lambda block: block[:, -1] / np.median(block[:, :-1], axis=1)
    )
    found = np.full(len(volumes), UNKNOWN)
    found[known] = np.select(
        [
            ~np.isfinite(ratios),
            ratios < layer["liquidity_stressed"],
            ratios > layer["liquidity_easy"],
        ],
        [UNKNOWN, LOW, HIGH],
        MIDDLE,
    )
    return found, before


def held(codes, bars, carried):
    """The labels that stand, and what is carried: the label, another one, and how long that has held."""
    label, other, count = map(int, carried) if len(carried) else (UNKNOWN, UNKNOWN, 0)
    found = []
    for code in codes.tolist():
        if code in (label, UNKNOWN):
            label, count = code, 0
        elif count and code == other:
            count += 1
        else:
            other, count = code, 1
        if count >= bars:
            label, count = other, 0
        found.append(label)
    return np.array(found, int), np.array([label, other if count else UNKNOWN, count], float)


def labelled(bars, layer, carried):
    """The labels of a layer's bars, a row for each dimension, and what is carried to the next bars."""
    atr, adx, values, volumes, *standing = arithmetic.parted(carried, 7)
    if len(bars.close):
        ranges, atr = indicators["atr"](bars, {"period": layer["atr_period"]}, some(atr))
        moves, adx = indicators["adx"](bars, {"period": layer["adx_period"]}, some(adx))
        codes = [trends(bars, layer, moves["adx"])]
        found, values = volatilities(ranges["atr"] / bars.close, layer, values)
        codes.append(found)
        found, volumes = liquidities(bars.volume, layer, volumes)
        codes.append(found)
    else:
        codes = [np.empty(0, int)] * 3
    holds = [layer[f"{name}_hold"] for name in ("trend", "volatility", "liquidity")]
    pairs = [held(*each) for each in zip(codes, holds, standing)]
    labels, standing = zip(*pairs)
    return np.array(labels), arithmetic.joined(atr, adx, values, volumes, *standing)


def chosen(rows):
    """Some of the bars."""
    return SimpleNamespace(**{name: values[rows] for name, values in columns.items()})


ts, available_at = packing.unpack(p_ts, "i8"), packing.unpack(p_available_at, "i8")
is_gap = packing.unpack(p_is_gap, "i4")
place, time_close = packing.unpack(p_place, "i4"), packing.unpack(p_time_close, "i8")
names = ("high", "low", "close", "volume", "fast", "mid", "slow")
packs = (p_high, p_low, p_close, p_volume, p_ema_fast, p_ema_mid, p_ema_slow)
columns = {name: packing.unpack(pack, "f8") for name, pack in zip(names, packs)}
layers = json.loads(p_layers)
carried = arithmetic.parted(None if p_state is None else np.frombuffer(p_state, "<f8"), len(layers))

words, states = [], []
for n, layer in enumerate(layers):
    if layer is None or not len(ts):
        words += [np.full(len(ts), word[UNKNOWN]) for word in WORDS]
        states.append([])
        continue
    at = np.flatnonzero(place == n)
    at = at[np.argsort(time_close[at])]
    closes = time_close[at]
    until = int(np.searchsorted(closes, ts[-1]))
    with np.errstate(all="ignore"):
        settled, now = labelled(chosen(at[:until]), layer, some(carried[n]))
        latest, _ = labelled(chosen(at[until:]), layer, now)
    states.append(now)
    # The labels before the first of these bars.
    first = np.array(
        [each[0] if len(each) else UNKNOWN for each in arithmetic.parted(some(carried[n]), 7)[4:]], int
    )[:, None]
    codes = np.concatenate([first, settled, latest], axis=1)
    by_day = codes[:, np.searchsorted(closes, ts, side="right")]
    words += [word[code] for word, code in zip(WORDS, by_day)]

found = packing.differences(
    [
        (packing.INTEGER, np.full(len(ts), p_id), None),
        (packing.STAMP, ts, None),
        (packing.STAMP, available_at, None),
        (packing.BOOLEAN, is_gap, None),
        *((packing.TEXT, word, None) for word in words),
    ],
    p_stored,
    keys=2,
)
return (
    found.unchanged,
    packing.iso(found.stale[1]),
    found.changed,
    found.packed,
    packing.iso(ts[-1:])[0] if len(ts) else None,
    arithmetic.joined(*states).astype("<f8").tobytes() if len(ts) else None,
)
$$;

comment on function regimes.regimes_kernel(
    integer, jsonb, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea,
    bytea, bytea[]
) is 'Regimes of one asset: the ts of stored rows that are stale, the rows that take their place, and where to go on.';
