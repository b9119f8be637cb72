-- features.indicators_kernel(...): one asset's technical indicators from packed candles, as packed rows that differ.
--
--     select k.* from features.indicators_kernel(
--         1, columns, active, 'interpolate', sessions, ts, open, high, low, close, volume,
--         after, last, state, '{}', null, null, stored
--     ) as k;
--
-- Sessions, ts and prices are array_send of arrays without nulls, in order of time: the scheduled sessions from the
-- first candle (or from p_last, if it is earlier) to the last, and the candles; a volume that is null is NaN.
-- p_columns are the table's numbers in its order, p_active the rows of dim_indicators that are
-- worked out. Those that p_state knows go on from it: it stands right after the candle at p_last. The
-- others begin at the first candle, which must be given then.
--
-- Rows are worked out for the sessions later than p_after and compared with p_stored (record_send of
-- the table's rows later than that), bit for bit. p_kept are the columns whose values up to p_last
-- (p_kept_ts, p_kept_numbers) stay: of known indicators, and of those that are not active.
--
-- A session without a candle has nulls (p_policy is skip), the values of the candle before (forward_fill), or those on the
-- straight line, by sessions, to the next candle's (interpolate): then it is known with that one.
--
-- requires: functions/db/packing.sql, functions/features/daily.sql, functions/features/indicator_state.sql
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function features.indicators_kernel(
    p_id integer,
    p_columns text[],
    p_active jsonb,
    p_policy text,
    p_sessions bytea,
    p_ts bytea,
    p_open bytea,
    p_high bytea,
    p_low bytea,
    p_close bytea,
    p_volume bytea,
    p_after bytea,
    p_last bytea,
    p_state bytea,
    p_kept text[],
    p_kept_ts bytea,
    p_kept_numbers bytea[],
    p_stored bytea[],
    out last_ts timestamptz,
    out unchanged integer,
    out stale timestamptz[],
    out changed integer,
    out packed bytea,
    out state bytea
)
language plpython3u
stable parallel unsafe
as $$
import json
from types import SimpleNamespace

import numpy as np

# Squares and quotients of such prices, and sums of such volumes times prices, are numbers.
PRICES, VOLUMES = (1e-100, 1e100), 1e150

active = json.loads(p_active)
modules = ["db.packing()", "features.daily()", "features.indicator_state()", "indicators.arithmetic()"]
modules += [f"indicators._{kind}_kernel()" for kind in sorted({each["kind"] for each in active})]
plpy.execute("select " + ", ".join(modules))
packing, daily, states = GD["packing"], GD["daily"], GD["indicator_state"]


def refuse(candles):
    """An error that names the first candle that cannot be worked with, if there is one."""
    least, most = PRICES
    odd = candles.volume > VOLUMES
    for prices in (candles.open, candles.high, candles.low, candles.close):
        odd |= ~((prices >= least) & (prices <= most))
    at = np.flatnonzero(odd)
    if len(at):
        plpy.error(
            "a candle is beyond what indicators can be worked out from",
            detail=f"Asset {p_id}, {packing.iso(ts[at[:1]])[0]}.",
            hint=f"Correct it: prices lie between {least:g} and {most:g}, volumes are {VOLUMES:g} at most.",
            sqlstate="TA414",
        )


def worked_out(candles, known, old, lead):
    """Values at the candles by column, after `lead` ones that are gone, and the state after the last candle."""
    values, states_after = {}, {}
    for each in active:
        before, carried = known.get(each["indicator_id"], (None, None))
        new = candles
        if before is not None:
            new = SimpleNamespace(**{name: x[old:] for name, x in vars(candles).items()})
        outputs, carried = GD["indicators"][each["kind"]](new, each["params"], carried)
        now = []
        for n, (column, output) in enumerate(zip(each["columns"], outputs.values())):
            found = np.full(lead + len(candles.close), np.nan)
            found[len(found) - len(output) :] = np.where(np.isfinite(output), output, np.nan)
            if before is not None:
                found[lead + old - 1] = before[n]
            values[column] = found
            now.append(found[-1])
        states_after[each["indicator_id"]] = now, carried
    return values, states_after


def filled(values, source, is_gap, share):
    """The values of candles at the sessions, those without one by the policy."""
    found = values[source]
    if p_policy == "skip":
        found[is_gap] = np.nan
    elif p_policy == "interpolate":
        following = values[source[is_gap] + 1]
        found[is_gap] += (following - found[is_gap]) * share[is_gap]
    return found


def laid_out(sessions, ts, values, kept):
    """The table's columns in its order, each as (type, values, where not null)."""
    places = daily.places(sessions, ts, p_id)
    source = np.searchsorted(ts, sessions, side="right") - 1
    is_gap = ts[source] != sessions
    available = sessions.copy()
    share = np.zeros(len(sessions))
    if p_policy == "interpolate":
        # There is a candle after a session without one, always.
        before, following = source[is_gap], source[is_gap] + 1
        share[is_gap] = (np.flatnonzero(is_gap) - places[before]) / (places[following] - places[before])
    later = slice(int(np.searchsorted(sessions, np.frombuffer(p_after, ">i8")[0], side="right")), None)
    numbers = []
    for column in p_columns:
        if column in values:
            found = filled(values[column], source, is_gap, share)
        else:
            found = np.full(len(sessions), np.nan)
        if column in kept:
            stood, stand = kept[column]
            found[stand] = stood
        numbers.append(found[later])
    some = np.zeros(len(sessions[later]), bool)
    for found in numbers:
        some |= ~np.isnan(found)
    is_filled = is_gap[later] & some
    if p_policy == "interpolate":
        available = np.where(is_gap, ts[np.minimum(source + 1, len(ts) - 1)], sessions)
    return [
        (packing.INTEGER, np.full(len(is_filled), p_id), None),
        (packing.STAMP, sessions[later], None),
        (packing.STAMP, np.where(is_filled, available[later], sessions[later]), None),
        (packing.BOOLEAN, is_gap[later], None),
        (packing.BOOLEAN, is_filled, None),
        *((packing.FLOAT, found, ~np.isnan(found)) for found in numbers),
    ]


sessions, ts = packing.unpack(p_sessions, "i8"), packing.unpack(p_ts, "i8")
candles = SimpleNamespace(
    **{
        name: packing.unpack(packed, "f8")
        for name, packed in zip(
            ("open", "high", "low", "close", "volume"), (p_open, p_high, p_low, p_close, p_volume)
        )
    }
)
refuse(candles)
known = states.unpacked(p_state) if p_state is not None else {}
last = np.frombuffer(p_last, ">i8")[0]
# The candles that the state knows, and whether its last one is not among those given.
old = int(np.searchsorted(ts, last, side="right"))
lead = 1 if p_state is not None and not old else 0
if lead:
    ts = np.concatenate([[last], ts])
values, states_after = {}, {}
if len(ts):
    with np.errstate(all="ignore"):
        values, states_after = worked_out(candles, known, old, lead)

kept = {}
if p_kept_ts is not None:
    kept_ts = packing.unpack(p_kept_ts, "i8")
    place = np.minimum(np.searchsorted(sessions, kept_ts), len(sessions) - 1)
    stands = sessions[place] == kept_ts if len(sessions) else np.zeros(len(kept_ts), bool)
    for column, numbers in zip(p_kept, p_kept_numbers):
        kept[column] = packing.unpack(numbers, "f8")[stands], place[stands]

found = packing.differences(laid_out(sessions, ts, values, kept), p_stored, keys=2)
return (
    packing.iso(ts[-1:])[0] if len(ts) else None,
    found.unchanged,
    packing.iso(found.stale[1]),
    found.changed,
    found.packed,
    states.packed(states_after) if len(ts) else None,
)
$$;

comment on function features.indicators_kernel(
    integer, text[], jsonb, text, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea,
    text[], bytea, bytea[], bytea[]
) is 'Technical indicators of one asset: the keys of stored rows that are stale, the rows that take their place, the state.';
