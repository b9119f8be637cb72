"""What the database has of signals, as the slow way has it."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.support.signals_by_definition import Bar, Event

COLUMN = {"rsi_mean_revert": "rsi_{rsi_period}", "atr_breakout": "atr_{atr_period}"}


def signals(conn: psycopg.Connection) -> dict[int, tuple[str, dict[str, Any]]]:
    """Type and parameters of each signal."""
    return {
        row[0]: (row[1], row[2])
        for row in conn.execute(
            "select d.signal_id, d.signal_type, d.params from signals.dim_signals as d order by 1"
        )
    }


def events(conn: psycopg.Connection, asset: int, signal_id: int) -> list[Event]:
    """The rows of a signal in order; on one bar the exits come first."""
    found = conn.execute(
        """
        select s.ts, s.position_state, s.direction, s.entry_ts, s.entry_price, s.exit_ts,
            s.exit_price, s.pnl_pct, s.breakout_type
        from signals.cmc_signals as s
        where s.id = %s and s.signal_id = %s
        order by s.ts, s.position_state
        """,
        (asset, signal_id),
    )
    return [Event(*row) for row in found]


def candles(conn: psycopg.Connection, asset: int) -> list[tuple[Any, ...]]:
    """Stamp, open, high, low and close of each candle."""
    return conn.execute(
        """
        select c.ts, c.open, c.high, c.low, c.close
        from bars.cmc_price_histories7 as c
        where c.id = %s
        order by c.ts
        """,
        (asset,),
    ).fetchall()


def bars(conn: psycopg.Connection, asset: int, kind: str, params: dict[str, Any]) -> list[Bar]:
    """Bars with the features that are stored, for rules that are compared to the last bit."""
    if kind == "ema_crossover":
        lines = [_ema(params["fast_period"]), _ema(params["slow_period"])]
    else:
        lines = [f"t.{COLUMN[kind].format(**params)}", "null"]
    found = conn.execute(
        f"""
        select c.ts, c.open, c.high, c.low, c.close, {lines[0]}, {lines[1]},
            t.rsi_14, v.parkinson_20, coalesce(p.setups, '{{}}'), t.atr_14
        from bars.cmc_price_histories7 as c
        join features.cmc_ta_daily as t using (id, ts)
        join features.cmc_vol_daily as v using (id, ts)
        left join regimes.cmc_regimes_daily as r using (id, ts)
        left join lateral regimes.policy(array[r.l0_key, r.l1_key, r.l2_key]) as p
            on {"r.id is not null" if params.get("use_regime") else "false"}
        where c.id = %s
        order by c.ts
        """,  # type: ignore[arg-type]
        (asset,),
    )
    return [Bar(*row[:-2], frozenset(row[-2]), row[-1]) for row in found]


def segments(conn: psycopg.Connection, asset: int, signal_id: int) -> dict[int, tuple[Any, ...]]:
    """Rows, last bar and digest of each year."""
    found = conn.execute(
        """
        select s.year, s.row_count, s.last_ts, s.digest
        from signals.cmc_signal_segments as s
        where s.id = %s and s.signal_id = %s
        """,
        (asset, signal_id),
    )
    return {row[0]: row[1:] for row in found}


def _ema(period: int) -> str:
    return f"""(
        select e.ema
        from features.cmc_ema_multi_tf_u as e
        join timemodel.dim_timeframe as f using (tf_id)
        where e.id = c.id and f.tf = '1D' and e.period = {period} and e.ts = c.ts and not e.roll
    )"""
