"""The task of Qlib's data-server benchmark, on made-up data of its shape.

Their paper (arXiv 2009.11189) takes 14 factors of open, high, low, close and volume from daily
candles of 800 stocks, 2007 to 2020, with one processor. It doesn't list the factors: those below
are ours, in its expressions.

Each contender ends with a frame in the client's memory, a row for each candle. "Our kernel" works
the factors out in the database, by a kernel of this file upon the modules that our own kernels
share; nothing is kept. "Our stored features" reads as many columns of what refresh_features()
keeps, the nearest to their cache: other factors, which are there already.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import psycopg
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks import ladder, market, report, timing

ASSETS, DAYS = (800, 3172) if market.IS_STANDARD else (market.ASSETS, market.DAYS)
#: To windows that are taken one by one, and to pandas, whose running deviation drifts: up to 2e-6
#: behind a price that has fallen far.
AGREEMENT, DRIFT = 1e-12, 1e-5
#: Name by name, what they are in Qlib's expressions.
FACTORS = {
    "body": "($close - $open) / $open",
    "reach": "($high - $low) / $open",
    **{f"roc_{n}": f"Ref($close, {n}) / $close" for n in (5, 20, 60)},
    **{f"mean_{n}": f"Mean($close, {n}) / $close" for n in (5, 20, 60)},
    **{f"std_{n}": f"Std($close, {n}) / $close" for n in (5, 20, 60)},
    "max_20": "Max($high, 20) / $close",
    "min_20": "Min($low, 20) / $close",
    "volume_20": "Mean($volume, 20) / $volume",
}
#: As many columns that a refresh keeps, by table.
STORED = {
    "features.cmc_returns_daily": ("ret_pct_1", "ret_pct_5", "ret_pct_21", "ret_pct_63"),
    "features.cmc_vol_daily": ("close_to_close_20", "close_to_close_63", "parkinson_20"),
    "features.cmc_ta_daily": (
        *("bb_upper_20_2", "bb_middle_20_2", "bb_lower_20_2", "bb_width_20_2"),
        *("stoch_k_14_3", "rsi_14", "atr_14"),
    ),
}
STEPS = ["returns", "volatility", "indicators"]
KEYS = {"id": "i4", "ts": "i8"}
#: Seconds that the paper has, with one processor.
THEIRS = {
    "MySQL": 365,
    "HDF5": 184,
    "Qlib without its caches": 147,
    "Qlib with both caches": 7.4,
}
NOTES = {
    "our kernel": "in the database, reads each asset's candles and hands its factors over as bytes;"
    " nothing is kept",
    "our stored features": "14 columns of returns, volatilities and indicators, of those"
    " that refresh_features() keeps; binary COPY",
    "pandas": "the candles by binary COPY, factors by pandas' rolling windows, an asset at a time",
}

KERNEL = """
create function public.qlib_factors(
    p_ts bytea, p_open bytea, p_high bytea, p_low bytea, p_close bytea, p_volume bytea
)
returns bytea
language plpython3u
as $$
import numpy as np

plpy.execute("select db.packing(), indicators.series(), indicators.arithmetic()")
packing, series, arithmetic = GD["packing"], GD["series"], GD["arithmetic"]

ts = packing.unpack(p_ts, "i8")
order = np.argsort(ts, kind="stable")
opened, high, low, close, volume = (
    packing.unpack(each, "f8")[order] for each in (p_open, p_high, p_low, p_close, p_volume)
)
length = len(ts)


def moments(values, window):
    mean, deviation = series.moments(values, window - 1, window)
    return arithmetic.late(mean, length), arithmetic.late(deviation, length)


