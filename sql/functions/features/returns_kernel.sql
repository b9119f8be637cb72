-- features.returns_kernel(...): one asset's returns from packed candles, as packed rows that differ.
--
--     select k.*
--     from features.returns_kernel(1, sessions, ts, close, true, after, stored) as k;
--
-- Sessions, ts and close are array_send of arrays without nulls, in order of time: the scheduled
-- sessions from the first candle given to the last, and the candles. Rows are worked out for
-- the sessions later than p_after (timestamptz_send) and compared with p_stored (record_send of
-- the table's rows later than p_after), bit for bit.
--
-- A return over n compares with the session n scheduled sessions earlier, null when either has no
-- candle. z is (x - mean) / sample deviation of the last 252 values that are not null, x included;
-- null before there are 252, or when the deviation is 0. An outlier is compared with the 252
-- before it: more than 4 sample deviations from their mean, or more than 1.5 interquartile ranges
-- outside their quartiles (percentile_cont). Sessions without a candle have a row, null and flagged.
--
-- Every value depends on its own window alone, whatever is computed beside it (indicators.series).
-- No recurrence, so no state: the candles before p_after are read again. p_whole says that there
-- are none before those given; otherwise complete is false when more of them are needed.
--
-- requires: functions/db/packing.sql, functions/indicators/series.sql, functions/features/daily.sql
-- needs: plpython3u

create or replace function features.returns_kernel(
    p_id integer,
    p_sessions bytea,
    p_ts bytea,
    p_close bytea,
    p_whole boolean,
    p_after bytea,
    p_stored bytea[],
    out complete boolean,
    out last_ts timestamptz,
    out unchanged integer,
    out stale timestamptz[],
    out changed integer,
    out packed bytea
)
language plpython3u
immutable parallel unsafe
as $$
import numpy as np

SPANS = (1, 3, 5, 7, 14, 21, 30, 63, 126, 252)
SCORED = (1, 7, 30)
WINDOW = 252

plpy.execute("select db.packing(), indicators.series(), features.daily()")
packing, series, daily = GD["packing"], GD["series"], GD["daily"]


def ratios(close):
    """Each close over the one so many rows earlier, nan where either is missing, by span."""
    found = np.full((len(SPANS), len(close)), np.nan)
    for row, span in zip(found, SPANS):
        row[span:] = close[span:] / close[:-span]
    return found


def refuse(ratio, sessions, close):
    """An error that names the first of the returns that are no number, if there is one."""
    for span, row, odd in zip(SPANS, ratio, (ratio == 0) | np.isinf(ratio)):
        if odd.any():
            at = int(odd.argmax())
            plpy.error(
                "a return is beyond what a number can hold",
                detail=f"Asset {p_id}, {packing.iso(sessions[at : at + 1])[0]}, over {span} sessions: "
                f"{close[at - span]!r} to {close[at]!r}.",
                hint="Correct the candle that is wrong.",
                sqlstate="TA403",
            )


def columns(sessions, close, ratio, first):
    """The table's columns in its order, each as (type, values, where not null), from row first."""
    candle = ~np.isnan(close)
    returns = ratio - 1
    fresh = returns[:, first:]
    known = ~np.isnan(fresh)
    logarithms = series.logs(ratio[:, first:])
    score = []
    flags = [], []
    for span in SCORED:
        scored = series.scores(returns[SPANS.index(span)], first, WINDOW)
        z, far, fenced, judged = (each[first:] for each in scored)
        score.append((packing.FLOAT, z, ~np.isnan(z)))
        flags[0].append((packing.BOOLEAN, far, judged))
        flags[1].append((packing.BOOLEAN, fenced, judged))

    at = np.flatnonzero(candle)
    gap = np.zeros(len(sessions), "i4")
    gap[at[1:]] = np.diff(at)
    return [
        (packing.INTEGER, np.full(len(sessions) - first, p_id), None),
        (packing.STAMP, sessions[first:], None),
        (packing.STAMP, sessions[first:], None),
        *((packing.FLOAT, values, present) for values, present in zip(fresh, known)),
        *((packing.FLOAT, values, present) for values, present in zip(logarithms, known)),
        *score,
        (packing.INTEGER, gap[first:], gap[first:] > 0),
        (packing.BOOLEAN, ~candle[first:], None),
        *flags[0],
        *flags[1],
    ]


sessions, ts = packing.unpack(p_sessions, "i8"), packing.unpack(p_ts, "i8")
first = int(np.searchsorted(sessions, np.frombuffer(p_after, ">i8")[0], side="right"))
place = daily.places(sessions, ts, p_id)
close = np.full(len(sessions), np.nan)
close[place] = packing.unpack(p_close, "f8")

# Division by zero and overflow are found in what they leave behind.
with np.errstate(all="ignore"):
    ratio = ratios(close)
    if not p_whole:
        scored = ratio[[SPANS.index(span) for span in SCORED], :first]
        if first < max(SPANS) or (np.isfinite(scored).sum(axis=1) < WINDOW).any():
            return False, None, 0, [], 0, None
    refuse(ratio, sessions, close)
    laid = columns(sessions, close, ratio, first)

found = packing.differences(laid, p_stored, keys=2)
return (
    True,
    packing.iso(ts[-1:])[0] if len(ts) else None,
    found.unchanged,
    packing.iso(found.stale[1]),
    found.changed,
    found.packed,
)
$$;

comment on function features.returns_kernel(integer, bytea, bytea, bytea, boolean, bytea, bytea[]) is
    'Daily returns of one asset: the keys of stored rows that are stale, and the rows that take their place.';
