-- features.vol_kernel(...): one asset's volatilities from packed candles, as packed rows that differ.
--
--     select k.*
--     from features.vol_kernel(
--         1, 365, sessions, ts, open, high, low, close, true, after, null, stored,
--         'forward_fill', 252, 4, 1.5
--     ) as k;
--
-- Sessions, ts and prices are array_send of arrays without nulls, in order of time: the scheduled
-- sessions from the first candle given to the last, and the candles. Rows are worked out for
-- the sessions later than p_after (timestamptz_send) and compared with p_stored (record_send of
-- the table's rows later than p_after), bit for bit. p_year is the number of sessions of a year.
--
-- With u, d, c the logarithms of high, low and close over the candle's open, the range volatilities
-- are the root of p_year times the mean, over the last 20, 63 and 126 candles, of
--
--     Parkinson        (u - d)^2 / (4 ln 2)
--     Garman-Klass     (u - d)^2 / 2 - (2 ln 2 - 1) c^2, without the overnight term
--     Rogers-Satchell  u (u - c) + d (d - c)
--
-- and close to close is the sample deviation of so many logarithms of close over previous close,
-- times the root of p_year. Only full windows, of observed candles: a session without one
-- neither resets nor enters them. Its row is null (p_policy is skip), repeats that of the last candle
-- (forward_fill), or lies on the straight line, by sessions, to that of the next (interpolate): then it is
-- known with that one, and has no flags. Measures over 20 have z-scores and outlier flags over
-- p_look_back of their values, by p_sigmas and p_fence (indicators.series).
--
-- ATR is TA-Lib's, in dollars: the mean of the first 14 true ranges, the first of which belongs to
-- the second candle, then Wilder's (13 before + true range) / 14. Its own value is all the state that it
-- has: p_atr is that of the candle at p_after. p_whole says that there are no candles before those
-- given; otherwise complete is false when more of them, or p_atr, are needed.
--
-- requires: functions/db/packing.sql, functions/indicators/series.sql, functions/features/daily.sql
-- needs: plpython3u

create or replace function features.vol_kernel(
    p_id integer,
    p_year integer,
    p_sessions bytea,
    p_ts bytea,
    p_open bytea,
    p_high bytea,
    p_low bytea,
    p_close bytea,
    p_whole boolean,
    p_after bytea,
    p_atr double precision,
    p_stored bytea[],
    p_policy text,
    p_look_back integer,
    p_sigmas double precision,
    p_fence double precision,
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
from math import log

import numpy as np

WINDOWS = (20, 63, 126)
SCORED = WINDOWS[0]
PERIOD = 14

plpy.execute("select db.packing(), indicators.series(), features.daily()")
packing, series, daily = GD["packing"], GD["series"], GD["daily"]


def padded(values, length):
    """The values as the end of a series that is nan before them."""
    found = np.full(length, np.nan)
    found[length - len(values) :] = values
    return found


def refuse(ts, *odd):
    """An error that names the first candle at which something is odd, if there is one."""
    at = np.flatnonzero(np.logical_or.reduce(odd))
    if len(at):
        plpy.error(
            "a volatility is beyond what a number can hold",
            detail=f"Asset {p_id}, {packing.iso(ts[at[:1]])[0]}.",
            hint="Correct the candle that is wrong: this one or one before it.",
            sqlstate="TA409",
        )


def logarithms(ts, opened, high, low, close):
    """Those of high, low and close over the open, and of close over the close before."""
    step = padded(close[1:] / close[:-1], len(close))
    ratios = (high / opened, low / opened, close / opened, step)
    refuse(ts, *((ratio == 0) | np.isinf(ratio) for ratio in ratios))
    return [series.logs(ratio) for ratio in ratios]


def volatilities(u, d, c, step, begin):
    """Each measure over each window, from row begin on; earlier where its scores look back."""
    span = u - d
    candles = (
        span * span / (4 * log(2)),
        span * span / 2 - (2 * log(2) - 1) * (c * c),
        u * (u - c) + d * (d - c),
    )
    starts = [(window, begin - p_look_back * (window == SCORED)) for window in WINDOWS]
    found = []
    for each in candles:
        for window, start in starts:
            mean = series.means(each, max(start, window - 1), window)
            found.append(padded(np.sqrt(mean * p_year), len(each)))
    for window, start in starts:
        # The first candle has no step.
        _, deviation = series.moments(step[1:], max(start, window) - 1, window)
        found.append(padded(deviation * np.sqrt(p_year), len(step)))
    return found


def wilder(ts, high, low, close, begin):
    """The ATR of row begin and later ones; that of row begin is p_atr, if there is one."""
    reach = np.maximum(high[1:] - low[1:], np.abs(close[:-1] - high[1:]))
    reach = np.maximum(reach, np.abs(close[:-1] - low[1:]))
    atr = p_atr
    if atr is None:
        begin = PERIOD
        if len(reach) < PERIOD:
            return np.full(len(close), np.nan)
        # Added one by one, as TA-Lib does.
        atr = float(reach[:PERIOD].cumsum()[-1]) / PERIOD
    found = [atr]
    for x in reach[begin:].tolist():
        atr = (atr * (PERIOD - 1) + x) / PERIOD
        found.append(atr)
    found = padded(found, len(close))
    refuse(ts, np.isinf(found))
    return found


def columns(first, place, sessions, ts, measures, atr, begin):
    """The table's columns in its order, each as (type, values, where not null), from row begin on.

    The candles stand at these places among all sessions, of which these are the ones from `first` on.
    """
    source = np.searchsorted(ts, sessions, side="right") - 1
    is_gap = ts[source] != sessions
    scored = [
        series.scores(each, begin, p_look_back, p_sigmas, p_fence)
        for each in measures[:: len(WINDOWS)]
    ]
    z, far, fenced, judged = ([each[n] for each in scored] for n in range(4))
    numbers = [each[source] for each in (*measures, atr, *z)]
    far, fenced, judged = ([each[source] for each in flags] for flags in (far, fenced, judged))
    available = sessions
    if p_policy == "skip":
        for values in numbers:
            values[is_gap] = np.nan
    elif p_policy == "interpolate":
        # There is a candle after a session without one, always.
        before, following = source[is_gap], source[is_gap] + 1
        share = (first + np.flatnonzero(is_gap) - place[before]) / (place[following] - place[before])
        for values, each in zip(numbers, (*measures, atr, *z)):
            values[is_gap] += (each[following] - values[is_gap]) * share
        available = sessions.copy()
    if p_policy != "forward_fill":
        judged = [known & ~is_gap for known in judged]
    is_filled = is_gap & np.logical_or.reduce([~np.isnan(values) for values in numbers])
    if p_policy == "interpolate":
        available[is_filled] = ts[source[is_filled] + 1]
    return [
        (packing.INTEGER, np.full(len(sessions), p_id), None),
        (packing.STAMP, sessions, None),
        (packing.STAMP, available, None),
        *((packing.FLOAT, values, ~np.isnan(values)) for values in numbers),
        (packing.BOOLEAN, is_gap, None),
        (packing.BOOLEAN, is_filled, None),
        *((packing.BOOLEAN, flag, known) for flag, known in zip(far, judged)),
        *((packing.BOOLEAN, flag, known) for flag, known in zip(fenced, judged)),
    ]


sessions, ts = packing.unpack(p_sessions, "i8"), packing.unpack(p_ts, "i8")
opened, high, low, close = (
    packing.unpack(each, "f8") for each in (p_open, p_high, p_low, p_close)
)
after = np.frombuffer(p_after, ">i8")[0]
place = daily.places(sessions, ts, p_id)
# The last candle whose row stands: sessions right after it repeat its values.
begin = max(int(np.searchsorted(ts, after, side="right")) - 1, 0)
if not p_whole and (p_atr is None or begin < max(p_look_back + SCORED, 1 + max(WINDOWS))):
    return False, None, 0, [], 0, None

# What overflows is found in what it leaves behind.
with np.errstate(all="ignore"):
    measures = volatilities(*logarithms(ts, opened, high, low, close), begin)
    atr = wilder(ts, high, low, close, begin)
    first = int(np.searchsorted(sessions, after, side="right"))
    laid = columns(first, place, sessions[first:], ts, measures, atr, begin)

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

comment on function features.vol_kernel(
    integer, integer, bytea, bytea, bytea, bytea, bytea, bytea, boolean, bytea, double precision, bytea[],
    text, integer, double precision, double precision
) is 'Volatilities of one asset: the keys of stored rows that are stale, and the rows that take their place.';
