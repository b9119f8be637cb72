-- features.vol_kernel(...): volatilities of a set of assets from packed candles, as packed rows that differ.
--
--     select k.*
--     from features.vol_kernel(
--         '{7}', '{365}', '{1}', array[sessions], array[ts], array[open], array[high], array[low], array[close],
--         '{t}', after, '{null}', stored, 'forward_fill', 252, 4, 1.5
--     ) as k;
--
-- p_ids are in order; of each asset stands at its place: p_years, the number of sessions of its year;
-- p_calendars, which of p_sessions holds its scheduled sessions; p_ts and its prices, its candles;
-- p_whole, p_after (of array_send) and p_atr. Sessions, ts and prices are array_send of arrays without
-- nulls, the sessions in order of time; those before the first candle and after the last are left
-- out. Rows are worked out for the sessions later than p_after and compared with p_stored (record_send
-- of the table's rows later than that), bit for bit.
--
-- With u, d, c the logarithms of high, low and close over the candle's open, the range volatilities
-- are the root of the year times the mean, over the last 20, 63 and 126 candles, of
--
--     Parkinson        (u - d)^2 / (4 ln 2)
--     Garman-Klass     (u - d)^2 / 2 - (2 ln 2 - 1) c^2, without the overnight term
--     Rogers-Satchell  u (u - c) + d (d - c)
--
-- and close to close is the sample deviation of so many logarithms of close over previous close,
-- times the root of the year. Only full windows, of observed candles: a session without one
-- neither resets nor enters them. Its row is null (p_policy is skip), repeats that of the last candle
-- (forward_fill), or lies on the straight line, by sessions, to that of the next (interpolate): then it is
-- known with that one, and has no flags. Measures over 20 have z-scores and outlier flags over
-- p_look_back of their values, by p_sigmas and p_fence (indicators.series).
--
-- ATR is TA-Lib's, in dollars: the mean of the first 14 true ranges, the first of which belongs to
-- the second candle, then Wilder's (13 before + true range) / 14. Its own value is all the state that it
-- has: p_atr is that of the candle at p_after. p_whole says that there are no candles before those
-- given; incomplete are the assets of which more of them, or p_atr, are needed, and then nothing else
-- is given.
--
-- requires: functions/db/packing.sql, functions/indicators/series.sql, functions/features/daily.sql
-- needs: plpython3u

create or replace function features.vol_kernel(
    p_ids integer[],
    p_years integer[],
    p_calendars integer[],
    p_sessions bytea[],
    p_ts bytea[],
    p_open bytea[],
    p_high bytea[],
    p_low bytea[],
    p_close bytea[],
    p_whole boolean[],
    p_after bytea,
    p_atr double precision[],
    p_stored bytea[],
    p_policy text,
    p_look_back integer,
    p_sigmas double precision,
    p_fence double precision,
    out incomplete integer[],
    out last_ts timestamptz[],
    out unchanged integer[],
    out changed integer[],
    out stale_ids integer[],
    out stale timestamptz[],
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


def refuse(*odd):
    """An error that names the first candle at which something is odd, if there is one."""
    at = np.flatnonzero(np.logical_or.reduce(odd))
    if len(at):
        plpy.error(
            "a volatility is beyond what a number can hold",
            detail=f"Asset {p_ids[owner[at[0]]]}, {packing.iso(ts[at[:1]])[0]}.",
            hint="Correct the candle that is wrong: this one or one before it.",
            sqlstate="TA409",
        )


def before(values):
    """The value of the candle before, nan at an asset's first one."""
    found = np.roll(values, 1)
    found[begins[lengths > 0]] = np.nan
    return found


def logarithms():
    """Those of high, low and close over the open, and of close over the close before."""
    ratios = (high / opened, low / opened, close / opened, close / before(close))
    refuse(*((ratio == 0) | np.isinf(ratio) for ratio in ratios))
    return [series.logs(ratio) for ratio in ratios]


def volatilities(u, d, c, step):
    """Each measure over each window, of fresh rows; of earlier ones too where their scores look back."""
    span = u - d
    candles = (
        span * span / (4 * log(2)),
        span * span / 2 - (2 * log(2) - 1) * (c * c),
        u * (u - c) + d * (d - c),
    )
    found = []
    for each in (*candles, step):
        for window in WINDOWS:
            # The first candle has no step.
            least = window if each is step else window - 1
            start = fresh_from - p_look_back if window == SCORED else fresh_from
            ends = np.flatnonzero(row >= np.maximum(start, least))
            volatility = np.full(len(each), np.nan)
            if each is step:
                _, deviation = series.moments(each, ends, window)
                volatility[ends] = deviation * np.sqrt(years[ends])
            else:
                volatility[ends] = np.sqrt(series.means(each, ends, window) * years[ends])
            found.append(volatility)
    return found


def wilder():
    """The ATR of fresh rows; that of the first of them is p_atr, if there is one."""
    close_before = before(close)
    reach = np.maximum(high - low, np.abs(close_before - high))
    reach = np.maximum(reach, np.abs(close_before - low))
    found = np.full(len(close), np.nan)
    for atr, first, end, at in zip(p_atr, begins.tolist(), ends.tolist(), firsts):
        if atr is None:
            at = PERIOD
            if end - first <= PERIOD:
                continue
            # Added one by one, as TA-Lib does.
            atr = float(reach[first + 1 : first + 1 + PERIOD].cumsum()[-1]) / PERIOD
        some = [atr]
        for x in reach[first + at + 1 : end].tolist():
            atr = (atr * (PERIOD - 1) + x) / PERIOD
            some.append(atr)
        found[first + at : end] = some
    refuse(np.isinf(found))
    return found


def columns(measures, atr):
    """The table's columns in its order, each as (type, values, where not null), of the sessions that are due."""
    is_gap = ts[source] != due
    places = np.flatnonzero(fresh)
    scored = [
        series.scores(each, places, p_look_back, p_sigmas, p_fence, begin)
        for each in measures[:: len(WINDOWS)]
    ]
    z, far, fenced, judged = ([each[n] for each in scored] for n in range(4))
    numbers = [each[source] for each in (*measures, atr, *z)]
    far, fenced, judged = ([each[source] for each in flags] for flags in (far, fenced, judged))
    available = due
    if p_policy == "skip":
        for values in numbers:
            values[is_gap] = np.nan
    elif p_policy == "interpolate":
        # There is a candle after a session without one, always.
        behind, following = source[is_gap], source[is_gap] + 1
        share = (number[is_gap] - place[behind]) / (place[following] - place[behind])
        for values, each in zip(numbers, (*measures, atr, *z)):
            values[is_gap] += (each[following] - values[is_gap]) * share
        available = due.copy()
    if p_policy != "forward_fill":
        judged = [known & ~is_gap for known in judged]
    is_filled = is_gap & np.logical_or.reduce([~np.isnan(values) for values in numbers])
    if p_policy == "interpolate":
        available[is_filled] = ts[source[is_filled] + 1]
    return [
        (packing.INTEGER, ids, None),
        (packing.STAMP, due, None),
        (packing.STAMP, available, None),
        *((packing.FLOAT, values, ~np.isnan(values)) for values in numbers),
        (packing.BOOLEAN, is_gap, None),
        (packing.BOOLEAN, is_filled, None),
        *((packing.BOOLEAN, flag, known) for flag, known in zip(far, judged)),
        *((packing.BOOLEAN, flag, known) for flag, known in zip(fenced, judged)),
    ]


after = packing.unpack(p_after, "i8")
calendars = [packing.unpack(each, "i8") for each in p_sessions]
prices, stamps, places, dues, sources, numbers = [], [], [], [], [], []
firsts, last, incomplete = [], [], []
for n, id_ in enumerate(p_ids):
    ts = packing.unpack(p_ts[n], "i8")
    order = np.argsort(ts, kind="stable")
    ts = ts[order]
    sessions = daily.within(calendars[p_calendars[n] - 1], ts)
    place = daily.places(sessions, ts, id_)
    # The last candle whose row stands: sessions right after it repeat its values.
    first = max(int(np.searchsorted(ts, after[n], side="right")) - 1, 0)
    if not p_whole[n] and (
        p_atr[n] is None or first < max(p_look_back + SCORED, 1 + max(WINDOWS))
    ):
        incomplete.append(id_)
    firsts.append(first)
    stamps.append(ts)
    places.append(place)
    prices.append(
        [packing.unpack(each[n], "f8")[order] for each in (p_open, p_high, p_low, p_close)]
    )
    numbers.append(np.arange(int(np.searchsorted(sessions, after[n], side="right")), len(sessions)))
    dues.append(sessions[numbers[n]])
    sources.append(np.searchsorted(ts, dues[n], side="right") - 1)
    last.append(packing.iso(ts[-1:])[0] if len(ts) else None)
if incomplete:
    return incomplete, [], [], [], [], [], None

# The candles of one asset after those of the other; of each: which asset it is of, where that begins,
# how far from there it is, and whether it is fresh.
lengths = np.array([len(each) for each in stamps])
ends = np.cumsum(lengths)
begins = ends - lengths
owner = np.repeat(np.arange(len(p_ids)), lengths)
begin = begins[owner]
row = np.arange(len(owner)) - begin
fresh_from = np.array(firsts)[owner]
fresh = row >= fresh_from
years = np.array(p_years, float)[owner]
ts, place = np.concatenate(stamps), np.concatenate(places)
opened, high, low, close = (np.concatenate(each) for each in zip(*prices))
# Of each session that is due: its number, and the candle that it has or that comes before it.
due, number = np.concatenate(dues), np.concatenate(numbers)
source = np.concatenate([each + at for each, at in zip(sources, begins)])
ids = np.repeat(p_ids, [len(each) for each in dues])

# What overflows is found in what it leaves behind.
with np.errstate(all="ignore"):
    laid = columns(volatilities(*logarithms()), wilder())

found = packing.differences(laid, p_stored, keys=2)
return [], last, *packing.outcome(found, ids, p_ids)
$$;

comment on function features.vol_kernel(
    integer[], integer[], integer[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], boolean[], bytea,
    double precision[], bytea[], text, integer, double precision, double precision
) is 'Volatilities of assets: the keys of stored rows that are stale, and the rows that take their place.';
