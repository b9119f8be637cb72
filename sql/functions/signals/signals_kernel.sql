-- signals.signals_kernel(...): entries and exits of some signals of some assets from packed bars, as packed rows that differ.
--
--     select k.*
--     from signals.signals_kernel(
--         'ema_crossover', pairs, ts, available_at, open, high, low, close, rsi_14, atr_14, parkinson_20,
--         setups, own, stored
--     ) as k;
--
-- Arrays have an element for each asset, which is its bars as array_send in any order, nulls as NaN; p_own has
-- a row of them for each asset, of all inputs that its signals have of their own. p_setups are sums of 1 (breakout),
-- 2 (pullback), 4 (mean_revert) and 8 (short), NaN where there is no regime.
-- A pair is an asset (its place in the arrays, from 0) and a signal: id, signal_id, version, params, digest
-- of these (hex), place of its inputs in p_own; `from`, the first bar of a calendar year that is to be
-- worked out (microseconds since 2000, null: all), with the positions that are open then and the
-- last exit before. Earlier bars are what its windows look back on. p_stored are the rows from there on, without
-- the columns that are made from others.
--
-- Long: ema_crossover enters when fast > slow after fast <= slow and exits when fast < slow after fast >= slow, both
-- present on both bars; rsi_mean_revert enters when the RSI is above oversold after it was not, and exits at overbought or
-- above; atr_breakout enters when the close is over the highest high of the channel_period bars before, and
-- exits when it is under their lowest low. Short is the mirror image. On a bar exits go before entries; an exit
-- closes the oldest position of its direction, one a bar; a position that was opened on a bar is not
-- closed on it. Filters drop entries: a value that is not there passes none. Cooldown of n bars: no entry on
-- an exit's bar nor on the n bars after it.
--
-- A bar's row for the digest is: ts as timestamptz_send; int2 with a bit set for each value that is there, the lowest for the
-- first; the values as float8send, 0 where there is none: open, high, low, close, the signal's own (fast_ema,
-- slow_ema | rsi | atr, channel_high, channel_low), rsi_14, atr_14, parkinson_20, with use_regime setups.
--
-- requires: functions/db/packing.sql
-- needs: plpython3u

create or replace function signals.signals_kernel(
    p_type text,
    p_pairs jsonb,
    p_ts bytea[],
    p_available_at bytea[],
    p_open bytea[],
    p_high bytea[],
    p_low bytea[],
    p_close bytea[],
    p_rsi_14 bytea[],
    p_atr_14 bytea[],
    p_parkinson_20 bytea[],
    p_setups bytea[],
    p_own bytea[],
    p_stored bytea[],
    out packed bytea,
    out stale_ids integer[],
    out stale_signal_ids integer[],
    out stale timestamptz[],
    out stale_states text[],
    out changed integer[],
    out unchanged integer[],
    out last_ts timestamptz[],
    out open_entries text[],
    out last_exit_ts timestamptz[],
    out segment_pairs integer[],
    out segment_years integer[],
    out segment_counts integer[],
    out segment_last_ts timestamptz[],
    out segment_digests bytea[]
)
language plpython3u
immutable parallel unsafe
as $$
import json
from decimal import Decimal
from hashlib import sha256
from struct import Struct
from types import SimpleNamespace

import numpy as np

plpy.execute("select db.packing()")
packing = GD["packing"]

INT2, INT4, INT8 = Struct(">h"), Struct(">i"), Struct(">q")
# A value led by its length, as both forms of a row have it.
INTEGER, STAMP, FLOAT, NULL = Struct(">ii"), Struct(">iq"), Struct(">id"), INT4.pack(-1)
# The types of a row's columns, of which breakout_type, the last, is atr_breakout's alone.
TYPES = [INT4.pack(oid) for oid in (23, 23, 1184, 25, 25, 1184, 701, 1184, 701, 701, 1184, 3802, 23, 17, 17, 25)]
SETUPS = {"breakout": 1, "pullback": 2, "mean_revert": 4, "short": 8}
# By type: the names of its inputs, of what it makes from them, and the setup of a long entry.
KINDS = {
    "ema_crossover": (("fast_ema", "slow_ema"), (), "breakout"),
    "rsi_mean_revert": (("rsi",), (), "mean_revert"),
    "atr_breakout": (("atr",), ("channel_high", "channel_low"), "breakout"),
}
EPOCH = np.datetime64("2000-01-01", "us")
DIRECTIONS = ("long", "short")


