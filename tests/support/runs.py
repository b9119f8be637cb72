"""Backtests of a test: to run one, to read what it left, and to write its signals by hand."""

from __future__ import annotations

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from ta_lab2.errors import translated
from tests.support import prices

EMA = "ema_9_21_long"


def call(conn, signal=EMA, **settings):
    """Run it and return the run's id."""
    named = "".join(f", p_{name} => %({name})s" for name in settings)
    with translated():
        return conn.execute(
            f"call run_backtest(%(signal)s{named})", {"signal": signal, **settings}
        ).fetchone()[0]


def row(conn, run):
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from backtest.runs where run_id = %s", (run,)).fetchone()


def rows(conn, table, run, columns="*"):
    order = {"trades": "trade_no", "equity": "ts", "metrics": "metric", "run_segments": "id, year"}
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            f"select {columns} from backtest.{table} where run_id = %s order by {order[table]}",
            (run,),
        ).fetchall()
    for each in found:
        each.pop("run_id", None)
    return found


def metrics(conn, run):
    return {each["metric"]: each["value"] for each in rows(conn, "metrics", run)}


def add_signal(conn, params):
    """A signal of the test's own, called ``added``."""
    conn.execute(
        "insert into signals.dim_signals (signal_name, signal_type, params)"
        " values ('added', 'ema_crossover', %s)",
        (Jsonb(params),),
    )


def trust_signals(conn):
    """Let signals that a test wrote by hand pass for up to date."""
    conn.execute("""
        create or replace function
        backtest.stale_signals(p_signal_ids integer[], p_asset_ids integer[])
        returns table (signal_id integer, id integer, reason text)
        language plpgsql stable parallel unsafe
        as $$ begin return; end $$
    """)


def put_position(conn, asset, entry, leave=None, direction="long", signal=EMA):
    """Store the events of a position by the numbers of their days."""
    for day, state in ((entry, "open"), (leave, "closed")):
        if day is None:
            continue
        gone = state == "closed"
        conn.execute(
            """
            insert into signals.cmc_signals_ema_crossover (
                id, signal_id, ts, position_state, direction, entry_ts, entry_price, exit_ts,
                exit_price, pnl_pct, available_at, feature_snapshot, signal_version,
                feature_digest, params_digest
            )
            select %(asset)s, s.signal_id, %(ts)s, %(state)s, %(direction)s, %(entry_ts)s, 1,
                case when %(gone)s then %(ts)s::timestamptz end, case when %(gone)s then 1 end,
                case when %(gone)s then 0 end, %(ts)s, '{"parkinson_20": 0.5}', 1,
                sha256('features'), sha256('params')
            from signals.dim_signals as s
            where s.signal_name = %(signal)s
            """,
            {
                "asset": asset,
                "ts": prices.ts(day),
                "state": state,
                "direction": direction,
                "entry_ts": prices.ts(entry),
                "gone": gone,
                "signal": signal,
            },
        )


def clear_signals(conn):
    conn.execute("delete from signals.cmc_signals_ema_crossover")
