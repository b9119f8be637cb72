-- features.returns_kernel(...): returns of a set of assets from packed candles, as packed rows that differ.
--
--     select k.*
--     from features.returns_kernel('{7}', '{1}', array[sessions], array[ts], array[close], '{t}', after, stored, 252, 4, 1.5) as k;
--
-- p_ids are in order; of each asset stands at its place: p_calendars, which of p_sessions holds its
-- scheduled sessions; p_ts and p_close, its candles; p_whole and p_after (of array_send). Each of
-- p_sessions, p_ts and p_close is array_send of an array without nulls, the sessions in order of
-- time; those before the first candle and after the last are left out. Rows are worked out for the sessions later
-- than p_after and compared with p_stored (record_send of the table's rows later than that), bit for bit.
--
-- A return over n compares with the session n scheduled sessions earlier, null when either has no
-- candle. z is (x - mean) / sample deviation of the last p_look_back values that are not null, x included;
-- null before there are so many, or when the deviation is 0. An outlier is compared with as many
-- before it: more than p_sigmas sample deviations from their mean, or more than p_fence interquartile
-- ranges outside their quartiles (percentile_cont). Sessions without a candle have a row, null and flagged.
--
-- Every value depends on its own window alone, whatever is computed beside it (indicators.series).
-- No recurrence, so no state: the candles before p_after are read again. p_whole says that there
-- are none before those given; incomplete are the assets of which more of them are needed, and then
-- nothing else is given.
--
-- requires: functions/db/packing.sql, functions/indicators/series.sql, functions/features/daily.sql
-- needs: plpython3u

create or replace function features.returns_kernel(
    p_ids integer[],
    p_calendars integer[],
    p_sessions bytea[],
    p_ts bytea[],
    p_close bytea[],
    p_whole boolean[],
    p_after bytea,
    p_stored bytea[],
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
import numpy as np

SPANS = (1, 3, 5, 7, 14, 21, 30, 63, 126, 252)
SCORED = (1, 7, 30)

plpy.execute("select db.packing(), indicators.series(), features.daily()")
packing, series, daily = GD["packing"], GD["series"], GD["daily"]


def ratios(close, row):
    """Each close over that of the asset so many rows earlier, nan where either is missing, by span."""
    found = np.full((len(SPANS), len(close)), np.nan)
    for ratio, span in zip(found, SPANS):
        ratio[span:] = close[span:] / close[:-span]
        ratio[row < span] = np.nan
    return found


def refuse(ratio, ids, sessions, close):
    """An error that names the first of the returns that are no number, if there is one."""
    for span, row, odd in zip(SPANS, ratio, (ratio == 0) | np.isinf(ratio)):
        if odd.any():
            at = int(odd.argmax())
            plpy.error(
                "a return is beyond what a number can hold",
                detail=f"Asset {ids[at]}, {packing.iso(sessions[at : at + 1])[0]}, over {span} sessions: "
                f"{close[at - span]!r} to {close[at]!r}.",
                hint="Correct the candle that is wrong.",
                sqlstate="TA403",
            )


def columns(ids, sessions, close, begin, ratio, fresh):
    """The table's columns in its order, each as (type, values, where not null), of the fresh rows."""
    candle = ~np.isnan(close)
    returns = ratio - 1
    places = np.flatnonzero(fresh)
    chosen = series.stretch(places)
    rows = returns[:, chosen]
    known = ~np.isnan(rows)
    logarithms = series.logs(ratio[:, chosen])
    score = []
    flags = [], []
    for span in SCORED:
        scored = series.scores(
            returns[SPANS.index(span)], places, p_look_back, p_sigmas, p_fence, begin
        )
        z, far, fenced, judged = (each[chosen] for each in scored)
        score.append((packing.FLOAT, z, ~np.isnan(z)))
        flags[0].append((packing.BOOLEAN, far, judged))
        flags[1].append((packing.BOOLEAN, fenced, judged))

    at = np.flatnonzero(candle)
    gap = np.zeros(len(sessions), "i4")
    gap[at[1:]] = np.diff(at)
    # An asset's rows begin with its first candle.
    gap[begin] = 0
    gap = gap[chosen]
    return [
        (packing.INTEGER, ids[chosen], None),
        (packing.STAMP, sessions[chosen], None),
        (packing.STAMP, sessions[chosen], None),
        *((packing.FLOAT, values, present) for values, present in zip(rows, known)),
        *((packing.FLOAT, values, present) for values, present in zip(logarithms, known)),
        *score,
        (packing.INTEGER, gap, gap > 0),
        (packing.BOOLEAN, ~candle[chosen], None),
        *flags[0],
        *flags[1],
    ]


after = packing.unpack(p_after, "i8").tolist()
calendars = [packing.unpack(each, "i8") for each in p_sessions]
parts, closes, firsts, last = [], [], [], []
for n, (id_, calendar) in enumerate(zip(p_ids, p_calendars)):
    ts = packing.unpack(p_ts[n], "i8")
    order = np.argsort(ts, kind="stable")
    ts = ts[order]
    sessions = calendars[calendar - 1]
    if len(ts):
        # From its first candle to its last.
        sessions = sessions[slice(*np.searchsorted(sessions, ts[[0, -1]] + [0, 1]))]
    else:
        sessions = ts
    place = daily.places(sessions, ts, id_)
    close = np.full(len(sessions), np.nan)
    close[place] = packing.unpack(p_close[n], "f8")[order]
    parts.append(sessions)
    closes.append(close)
    firsts.append(int(np.searchsorted(sessions, after[n], side="right")))
    last.append(packing.iso(ts[-1:])[0] if len(ts) else None)
lengths = np.array([len(part) for part in parts])
ends = np.cumsum(lengths)
begins = ends - lengths
sessions, close = np.concatenate(parts), np.concatenate(closes)
# Of each row: which asset it is of, where that begins, and how far from there it is.
owner = np.repeat(np.arange(len(p_ids)), lengths)
begin = begins[owner]
row = np.arange(len(sessions)) - begin
fresh = row >= np.array(firsts)[owner]

# Division by zero and overflow are found in what they leave behind.
with np.errstate(all="ignore"):
    ratio = ratios(close, row)
    scored = np.isfinite(ratio[[SPANS.index(span) for span in SCORED]])
    incomplete = [
        id_
        for id_, whole, first, at in zip(p_ids, p_whole, firsts, begins)
        if not whole
        and (first < max(SPANS) or (scored[:, at : at + first].sum(axis=1) < p_look_back).any())
    ]
    if incomplete:
        return incomplete, [], [], [], [], [], None
    ids = np.array(p_ids)[owner]
    refuse(ratio, ids, sessions, close)
    laid = columns(ids, sessions, close, begin, ratio, fresh)

found = packing.differences(laid, p_stored, keys=2)
return [], last, *packing.outcome(found, laid[0][1], p_ids)
$$;

comment on function features.returns_kernel(
    integer[], integer[], bytea[], bytea[], bytea[], boolean[], bytea, bytea[],
    integer, double precision, double precision
) is 'Daily returns of assets: the keys of stored rows that are stale, and the rows that take their place.';