def shifted(values):
    """Each bar's value of the bar before."""
    return np.concatenate([[np.nan], values[:-1]])[: len(values)]


def before(values, window, reduced):
    """Of each bar, the extreme of so many bars before it; NaN where there are fewer."""
    found = np.full(len(values), np.nan)
    if len(values) > window:
        windows = np.lib.stride_tricks.sliding_window_view(values[:-1], window)
        found[window:] = reduced(windows, axis=1)
    return found


def ema_crossover(bars, own, params):
    """Where bars enter, and where they exit: long and short."""
    fast, slow = own
    fast_before, slow_before = shifted(fast), shifted(slow)
    over = (fast > slow) & (fast_before <= slow_before)
    under = (fast < slow) & (fast_before >= slow_before)
    return (over, under), (under, over)


def rsi_mean_revert(bars, own, params):
    (rsi,) = own
    last = shifted(rsi)
    oversold, overbought = params["oversold"], params["overbought"]
    risen = (rsi > oversold) & (last <= oversold)
    fallen = (rsi < overbought) & (last >= overbought)
    return (risen, fallen), (rsi >= overbought, rsi <= oversold)


def atr_breakout(bars, own, params):
    _, high, low = own
    over, under = bars.close > high, bars.close < low
    return (over, under), (under, over)


def is_wide(bars, atr, multiplier):
    """Whether each bar's true range exceeds so many ATRs of the bar before."""
    last = shifted(bars.close)
    ranges = np.fmax(bars.high - bars.low, np.fmax(abs(bars.high - last), abs(bars.low - last)))
    return ranges > multiplier * shifted(atr)


def allowed(bars, params, setup):
    """Where the filters let entries of each direction pass."""
    found = [np.ones(len(bars.ts), bool) for _ in DIRECTIONS]
    if params.get("rsi_threshold") is not None:
        found[0] &= bars.rsi_14 >= params["rsi_threshold"]
        found[1] &= bars.rsi_14 <= 100 - params["rsi_threshold"]
    if params.get("min_vol") is not None:
        for each in found:
            each &= bars.parkinson_20 >= params["min_vol"]
    if params.get("use_regime"):
        setups = np.nan_to_num(bars.setups).astype(int)
        for each, name in zip(found, (setup, "short")):
            each &= setups & SETUPS[name] > 0
    return found


def number(value):
    """A number as jsonb writes it: its shortest decimal, without an exponent."""
    if value != value:
        return "null"
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text[:-2] if text.endswith(".0") else text


def worded(value):
    """The setups that a regime allows, as jsonb writes them."""
    if value != value:
        return "null"
    return json.dumps([name for name, bit in SETUPS.items() if int(value) & bit])


def led(value):
    """Bytes, led by their length."""
    return INT4.pack(len(value)) + value


def record(fields):
    """A row as record_send gives it."""
    return INT4.pack(len(fields)) + b"".join(part for pair in zip(TYPES, fields) for part in pair)


def tuple_of(fields):
    """A row in COPY's binary format."""
    return INT2.pack(len(fields)) + b"".join(fields)


def key(stored):
    """The key of a row that record_send gave: asset, signal, ts and state."""
    asset, signal, ts = INT4.unpack_from(stored, 12), INT4.unpack_from(stored, 24), INT8.unpack_from(stored, 36)
    (length,) = INT4.unpack_from(stored, 48)
    return asset + signal + ts + (stored[52 : 52 + length].decode(),)