past = [arithmetic.late(close[:-n], length) for n in (5, 20, 60)]
means, deviations = zip(*(moments(close, n) for n in (5, 20, 60)))
factors = [
    (close - opened) / opened,
    (high - low) / opened,
    *(each / close for each in (*past, *means, *deviations)),
    arithmetic.highest(high, 20, length) / close,
    arithmetic.lowest(low, 20, length) / close,
    moments(volume, 20)[0] / volume,
]
return ts[order].astype("<i8").tobytes() + np.array(factors, "<f8").tobytes()
$$
"""
FROM_CANDLES = """
    select
        a.id,
        (
            select public.qlib_factors(
                array_send(array_agg(b.ts)), array_send(array_agg(b.open)),
                array_send(array_agg(b.high)), array_send(array_agg(b.low)),
                array_send(array_agg(b.close)), array_send(array_agg(b.volume))
            )
            from bars.cmc_price_histories7 as b
            where b.id = a.id
        )
    from bars.dim_assets as a
    order by a.id
"""


def copied(conn: psycopg.Connection, query: str, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of a query without nulls: id, ts and float columns."""
    layout = [("count", ">i2")]
    for name, kind in {**KEYS, **dict.fromkeys(columns, "f8")}.items():
        layout += [(f"length of {name}", ">i4"), (name, f">{kind}")]
    with conn.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout (format binary)") as copy:
        whole = b"".join(bytes(chunk) for chunk in copy)
    packed = np.frombuffer(whole[19:-2], layout)
    kinds = {**KEYS, **dict.fromkeys(columns, "f8")}
    return pd.DataFrame({name: packed[name].astype(kind) for name, kind in kinds.items()})


def from_candles(conn: psycopg.Connection) -> pd.DataFrame:
    """The factors as the database works them out."""
    parts = []
    with conn.cursor(binary=True) as cursor:
        cursor.execute(FROM_CANDLES)
        for asset, packed in cursor:
            length = len(packed) // (8 * (1 + len(FACTORS)))
            ts = np.frombuffer(packed, "<i8", length)
            factors = np.frombuffer(packed, "<f8", offset=8 * length).reshape(-1, length)
            parts.append((np.full(length, asset, "i4"), ts, factors))
    ids, ts, factors = zip(*parts, strict=True)
    return pd.DataFrame(
        {
            "id": np.concatenate(ids),
            "ts": np.concatenate(ts),
            **dict(zip(FACTORS, np.concatenate(factors, axis=1), strict=True)),
        }
    )


def stored(conn: psycopg.Connection) -> pd.DataFrame:
    """As many columns of what a refresh keeps."""
    first, *others = STORED
    names = [f"{table}.{name}" for table, columns in STORED.items() for name in columns]
    query = f"""
        select id, ts, {", ".join(f"coalesce({name}, 'NaN')" for name in names)}
        from {first}
        {" ".join(f"join {table} using (id, ts)" for table in others)}
        order by id, ts
    """
    return copied(conn, query, names)


def with_pandas(conn: psycopg.Connection) -> pd.DataFrame:
    """The factors as a client works them out."""
    fields = ["open", "high", "low", "close", "volume"]
    query = f"select id, ts, {', '.join(fields)} from bars.cmc_price_histories7 order by id, ts"
    whole = copied(conn, query, fields)
    parts = []
    for _, part in whole.groupby("id"):
        close = part["close"]
        found = {
            "body": (close - part["open"]) / part["open"],
            "reach": (part["high"] - part["low"]) / part["open"],
            **{f"roc_{n}": close.shift(n) / close for n in (5, 20, 60)},
            **{f"mean_{n}": close.rolling(n).mean() / close for n in (5, 20, 60)},
            **{f"std_{n}": close.rolling(n).std() / close for n in (5, 20, 60)},
            "max_20": part["high"].rolling(20).max() / close,
            "min_20": part["low"].rolling(20).min() / close,
            "volume_20": part["volume"].rolling(20).mean() / part["volume"],
        }
        parts.append(pd.DataFrame({"id": part["id"], "ts": part["ts"], **found}))
    return pd.concat(parts, ignore_index=True)


