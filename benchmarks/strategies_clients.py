"""The strategies outside the database: features fetched, vectorbt over them, results written back.

The usual client fetches rows and copies row by row; the best client moves packed bytes both ways.
Between lies the same program: signals with numpy, fills, account and trades with vectorbt's Rust
engine, all columns at once, and every metric. Neither has a digest, a snapshot, a version, or
an account of what it read; both fit a market without gaps alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import vectorbt as vbt

from benchmarks.clients import HEADER

CAPITAL, FEE, SLIPPAGE, YEAR = 10000.0, 0.001, 0.0005, 365
PRICES = ("open", "high", "low", "close")
LINES = ("rsi_14", "atr_14", "ema_9", "ema_21", "ema_50", "ema_200")
FIELDS = (*PRICES, *LINES)
CROSSES = {1: ("ema_9", "ema_21"), 2: ("ema_21", "ema_50"), 3: ("ema_50", "ema_200")}
REVERSALS = {4: (30, 70), 5: (25, 75)}
#: Of the breakout, signal 6.
CHANNEL = 20
SEEDS = range(1, 7)

TABLES = {
    "signals": """
        id integer, signal_id integer, ts timestamptz, position_state text, direction text,
        entry_ts timestamptz, entry_price float8, exit_ts timestamptz, exit_price float8,
        pnl_pct float8, primary key (id, signal_id, ts, position_state)
    """,
    "trades": """
        run_id uuid, trade_no integer, id integer, direction text, entry_ts timestamptz,
        entry_price float8, units float8, entry_fee float8, exit_ts timestamptz, exit_price float8,
        exit_fee float8, net_pnl float8, return_pct float8, primary key (run_id, trade_no)
    """,
    "equity": """
        run_id uuid, ts timestamptz, cash float8, positions float8, equity float8,
        daily_return float8, drawdown float8, exposure float8, benchmark float8,
        primary key (run_id, ts)
    """,
    "metrics": "run_id uuid, metric text, value float8, primary key (run_id, metric)",
    "runs": "run_id uuid primary key, signal_id integer, id integer",
}


FETCH = f"""
    select f.id, f.ts, {", ".join(f"f.{name}" for name in PRICES)},
        {", ".join(f"coalesce(f.{name}, 'NaN') as {name}" for name in LINES)}
    from published.cmc_daily_features as f
    where not f.is_gap
    order by f.id, f.ts
"""


@dataclass(frozen=True)
class Market:
    """Features as bars x assets."""

    ids: np.ndarray
    ts: np.ndarray
    lines: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Results:
    """What is written back; columns are seeds, and assets within them."""

    ids: np.ndarray
    seeds: np.ndarray
    ts: np.ndarray
    close: np.ndarray
    entries: np.ndarray
    exits: np.ndarray
    trades: pd.DataFrame
    account: Mapping[str, np.ndarray]
    metrics: Mapping[str, np.ndarray]


def make_tables(conn: psycopg.Connection) -> None:
    """Tables with the columns that a client has, and the keys of ours."""
    conn.execute("create schema client")
    for table, columns in TABLES.items():
        conn.execute(f"create table client.{table} ({columns})".encode())


def fetch_rows(conn: psycopg.Connection) -> Market:
    """Fetch rows into a frame, and turn it."""
    fetched = conn.execute(FETCH.encode()).fetchall()
    frame = pd.DataFrame(fetched, columns=["id", "ts", *FIELDS])
    wide = {name: frame.pivot(index="ts", columns="id", values=name) for name in FIELDS}
    index = wide["close"].index.tz_convert("UTC").tz_localize(None).to_numpy("M8[us]")
    return Market(
        wide["close"].columns.to_numpy(),
        index,
        {name: each.to_numpy(float) for name, each in wide.items()},
    )


def fetch_packed(conn: psycopg.Connection) -> Market:
    """Fetch binary: as nulls come as NaN, all rows have one length."""
    with conn.cursor() as cursor, cursor.copy(f"copy ({FETCH}) to stdout (format binary)") as copy:
        whole = b"".join(bytes(chunk) for chunk in copy)
    layout = [("head", "V6"), ("id", ">i4"), ("l0", "V4"), ("ts", ">i8")]
    for n, name in enumerate(FIELDS, 1):
        layout += [(f"l{n}", "V4"), (name, ">f8")]
    rows = np.frombuffer(whole[19:-2], layout)
    ids = np.unique(rows["id"]).astype(np.int32)
    days = len(rows) // len(ids)
    ts = np.datetime64("2000-01-01", "us") + rows["ts"][:days].astype("m8[us]")
    return Market(
        ids,
        ts,
        {
            name: np.ascontiguousarray(rows[name].reshape(len(ids), days).T, float)
            for name in FIELDS
        },
    )


def signals(market: Market) -> tuple[np.ndarray, np.ndarray]:
    """Entries and exits of every seed, before it is known whether there is a position."""
    lines = market.lines
    entries, exits = [], []
    for fast, slow in CROSSES.values():
        above, below = lines[fast] > lines[slow], lines[fast] < lines[slow]
        known = ~np.isnan(lines[slow])
        entries.append(above & _before(~above & known))
        exits.append(below & _before(~below & known))
    for low, high in REVERSALS.values():
        rsi = lines["rsi_14"]
        entries.append((rsi > low) & _before(rsi <= low))
        exits.append(rsi >= high)
    top = pd.DataFrame(lines["high"]).rolling(CHANNEL).max().shift(1).to_numpy()
    bottom = pd.DataFrame(lines["low"]).rolling(CHANNEL).min().shift(1).to_numpy()
    entries.append(lines["close"] > top)
    exits.append(lines["close"] < bottom)
    return _cleaned(np.hstack(entries), np.hstack(exits))


def _before(flags: np.ndarray) -> np.ndarray:
    """Those of the bar before."""
    moved = np.zeros_like(flags)
    moved[1:] = flags[:-1]
    return moved


def _cleaned(entries: np.ndarray, exits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entries without a position and exits of one, in turn."""
    first, second = pd.DataFrame(entries).vbt.signals.clean(pd.DataFrame(exits))
    return first.to_numpy(), second.to_numpy()