def bars_of(n):
    """An asset's bars in order of time."""
    ts = packing.unpack(p_ts[n], "i8")
    order = np.argsort(ts)
    floats = dict(
        open=p_open, high=p_high, low=p_low, close=p_close,
        rsi_14=p_rsi_14, atr_14=p_atr_14, parkinson_20=p_parkinson_20, setups=p_setups,
    )
    return SimpleNamespace(
        ts=ts[order],
        years=(EPOCH + ts[order].astype("m8[us]")).astype("M8[Y]").astype(int) + 1970,
        available_at=packing.unpack(p_available_at[n], "i8")[order],
        own=[packing.unpack(each, "f8")[order] for each in p_own[n]],
        **{
            name: packing.unpack(packs[n], "f8")[order] if packs else np.full(len(ts), np.nan)
            for name, packs in floats.items()
        },
    )


def run(bars, pair, entries, exits, first):
    """The events from a bar on, each with its position and whether it is an exit; what is open then, and the last exit."""
    params = pair["params"]
    most, cooldown = int(params.get("max_open_positions", 1)), int(params.get("cooldown_bars", 0))
    wanted = [params["direction"] in (name, "both") for name in DIRECTIONS]
    standing = [SimpleNamespace(**each) for each in pair["open"]]
    last_exit, rest = pair["last_exit"], -1
    if last_exit is not None and cooldown:
        # An exit before the bars that are there is longer ago than a cooldown.
        at = int(np.searchsorted(bars.ts, last_exit))
        rest = at + cooldown if at < len(bars.ts) and bars.ts[at] == last_exit else -1
    events = []
    some = np.logical_or.reduce([*entries, *exits])
    for at in (first + np.flatnonzero(some[first:])).tolist():
        for side, name in enumerate(DIRECTIONS):
            if exits[side][at]:
                oldest = next((each for each in standing if each.direction == name), None)
                if oldest:
                    standing.remove(oldest)
                    events.append((at, oldest, True))
                    last_exit = int(bars.ts[at])
                    rest = at + cooldown if cooldown else -1
        for side, name in enumerate(DIRECTIONS):
            if wanted[side] and entries[side][at] and len(standing) < most and at > rest:
                entry = SimpleNamespace(at=at, ts=int(bars.ts[at]), direction=name, price=float(bars.close[at]))
                standing.append(entry)
                events.append((at, entry, False))
    return events, standing, last_exit


def work(pair):
    """One signal of one asset: its rows, its segments, and where it stands."""
    bars = read[pair["asset"]]
    params = pair["params"]
    names, made, setup = KINDS[p_type]
    own = [bars.own[place] for place in pair["own"]]
    if made:
        window = int(params["channel_period"])
        own += [before(bars.high, window, np.max), before(bars.low, window, np.min)]
        wide = is_wide(bars, own[0], params["atr_multiplier"])
    entries, exits = RULES[p_type](bars, own, params)
    entries = [each & passes for each, passes in zip(entries, allowed(bars, params, setup))]
    first = 0 if pair["from"] is None else int(np.searchsorted(bars.ts, pair["from"]))
    events, standing, last_exit = run(bars, pair, entries, exits, first)

    values = dict(open=bars.open, high=bars.high, low=bars.low, close=bars.close)
    values.update(zip(names + made, own))
    values.update(rsi_14=bars.rsi_14, atr_14=bars.atr_14, parkinson_20=bars.parkinson_20)
    if params.get("use_regime"):
        values["setups"] = bars.setups
    matrix = np.column_stack([each[first:] for each in values.values()])
    present = ~np.isnan(matrix)
    table = np.zeros(
        len(matrix), [("ts", ">i8"), ("present", ">i2"), ("values", ">f8", (matrix.shape[1],))]
    )
    table["ts"] = bars.ts[first:]
    table["present"] = present @ (1 << np.arange(matrix.shape[1]))
    table["values"] = np.where(present, matrix, 0)

    # jsonb keeps keys by length, then by their letters.
    ordered = sorted(
        (len(name), name, place, worded if name == "setups" else number) for place, name in enumerate(values)
    )

    def snapshot(at):
        row = matrix[at - first].tolist()
        return "{" + ", ".join([f'"{name}": {told(row[place])}' for _, name, place, told in ordered]) + "}"

    digests, segments = {}, []
    moments = sorted({at for at, _, _ in events})
    years = bars.years[first:]
    starts = np.flatnonzero(np.diff(years, prepend=-1))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(years)]):
        digest, done = sha256(), start
        for at in moments:
            if start <= at - first < end:
                digest.update(table[done : at - first + 1].tobytes())
                done = at - first + 1
                digests[at] = digest.copy().digest()
        digest.update(table[done:end].tobytes())
        segments.append(
            (int(years[start]), end - start, int(bars.ts[first + end - 1]), digest.digest())
        )

    keys = INTEGER.pack(4, pair["id"]), INTEGER.pack(4, pair["signal_id"])
    version, params_digest = INTEGER.pack(4, pair["version"]), led(bytes.fromhex(pair["digest"]))
    rows = []
    for at, position, is_exit in events:
        if not is_exit:
            position.snapshot = snapshot(at)
            if made:
                position.breakout = "both" if wide[at] else "channel_break"
        price = float(bars.close[at])
        gain = price / position.price
        now = STAMP.pack(8, bars.ts[at])
        fields = [
            *keys,
            now,
            led(b"closed" if is_exit else b"open"),
            led(position.direction.encode()),
            STAMP.pack(8, position.ts),
            FLOAT.pack(8, position.price),
            now if is_exit else NULL,
            FLOAT.pack(8, price) if is_exit else NULL,
            FLOAT.pack(8, gain - 1 if position.direction == "long" else 1 - gain) if is_exit else NULL,
            STAMP.pack(8, bars.available_at[at]),
            led(b"\1" + position.snapshot.encode()),
            version,
            led(digests[at]),
            params_digest,
        ]
        if made:
            fields.append(led(position.breakout.encode()))
        rows.append(((int(bars.ts[at]), "closed" if is_exit else "open"), fields))
    return rows, segments, (bars.ts[-1] if len(bars.ts) else None, [each.ts for each in standing], last_exit)