def one_by_one(conn: psycopg.Connection) -> pd.DataFrame:
    """Means and deviations of each window by itself, the other factors by pandas."""
    found = with_pandas(conn)
    query = "select id, ts, close, volume from bars.cmc_price_histories7 order by id, ts"
    whole = copied(conn, query, ["close", "volume"])
    close, volume = (whole[name].to_numpy().reshape(ASSETS, DAYS) for name in ("close", "volume"))

    def late(values: np.ndarray, window: int) -> np.ndarray:
        return np.concatenate([np.full((ASSETS, window - 1), np.nan), values], axis=1)

    for n in (5, 20, 60):
        windows = sliding_window_view(close, n, axis=1)
        found[f"mean_{n}"] = (late(windows.mean(axis=2), n) / close).ravel()
        found[f"std_{n}"] = (late(windows.std(axis=2, ddof=1), n) / close).ravel()
    volumes = sliding_window_view(volume, 20, axis=1)
    found["volume_20"] = (late(volumes.mean(axis=2), 20) / volume).ravel()
    return found


def furthest(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """The largest relative difference of two results; rows and nulls must be the same."""
    assert len(one) == len(other) == ASSETS * DAYS
    assert (one[list(KEYS)] == other[list(KEYS)]).to_numpy().all()
    largest = 0.0
    for name in FACTORS:
        a, b = one[name].to_numpy(), other[name].to_numpy()
        assert (np.isnan(a) == np.isnan(b)).all(), name
        largest = max(largest, float(np.nanmax(np.abs(a - b) / np.maximum(np.abs(b), 1e-3))))
    return largest


def run(url: str) -> report.Section:
    """Compare the factors, then take the times in turn."""
    load_before = os.getloadavg()[0]
    with market.database(url) as conn:
        conn.execute("set max_parallel_workers_per_gather = 0")
        ladder.load(conn, ASSETS, DAYS)
        conn.execute(KERNEL)
        print(f"qlib: {ASSETS} assets x {DAYS} days loaded", flush=True)
        kept = timing.seconds(
            lambda: conn.execute("call public.refresh_features(p_steps => %s)", (STEPS,))
        )
        conn.execute("vacuum analyze")
        conn.execute("checkpoint")
        print(f"qlib: features stored in {kept:.1f} s", flush=True)
        contenders: dict[str, Callable[[psycopg.Connection], pd.DataFrame]] = {
            "our kernel": from_candles,
            "our stored features": stored,
            "pandas": with_pandas,
        }
        ours = from_candles(conn)
        exact = furthest(ours, one_by_one(conn))
        assert exact < AGREEMENT, exact
        distance = furthest(with_pandas(conn), ours)
        assert distance < DRIFT, distance
        assert len(stored(conn)) == ASSETS * DAYS
        taken = timing.in_turn(
            {
                who: lambda work=work: timing.seconds(lambda: work(conn))
                for who, work in contenders.items()
            },
            timing.ROUNDS,
        )
    base = "our kernel"
    apart = dict(zip(contenders, ("0e+00", "other factors", f"{distance:.0e}"), strict=True))
    expressions = ", ".join(f"`{each}`" for each in FACTORS.values())
    return report.Section(
        "Qlib's data-server task",
        f"14 factors of {ASSETS} instruments x {DAYS} days of made-up candles"
        f" ({ASSETS * DAYS:,} rows), one session, no parallel plans; median of {timing.ROUNDS}."
        " The paper (arXiv 2009.11189) doesn't list its factors; ours are"
        f" {expressions}. Differences are relative, to values of at least 0.001; pandas' are those"
        f" of its running deviation, our kernel is {exact:.0e} from windows taken one by one."
        f" Storing all returns, volatilities and indicators of it took {kept:.1f} s once. Their"
        " figures, below,"
        " are of another machine, other data and other factors, and end in another frame: they show"
        " an order of magnitude. The machine's load average was"
        f" {load_before:.1f} when it began.",
        [
            *report.compared(taken, base, apart, NOTES),
            "",
            report.line(["as their paper has it, one processor", "s"]),
            report.line(["---"] * 2),
            *(report.line([who, f"{seconds:g}"]) for who, seconds in THEIRS.items()),
        ],
    )
