"""Six strategies over a whole market: signals, backtests and metrics, stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from benchmarks import market, report, timing
from benchmarks import strategies_clients as clients

AGREEMENT = 1e-9
NOTES = {
    "the database": "refresh_signals(), then run_backtests(p_each_asset => true);"
    " keeps state, snapshots, versions and digests; a second refresh does nothing, a revised candle"
    " is seen; trades with costs apart",
    "a call for each run": "the same with run_backtest() for each seed and asset, a commit each",
    "usual client": "psycopg fetch, pandas, vectorbt over all columns at once, COPY row by row; one"
    " commit; no state, no digests, can't be run twice; takes no gaps",
    "best client": "binary COPY out, the same program, binary COPY in; one commit; otherwise as the"
    " usual client",
    "vectorbt in memory": "the same program from arrays to arrays: signals, fills, trades, account"
    " and metrics; reads and stores nothing",
    "its simulation alone": "Portfolio.from_signals over ready entries and exits: orders, as yet"
    " without account, trades and metrics",
}


def load(conn: psycopg.Connection) -> None:
    """Store candles with ranges and volumes: random walks, a candle every day."""
    chance = np.random.default_rng(6)
    conn.execute(
        "insert into bars.dim_assets select n, 'T' || n, 't-' || n from generate_series(1, %s) n",
        (market.ASSETS,),
    )
    days = np.arange(market.DAYS) * np.timedelta64(1, "D")
    stamps = np.datetime_as_string(np.datetime64("2010-01-01T23:59:59.999", "us") + days)
    with (
        conn.cursor() as cursor,
        cursor.copy(
            "copy bars.cmc_price_histories7 (id, ts, open, high, low, close, volume) from stdin"
        ) as copy,
    ):
        for asset in range(1, market.ASSETS + 1):
            steps = chance.normal(0.0005, 0.035, (2, market.DAYS))
            steps[1] *= 0.1
            close = 100 * np.exp(np.cumsum(steps.sum(axis=0)))
            opened = np.append(100, close[:-1]) * np.exp(steps[1])
            reach = np.exp(np.abs(chance.normal(0, 0.015, (2, market.DAYS))))
            high = np.maximum(opened, close) * reach[0]
            low = np.minimum(opened, close) / reach[1]
            volume = chance.uniform(1e6, 1e9, market.DAYS)
            lines = zip(
                stamps, *(x.tolist() for x in (opened, high, low, close, volume)), strict=True
            )
            copy.write(
                "".join(
                    f"{asset}\t{stamp}Z\t{a!r}\t{b!r}\t{c!r}\t{d!r}\t{e!r}\n"
                    for stamp, a, b, c, d, e in lines
                )
            )
    conn.execute(
        "update timemodel.dim_timeframe as t set is_active = t.tf in ('1D', '1W_CAL_ISO', '1M_CAL')"
    )
    conn.execute("call public.refresh_features()")
    conn.execute("call public.refresh_regimes()")
    conn.execute("vacuum analyze")


def in_database(conn: psycopg.Connection, runs: Callable[[], object]) -> dict[str, float]:
    """Refresh the signals and run every seed over every asset; the seconds of both."""
    signals = timing.seconds(lambda: conn.execute("call public.refresh_signals()"))
    return {"signals": signals, "runs": timing.seconds(runs)}


def at_once(conn: psycopg.Connection) -> None:
    """Run them all by one call."""
    conn.execute("call public.run_backtests(p_each_asset => true)")


def one_by_one(conn: psycopg.Connection) -> None:
    """Run each by a call of its own."""
    names = conn.execute("select d.signal_name from signals.dim_signals as d order by d.signal_id")
    for (seed,) in names.fetchall():
        for asset in range(1, market.ASSETS + 1):
            conn.execute(
                "call public.run_backtest(p_signal => %s, p_asset_ids => array[%s::integer])",
                (seed, asset),
            )


def start_over(conn: psycopg.Connection) -> None:
    """Empty all that either wrote."""
    kinds = ("ema_crossover", "rsi_mean_revert", "atr_breakout")
    tables = [f"signals.cmc_signals_{kind}" for kind in kinds]
    tables += ["signals.cmc_signal_state", "signals.cmc_signal_segments"]
    tables += [f"backtest.{name}" for name in ("runs", "trades", "equity", "metrics")]
    tables += ["backtest.run_segments", *(f"client.{name}" for name in clients.TABLES)]
    conn.execute(f"truncate {', '.join(tables)}".encode())
    conn.execute("delete from features.feature_state as s where s.feature_type like 'signals_%'")
    conn.execute(
        "update features.refresh_state as s set refreshed_at = null"
        " where s.verb = 'refresh_signals'"
    )
    conn.execute("vacuum")
    conn.execute("checkpoint")


#: What both store, in one order; ours first. The names are those of our columns.
COMPARED = {
    "signals": (
        """
        select s.signal_id, s.id, s.ts, s.position_state, s.direction, s.entry_ts, s.entry_price,
            s.exit_ts, s.exit_price, s.pnl_pct
        from {signals} as s
        order by s.signal_id, s.id, s.ts, s.position_state
        """
    ),
    "trades": (
        """
        select r.signal_id, r.{asset} as id, t.trade_no, t.direction, t.entry_ts, t.entry_price,
            t.units, t.entry_fee, t.exit_ts, t.exit_price, t.exit_fee, t.net_pnl, t.return_pct
        from {trades} as t
        join {runs} as r using (run_id)
        order by 1, 2, 3
        """
    ),
    "equity": (
        """
        select r.signal_id, r.{asset} as id, t.ts, t.cash, t.positions, t.equity, t.daily_return,
            t.drawdown, t.exposure, t.benchmark
        from {equity} as t
        join {runs} as r using (run_id)
        where r.{asset} = {one}
        order by 1, 2, 3
        """
    ),
    "metrics": (
        """
        select r.signal_id, r.{asset} as id, t.metric, t.value
        from {metrics} as t
        join {runs} as r using (run_id)
        order by 1, 2, 3
        """
    ),
}
OURS = {
    "signals": "signals.cmc_signals",
    **{name: f"backtest.{name}" for name in ("trades", "equity", "metrics", "runs")},
    "asset": "asset_ids[1]",
}
THEIRS = {name: f"client.{name}" for name in clients.TABLES} | {"asset": "id"}
#: Money is told apart to that share of the capital.
MONEY = {"cash", "positions", "equity", "net_pnl"}


def furthest(conn: psycopg.Connection) -> float:
    """The largest relative difference of what both stored; all but numbers must be the same."""
    largest = 0.0
    for what, query in COMPARED.items():
        for one in range(1, market.ASSETS + 1) if what == "equity" else (0,):
            ours, theirs = (
                _frame(conn, query.format(**names, one=one)) for names in (OURS, THEIRS)
            )
            assert len(ours) == len(theirs) > 0, (what, len(ours), len(theirs))
            for name in ours:
                largest = max(largest, _apart(what, name, ours[name], theirs[name]))
    return largest


def _frame(conn: psycopg.Connection, query: str) -> pd.DataFrame:
    cursor = conn.execute(query.encode())
    assert cursor.description
    return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])


def _apart(what: str, name: str, ours: pd.Series, theirs: pd.Series) -> float:
    """The largest difference of a column, relative to values of at least 0.001."""
    assert (ours.isna() == theirs.isna()).all(), (what, name)
    a, b = ours.dropna(), theirs.dropna()
    if not pd.api.types.is_float_dtype(a):
        assert (a == b).all(), (what, name)
        return 0.0
    floor = clients.CAPITAL if name in MONEY else 1e-3
    far = float(((a - b).abs() / b.abs().clip(lower=floor)).max())
    assert far < AGREEMENT, (what, name, far)
    return far


def run(url: str) -> report.Section:
    """Compare all that is stored, then take the times in turn."""
    with market.database(url) as conn:
        load(conn)
        clients.make_tables(conn)
        print(f"strategies: {market.ASSETS} assets x {market.DAYS} days refreshed", flush=True)
        within: dict[str, list[float]] = {"signals": [], "runs": []}

        def ours() -> None:
            for part, taken in in_database(conn, lambda: at_once(conn)).items():
                within[part].append(taken)

        ready = clients.fetch_packed(conn)
        flags = clients.signals(ready)
        contenders: dict[str, Callable[[], Any]] = {
            "the database": ours,
            "a call for each run": lambda: in_database(conn, lambda: one_by_one(conn)),
            "usual client": lambda: clients.write_rows(
                conn, clients.worked(clients.fetch_rows(conn))
            ),
            "best client": lambda: clients.write_packed(
                conn, clients.worked(clients.fetch_packed(conn))
            ),
            "vectorbt in memory": lambda: clients.worked(ready),
            "its simulation alone": lambda: clients.simulated(ready, *flags),
        }
        apart = dict.fromkeys(contenders, "as the client's")
        apart["the database"] = apart["a call for each run"] = "0e+00"
        for who in ("usual client", "best client"):
            start_over(conn)
            ours()
            contenders[who]()
            distance = furthest(conn)
            apart[who] = f"{distance:.0e}"
            print(f"{who}: rows at most {apart[who]} apart", flush=True)
        for times in within.values():
            times.clear()

        def once(work: Callable[[], Any]) -> float:
            start_over(conn)
            return timing.seconds(work)

        taken = timing.in_turn(
            {who: lambda work=work: once(work) for who, work in contenders.items()}, timing.ROUNDS
        )
    shares = timing.middle(within)
    return report.Section(
        "Six strategies: signals, backtests and metrics",
        f"The six seeds over {market.ASSETS} assets x {market.DAYS} days, an account for each seed"
        f" and asset: {6 * market.ASSETS} runs, {6 * market.ASSETS * market.DAYS:,} rows of equity."
        f" Candles, EMAs and indicators are there already. Median of {timing.ROUNDS}. Entries,"
        " exits, dates and directions are the same; differences of numbers are relative, of money"
        f" to the capital. Of the database's time refresh_signals() takes"
        f" {shares['signals']:.3g} s, the runs {shares['runs']:.3g} s.",
        report.compared(taken, "the database", apart, NOTES),
    )