RULES = dict(ema_crossover=ema_crossover, rsi_mean_revert=rsi_mean_revert, atr_breakout=atr_breakout)


def moment(stamp):
    return None if stamp is None else packing.iso(np.array([stamp]))[0]


pairs = json.loads(p_pairs)
read = [bars_of(n) for n in range(len(p_ts))] if pairs else []
segments, states = [], []
stored = {}
for row in p_stored or ():
    asset, signal, ts, state = key(row)
    stored.setdefault((asset, signal), {})[ts, state] = row
come, gone, changes, kept = [], [], [], []
with np.errstate(all="ignore"):
    for n, pair in enumerate(pairs):
        old = stored.get((pair["id"], pair["signal_id"]), {})
        same, new = set(), set()
        rows, years, state = work(pair)
        segments += [(n, *each) for each in years]
        states.append(state)
        for at, fields in rows:
            if at in old and old[at] == record(fields):
                same.add(at)
            else:
                new.add(at)
                come.append(tuple_of(fields))
        leaving = old.keys() - same
        gone += [(pair["id"], pair["signal_id"], *at) for at in sorted(leaving)]
        changes.append(len(new | leaving))
        kept.append(len(same))

columns = list(zip(*gone)) or [(), (), (), ()]
parts = list(zip(*segments)) or [(), (), (), (), ()]
return (
    b"".join(come),
    list(columns[0]),
    list(columns[1]),
    packing.iso(np.array(columns[2], "i8")),
    list(columns[3]),
    changes,
    kept,
    [moment(last) for last, _, _ in states],
    ["{" + ",".join(packing.iso(np.array(entries, "i8"))) + "}" for _, entries, _ in states],
    [moment(last_exit) for _, _, last_exit in states],
    list(parts[0]),
    list(parts[1]),
    list(parts[2]),
    packing.iso(np.array(parts[3], "i8")),
    list(parts[4]),
)
$$;

comment on function signals.signals_kernel(
    text, jsonb, bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[]
) is 'Entries and exits of signals of one type: the keys of stored rows that are stale, the rows that take their place, states and segments.';

grant execute on function db.packing() to ta_lab2_research;
grant execute on function signals.signals_kernel(
    text, jsonb, bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[]
) to ta_lab2_research;