def simulated(market: Market, entries: np.ndarray, exits: np.ndarray) -> Any:
    """The portfolio: a column and an account for each seed and asset."""
    seeds = len(SEEDS)
    return vbt.Portfolio.from_signals(
        pd.DataFrame(np.tile(market.lines["close"], seeds), index=pd.DatetimeIndex(market.ts)),
        _before(entries),
        _before(exits),
        price=np.tile(market.lines["open"], seeds),
        fees=FEE,
        slippage=SLIPPAGE,
        init_cash=CAPITAL,
        freq="D",
        engine="rust",
    )


def worked(market: Market) -> Results:
    """Signals, simulation, account and metrics, in memory."""
    entries, exits = signals(market)
    portfolio = simulated(market, entries, exits)
    close = np.tile(market.lines["close"], len(SEEDS))
    account = _account(portfolio, close)
    records = portfolio.trades.records
    return Results(
        np.tile(market.ids, len(SEEDS)),
        np.repeat(np.array(SEEDS), len(market.ids)),
        market.ts,
        close,
        entries,
        exits,
        records,
        account,
        _metrics(market.ts, account, records),
    )


def _account(portfolio: Any, close: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of the equity table."""
    equity = portfolio.value().to_numpy()
    positions = portfolio.asset_value().to_numpy()
    before = np.vstack([np.full(equity.shape[1], CAPITAL), equity[:-1]])
    return {
        "cash": portfolio.cash().to_numpy(),
        "positions": positions,
        "equity": equity,
        "daily_return": equity / before - 1,
        "drawdown": portfolio.drawdown().to_numpy(),
        "exposure": positions / equity,
        "benchmark": CAPITAL * close / close[0],
    }


def _metrics(
    ts: np.ndarray, account: Mapping[str, np.ndarray], trades: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Every metric of a run, for all columns at once."""
    r, equity, held = account["daily_return"], account["equity"], account["benchmark"]
    b = np.vstack([np.zeros(held.shape[1]), held[1:] / held[:-1] - 1])
    days = (ts[-1] - ts[0]) / np.timedelta64(1, "D")
    n, columns = r.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, deviation = r.mean(axis=0), r.std(axis=0, ddof=1)
        centred, base = r - mean, b - b.mean(axis=0)
        cagr = (equity[-1] / CAPITAL) ** (365 / days) - 1
        worst = account["drawdown"].min(axis=0)
        low, high = np.quantile(r, [0.05, 0.95], axis=0)
        beta = (centred * base).sum(axis=0) / (base**2).sum(axis=0)
        found = {
            "total_return": equity[-1] / CAPITAL - 1,
            "cagr": cagr,
            "volatility": deviation * np.sqrt(YEAR),
            "sharpe": mean / deviation * np.sqrt(YEAR),
            "sortino": mean / np.sqrt((np.minimum(r, 0) ** 2).mean(axis=0)) * np.sqrt(YEAR),
            "calmar": np.where(worst < 0, cagr / np.abs(worst), np.nan),
            "max_drawdown": worst,
            "max_drawdown_days": _drawdown_days(ts, equity, account["drawdown"]),
            "var_95": low,
            "expected_shortfall_95": np.partition(r, int((n - 1) * 0.05), axis=0)[
                : int((n - 1) * 0.05) + 1
            ].mean(axis=0),
            "skew": (centred**3).mean(axis=0) / (centred**2).mean(axis=0) ** 1.5,
            "tail_ratio": np.where(low != 0, np.abs(high) / np.abs(low), np.nan),
            "alpha": (1 + mean - beta * b.mean(axis=0)) ** YEAR - 1,
            "beta": beta,
            "benchmark_return": held[-1] / CAPITAL - 1,
            "exposure": account["exposure"].mean(axis=0),
            "time_in_market": (account["positions"] > 0).mean(axis=0),
        }
        traded = trades["size"] * trades["entry_price"]
        traded = traded + (trades["size"] * trades["exit_price"]).where(trades["status"] == 1, 0)
        turnover = np.bincount(trades["col"], traded, columns)
        found["turnover"] = turnover / equity.mean(axis=0) / (days / 365)
        return found | _of_trades(ts, trades, columns)


def _drawdown_days(ts: np.ndarray, equity: np.ndarray, fall: np.ndarray) -> np.ndarray:
    """Of each column's deepest fall: from the last bar at the peak to the first back there."""
    found = np.zeros(equity.shape[1])
    for column, trough in enumerate(fall.argmin(axis=0)):
        if fall[trough, column] == 0:
            continue
        values = equity[:, column]
        top = values[: trough + 1].max()
        peak = np.flatnonzero(values[: trough + 1] == top)[-1]
        later = np.flatnonzero(values[trough:] >= top)
        end = trough + later[0] if len(later) else len(values) - 1
        found[column] = (ts[end] - ts[peak]) / np.timedelta64(1, "D")
    return found


def _of_trades(ts: np.ndarray, trades: pd.DataFrame, columns: int) -> dict[str, np.ndarray]:
    """What is counted over trades."""
    closed = trades[trades["status"] == 1]
    wins, losses = closed[closed["pnl"] > 0], closed[closed["pnl"] < 0]

    def count(some: pd.DataFrame) -> np.ndarray:
        return np.bincount(some["col"], minlength=columns).astype(float)

    def total(some: pd.DataFrame, of: Any) -> np.ndarray:
        return np.bincount(some["col"], of, columns)

    held = (ts[closed["exit_idx"]] - ts[closed["entry_idx"]]) / np.timedelta64(1, "D")
    lost = -total(losses, losses["pnl"])
    return {
        "trades": count(closed),
        "open_trades": count(trades) - count(closed),
        "win_rate": count(wins) / count(closed),
        "profit_factor": np.where(lost > 0, total(wins, wins["pnl"]) / lost, np.nan),
        "avg_win": total(wins, wins["return"]) / count(wins),
        "avg_loss": total(losses, losses["return"]) / count(losses),
        "avg_holding_days": total(closed, held) / count(closed),
        "entries_skipped": np.zeros(columns),
    }


def parts(results: Results) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows to write, as columns: by table, and by which columns are null in all of them."""
    columns = len(results.ids)
    runs = np.frombuffer(b"".join(uuid.uuid4().bytes for _ in range(columns)), "V16")
    yield "runs", {"run_id": runs, "signal_id": results.seeds, "id": results.ids}
    yield from _events(results)
    yield from _trades(results, runs)
    days = len(results.ts)
    yield (
        "equity",
        {
            "run_id": np.repeat(runs, days),
            "ts": np.tile(results.ts, columns),
            **{name: values.T.ravel() for name, values in results.account.items()},
        },
    )
    for name, values in results.metrics.items():
        null = np.isnan(values)
        yield "metrics", {"run_id": runs[~null], "metric": name, "value": values[~null]}
        yield "metrics", {"run_id": runs[null], "metric": name, "value": None}


def _events(results: Results) -> Iterator[tuple[str, dict[str, Any]]]:
    columns, bars = results.entries.T.nonzero()
    entry = {
        "id": results.ids[columns],
        "signal_id": results.seeds[columns],
        "ts": results.ts[bars],
        "position_state": "open",
        "direction": "long",
        "entry_ts": results.ts[bars],
        "entry_price": results.close[bars, columns],
    }
    yield "signals", entry | {"exit_ts": None, "exit_price": None, "pnl_pct": None}
    left, out = results.exits.T.nonzero()
    # The entries of a column come in turn with its exits; one may be left over.
    rank = np.arange(len(left)) - np.searchsorted(left, left)
    place = np.searchsorted(columns, left) + rank
    price, paid = results.close[out, left], entry["entry_price"][place]
    yield (
        "signals",
        {
            **{"id": results.ids[left], "signal_id": results.seeds[left], "ts": results.ts[out]},
            **{"position_state": "closed", "direction": "long"},
            **{"entry_ts": entry["entry_ts"][place], "entry_price": paid},
            **{"exit_ts": results.ts[out], "exit_price": price, "pnl_pct": price / paid - 1},
        },
    )


def _trades(results: Results, runs: np.ndarray) -> Iterator[tuple[str, dict[str, Any]]]:
    records = results.trades.sort_values(["col", "entry_idx"])
    number = records.groupby("col").cumcount().to_numpy() + 1
    for status in (1, 0):
        which = (records["status"] == status).to_numpy()
        some = records[which]
        column = some["col"].to_numpy()
        closed = status == 1
        yield (
            "trades",
            {
                "run_id": runs[column],
                "trade_no": number[which],
                "id": results.ids[column],
                "direction": "long",
                "entry_ts": results.ts[some["entry_idx"]],
                "entry_price": some["entry_price"].to_numpy(),
                "units": some["size"].to_numpy(),
                "entry_fee": some["entry_fees"].to_numpy(),
                "exit_ts": results.ts[some["exit_idx"]] if closed else None,
                "exit_price": some["exit_price"].to_numpy() if closed else None,
                "exit_fee": some["exit_fees"].to_numpy() if closed else None,
                "net_pnl": some["pnl"].to_numpy(),
                "return_pct": some["return"].to_numpy(),
            },
        )


def write_rows(conn: psycopg.Connection, results: Results) -> None:
    """COPY row by row, in one transaction."""
    with conn.transaction(), conn.cursor() as cursor:
        for table, columns in parts(results):
            length = _length(columns)
            lists = [_listed(values, length) for values in columns.values()]
            with cursor.copy(f"copy client.{table} ({', '.join(columns)}) from stdin") as copy:
                for row in zip(*lists, strict=True):
                    copy.write_row(row)


def _length(columns: Mapping[str, Any]) -> int:
    return next(len(values) for values in columns.values() if isinstance(values, np.ndarray))


def _listed(values: Any, length: int) -> list[Any]:
    """Values as Python has them."""
    if not isinstance(values, np.ndarray):
        return [values] * length
    if values.dtype.kind == "V":
        return [uuid.UUID(bytes=bytes(value)) for value in values.tolist()]
    if values.dtype.kind == "M":
        return [f"{value}Z" for value in np.datetime_as_string(values).tolist()]
    return values.tolist()


def write_packed(conn: psycopg.Connection, results: Results) -> None:
    """Binary COPY of packed arrays, in one transaction."""
    with conn.transaction(), conn.cursor() as cursor:
        for table, columns in parts(results):
            with cursor.copy(
                f"copy client.{table} ({', '.join(columns)}) from stdin (format binary)"
            ) as copy:
                packed = _packed(columns)
                copy.write(HEADER)
                for at in range(0, len(packed), 1 << 20):
                    copy.write(packed[at : at + (1 << 20)])
                copy.write(b"\377\377")


def _packed(columns: Mapping[str, Any]) -> memoryview:
    """Rows as binary COPY has them."""
    layout: list[tuple[str, str]] = [("head", ">i2")]
    filled: list[tuple[str, Any]] = [("head", len(columns))]
    for name, values in columns.items():
        layout.append((f"length_{name}", ">i4"))
        if values is None:
            filled.append((f"length_{name}", -1))
            continue
        if isinstance(values, str):
            kind, values = f"S{len(values)}", values.encode()
        elif values.dtype.kind == "V":
            kind = "V16"
        elif values.dtype.kind == "M":
            kind = ">i8"
            values = (values - np.datetime64("2000-01-01", "us")).astype("i8")
        else:
            kind = ">f8" if values.dtype.kind == "f" else ">i4"
        layout.append((name, kind))
        filled += [(f"length_{name}", np.dtype(kind).itemsize), (name, values)]
    rows = np.empty(_length(columns), layout)
    for name, values in filled:
        rows[name] = values
    return memoryview(rows.tobytes())
