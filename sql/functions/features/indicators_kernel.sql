-- features.indicators_kernel(...): technical indicators of a set of assets from packed candles, as packed rows that differ.
--
--     select k.* from features.indicators_kernel(
--         '{7}', columns, active, 'interpolate', '{1}', array[sessions], array[ts], array[open], array[high],
--         array[low], array[close], array[volume], after, last, array[state], '{}', null, null, stored
--     ) as k;
--
-- p_ids are in order; of each asset stands at its place: p_calendars, which of p_sessions holds its
-- scheduled sessions, from its first candle (or from p_last, if it is earlier) to its last at least; p_ts,
-- its prices and volumes, its candles; p_after and p_last (of array_send), p_states, p_kept_ts and
-- p_kept_numbers. Sessions, ts and prices are array_send of arrays without nulls, the sessions in order
-- of time; a volume that is null is NaN. p_columns are the table's numbers in its order, p_active the
-- rows of dim_indicators that are worked out. Those that a state knows go on from it: it stands right after
-- the candle at p_last. The others begin at the first candle, which must be given then.
--
-- Rows are worked out for the sessions later than p_after and compared with p_stored (record_send of
-- the table's rows later than that), bit for bit. p_kept are the columns whose values up to p_last
-- (p_kept_ts, and a row of p_kept_numbers) stay: of known indicators, and of those that are not active.
--
-- A session without a candle has nulls (p_policy is skip), the values of the candle before (forward_fill), or those on the
-- straight line, by sessions, to the next candle's (interpolate): then it is known with that one.
--
-- requires: functions/db/packing.sql, functions/features/daily.sql, functions/features/indicator_state.sql
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function features.indicators_kernel(
    p_ids integer[],
    p_columns text[],
    p_active jsonb,
    p_policy text,
    p_calendars integer[],
    p_sessions bytea[],
    p_ts bytea[],
    p_open bytea[],
    p_high bytea[],
    p_low bytea[],
    p_close bytea[],
    p_volume bytea[],
    p_after bytea,
    p_last bytea,
    p_states bytea[],
    p_kept text[],
    p_kept_ts bytea[],
    p_kept_numbers bytea[],
    p_stored bytea[],
    out last_ts timestamptz[],
    out unchanged integer[],
    out changed integer[],
    out stale_ids integer[],
    out stale timestamptz[],
    out packed bytea,
    out states bytea[]
)
language plpython3u
stable parallel unsafe
as $$
import json
from types import SimpleNamespace

import numpy as np

# Squares and quotients of such prices, and sums of such volumes times prices, are numbers.
PRICES, VOLUMES = (1e-100, 1e100), 1e150
FIELDS = ("open", "high", "low", "close", "volume")

active = json.loads(p_active)
modules = ["db.packing()", "features.daily()", "features.indicator_state()", "indicators.arithmetic()"]
modules += [f"indicators._{kind}_kernel()" for kind in sorted({each["kind"] for each in active})]
plpy.execute("select " + ", ".join(modules))
packing, daily, states = GD["packing"], GD["daily"], GD["indicator_state"]
slots = {column: slot for slot, column in enumerate(p_columns)}


def refuse(asset, ts, candles):
    """An error that names the first candle that cannot be worked with, if there is one."""
    least, most = PRICES
    odd = candles["volume"] > VOLUMES
    for name in FIELDS[:-1]:
        odd |= ~((candles[name] >= least) & (candles[name] <= most))
    at = np.flatnonzero(odd)
    if len(at):
        plpy.error(
            "a candle is beyond what indicators can be worked out from",
            detail=f"Asset {asset}, {packing.iso(ts[at[:1]])[0]}.",
            hint=f"Correct it: prices lie between {least:g} and {most:g}, volumes are {VOLUMES:g} at most.",
            sqlstate="TA414",
        )


def worked_out(candles, known, old, lead):
    """A row of values at the candles for each column, after `lead` ones that are gone, and the state after the last."""
    whole, new = (
        SimpleNamespace(**{name: values[start:] for name, values in candles.items()})
        for start in (0, old)
    )
    length = lead + len(whole.close)
    found, states_after = np.full((len(p_columns), length), np.nan), {}
    for each in active:
        before, carried = known.get(each["indicator_id"], (None, None))
        outputs, carried = GD["indicators"][each["kind"]](
            whole if before is None else new, each["params"], carried
        )
        now = []
        for n, (column, output) in enumerate(zip(each["columns"], outputs.values())):
            values = found[slots[column]]
            values[length - len(output) :] = np.where(np.isfinite(output), output, np.nan)
            if before is not None:
                values[lead + old - 1] = before[n]
            now.append(values[-1])
        states_after[each["indicator_id"]] = now, carried
    return found, states_after


def laid_out(n, sessions, ts, place, values):
    """An asset's rows for the sessions that are due: ts, when known, whether a gap, and the numbers by column."""
    first = int(np.searchsorted(sessions, after[n], side="right"))
    due = sessions[first:]
    source = np.searchsorted(ts, due, side="right") - 1
    is_gap = ts[source] != due
    found = values[:, source]
    available = due
    if is_gap.any():
        if p_policy == "skip":
            found[:, is_gap] = np.nan
        elif p_policy == "interpolate":
            # There is a candle after a session without one, always.
            behind, following = source[is_gap], source[is_gap] + 1
            share = (first + np.flatnonzero(is_gap) - place[behind]) / (place[following] - place[behind])
            found[:, is_gap] += (values[:, following] - found[:, is_gap]) * share
            available = due.copy()
            available[is_gap] = ts[following]
    if p_kept and p_kept_ts[n] is not None:
        kept_ts = packing.unpack(p_kept_ts[n], "i8")
        stand = np.minimum(np.searchsorted(due, kept_ts), len(due) - 1)
        stands = due[stand] == kept_ts if len(due) else np.zeros(len(kept_ts), bool)
        for column, numbers in zip(p_kept, p_kept_numbers[n]):
            found[slots[column], stand[stands]] = packing.unpack(numbers, "f8")[stands]
    return due, available, is_gap, found


after, last = packing.unpack(p_after, "i8"), packing.unpack(p_last, "i8")
calendars = [packing.unpack(each, "i8") for each in p_sessions]
parts, last_ts, states_after = [], [], []
for n, id_ in enumerate(p_ids):
    ts = packing.unpack(p_ts[n], "i8")
    order = np.argsort(ts, kind="stable")
    ts = ts[order]
    candles = {
        name: packing.unpack(packed[n], "f8")[order]
        for name, packed in zip(FIELDS, (p_open, p_high, p_low, p_close, p_volume))
    }
    refuse(id_, ts, candles)
    known = states.unpacked(p_states[n]) if p_states[n] is not None else {}
    # The candles that the state knows, and whether its last one is not among those given.
    old = int(np.searchsorted(ts, last[n], side="right"))
    lead = 1 if p_states[n] is not None and not old else 0
    if lead:
        ts = np.concatenate([last[n : n + 1], ts])
    sessions = daily.within(calendars[p_calendars[n] - 1], ts)
    place = daily.places(sessions, ts, id_)
    values, now = np.empty((len(p_columns), 0)), None
    if len(ts):
        with np.errstate(all="ignore"):
            values, now = worked_out(candles, known, old, lead)
    parts.append(laid_out(n, sessions, ts, place, values))
    last_ts.append(packing.iso(ts[-1:])[0] if len(ts) else None)
    states_after.append(states.packed(now) if len(ts) else None)

due, available, is_gap = (np.concatenate([part[each] for part in parts]) for each in range(3))
numbers = np.concatenate([part[3] for part in parts], axis=1)
known = ~np.isnan(numbers)
is_filled = is_gap & known.any(axis=0)
ids = np.repeat(p_ids, [len(part[0]) for part in parts])
found = packing.differences(
    [
        (packing.INTEGER, ids, None),
        (packing.STAMP, due, None),
        (packing.STAMP, np.where(is_filled, available, due), None),
        (packing.BOOLEAN, is_gap, None),
        (packing.BOOLEAN, is_filled, None),
        *((packing.FLOAT, each, present) for each, present in zip(numbers, known)),
    ],
    p_stored,
    keys=2,
)
return last_ts, *packing.outcome(found, ids, p_ids), states_after
$$;

comment on function features.indicators_kernel(
    integer[], text[], jsonb, text, integer[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[],
    bytea, bytea, bytea[], text[], bytea[], bytea[], bytea[]
) is 'Technical indicators of assets: the keys of stored rows that are stale, the rows that take their place, the states.';
