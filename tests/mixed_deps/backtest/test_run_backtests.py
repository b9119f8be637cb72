"""``run_backtests``: its runs are those that are made one by one; none takes others along."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from psycopg import sql

from ta_lab2.backtest import errors
from ta_lab2.errors import translated
from tests.support import prices

KEPT = ("inputs_digest", "machinery_digest", "result_digest", "asset_ids", "bars", "status")
PARTS = {
    "trades": "t.trade_no",
    "equity": "t.ts",
    "metrics": "t.metric",
    "run_segments": "(t.id, t.year)",
}


@pytest.fixture
def conn(market_db, autocommit):
    """A connection that commits; the runs that it made are taken away."""
    conn = autocommit(market_db)
    yield conn
    conn.execute("rollback")
    conn.execute("delete from backtest.runs")


def call(conn, **settings):
    """Run them and return the ids."""
    named = sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(f"p_{name}"), sql.Placeholder(name))
        for name in settings
    )
    with translated():
        return conn.execute(sql.SQL("call run_backtests({})").format(named), settings).fetchone()[0]


def alone(conn, run_id):
    """Make a run again by itself and return its id."""
    settings = conn.execute(
        "select r.signal_name, r.asset_ids, r.from_ts, r.to_ts, r.cost_model, r.capital, r.sizing,"
        " r.fraction, r.fill, r.capital_limit, r.known_at, r.label, r.vol_target"
        " from backtest.runs as r where r.run_id = %s",
        (run_id,),
    ).fetchone()
    places = ", ".join(["%s"] * len(settings))
    with translated():
        return conn.execute(f"call run_backtest({places})", settings).fetchone()[0]


def everything(conn, run_id):
    """All that is stored of a run but its id, times and how long it took."""
    found = [
        conn.execute(
            sql.SQL("select {} from backtest.runs as r where r.run_id = %s").format(
                sql.SQL(", ").join(sql.Identifier("r", name) for name in KEPT)
            ),
            (run_id,),
        ).fetchall()
    ]
    for table, order in PARTS.items():
        found.append(
            conn.execute(
                sql.SQL(
                    "select to_jsonb(t) - 'run_id' from backtest.{} as t where t.run_id = %s"
                    " order by {}"
                ).format(sql.Identifier(table), sql.SQL(order)),
                (run_id,),
            ).fetchall()
        )
    return found


def made(conn):
    return conn.execute(
        "select r.signal_name, r.asset_ids from backtest.runs as r"
        " order by r.signal_id, r.asset_ids"
    ).fetchall()


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_runs_of_a_set_are_those_that_are_made_one_by_one(conn, each, known):
    """To the bit, with their trades, equity, metrics and digests."""
    settings = {
        "cost_model": "perp",
        "sizing": "fixed_fraction",
        "fraction": 0.5,
        "from": prices.ts(30),
        "to": prices.ts(418),
    }
    if known:
        (settings["known_at"],) = conn.execute("select clock_timestamp()").fetchone()
        settings["signals"] = ["ema_9_21_long", "rsi_30_70_mr"]
    runs = call(conn, each_asset=each, **settings)

    names = [name for name, _ in made(conn)]
    signals = settings.get("signals") or [
        name
        for (name,) in conn.execute(
            "select s.signal_name from signals.dim_signals as s order by s.signal_id"
        )
    ]
    assert names == [name for name in signals for _ in range(4 if each else 1)]
    assert len(set(runs)) == len(names)
    traded = 0
    for run in runs:
        mine, other = everything(conn, run), everything(conn, alone(conn, run))
        assert mine == other
        traded += len(mine[1])
        assert conn.execute(
            "select backtest.result_digest(r.run_id) = r.result_digest,"
            " backtest.inputs_digest(r) = r.inputs_digest"
            " from backtest.runs as r where r.run_id = %s",
            (run,),
        ).fetchone() == (True, True)
    assert traded > 10


def test_metrics_are_those_of_the_equity_that_is_stored(conn):
    for run in call(conn, each_asset=True):
        stored, measured = (
            dict(conn.execute(query, {"run": run}).fetchall())
            for query in (
                "select m.metric, m.value from backtest.metrics as m where m.run_id = %(run)s",
                """
                select m.metric, m.value
                from backtest.runs as r
                cross join lateral (
                    select array_send(array_agg(e.ts order by e.ts)) as ts,
                        array_send(array_agg(e.equity order by e.ts)) as equity,
                        array_send(array_agg(e.exposure order by e.ts)) as exposure,
                        array_send(array_agg(e.benchmark order by e.ts)) as benchmark
                    from backtest.equity as e
                    where e.run_id = r.run_id
                ) as e
                cross join lateral backtest.measure(
                    r.run_id, r.capital, r.annualisation_days, 0,
                    e.ts, e.equity, e.exposure, e.benchmark
                ) as m
                where r.run_id = %(run)s
                """,
            )
        )
        assert stored.pop("entries_skipped") is not None
        measured.pop("entries_skipped")
        assert stored == measured


def test_a_run_that_cannot_be_made_is_told_and_takes_no_other_along(conn):
    """The signals of an asset are behind, and another has no candle in the range."""
    told = []
    conn.add_notice_handler(
        lambda diag: told.append(
            (diag.severity_nonlocalized, diag.message_primary, diag.message_detail)
        )
    )
    before = conn.execute(
        "delete from features.feature_state as s"
        " where s.id = 4 and s.feature_type = 'signals_rsi_mean_revert' returning s.*"
    ).fetchall()
    try:
        runs = call(
            conn,
            signals=["ema_9_21_long", "rsi_30_70_mr"],
            each_asset=True,
            **{"from": prices.ts(350)},
        )
    finally:
        conn.execute(
            sql.SQL("insert into features.feature_state values ({})").format(
                sql.SQL(", ").join(sql.Placeholder() for _ in before[0])
            ),
            before[0],
        )

    assert made(conn) == [
        ("ema_9_21_long", [1]),
        ("ema_9_21_long", [3]),
        ("ema_9_21_long", [4]),
        ("rsi_30_70_mr", [1]),
        ("rsi_30_70_mr", [3]),
    ]
    assert len(runs) == 5
    warned = [(what, detail) for severity, what, detail in told if severity == "WARNING"]
    assert len(warned) == 3
    for what, says in (
        ("ema_9_21_long over assets 2 failed", "of 1 asset"),
        ("rsi_30_70_mr over assets 2 failed", "of 1 asset"),
        ("rsi_30_70_mr over assets 4 failed", "signals_rsi_mean_revert is behind"),
    ):
        assert any(what in problem and says in detail for problem, detail in warned), what


def test_when_no_run_can_be_made_it_is_an_error(conn):
    with pytest.raises(errors.NoRunMade, match="no run could be made") as raised:
        call(conn, each_asset=True, **{"from": prices.ts(999)})
    assert "24 were tried" in raised.value.detail
    assert "there is no candle in the range" in raised.value.detail
    assert raised.value.hint
    with pytest.raises(errors.NoRunMade) as raised:
        call(conn, signals=[])
    assert raised.value.detail == "There is no signal to run."
    with pytest.raises(errors.NoCandleInRange):
        call(conn, signals=["ema_9_21_long"], **{"from": prices.ts(999)})
    assert made(conn) == []


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"signals": ["ema_9_21_long", "nobody"]}, errors.UnknownSignal),
        ({"cost_model": "free"}, errors.UnknownCostModel),
        ({"capital": -1.0}, errors.ImpossibleSettings),
        ({"asset_ids": []}, errors.NoAssetToTrade),
    ],
    ids=lambda given: str(given)[:40],
)
def test_what_cannot_be_run_is_refused_before_anything_is(conn, settings, error):
    with pytest.raises(error):
        call(conn, **settings)
    assert made(conn) == []


def test_a_killed_set_leaves_whole_runs(market_db, conn, autocommit):
    """It is killed while it writes its second batch."""
    victim, holder = autocommit(market_db), autocommit(market_db)
    conn.execute(
        """
        create function public.wait() returns trigger language plpgsql as $$
        begin
            if new.asset_ids = '{4}' then
                perform pg_advisory_xact_lock(77);
            end if;
            return new;
        end $$;
        create trigger wait before insert on backtest.runs
            for each row execute function public.wait()
        """
    )
    failures = []

    def work():
        try:
            call(victim, each_asset=True, signals=["ema_9_21_long", "atr_20_donchian"] * 6)
        except psycopg.OperationalError as error:
            failures.append(error)

    try:
        with holder.transaction():
            holder.execute("select pg_advisory_xact_lock(77)")
            thread = threading.Thread(target=work)
            thread.start()
            for _ in range(300):
                (waits,) = conn.execute(
                    "select exists (select from pg_locks as l where l.pid = %s and not l.granted)",
                    (victim.info.backend_pid,),
                ).fetchone()
                if waits:
                    break
                time.sleep(0.1)
            assert waits
            conn.execute("select pg_terminate_backend(%s)", (victim.info.backend_pid,))
            thread.join()
    finally:
        conn.execute("drop function public.wait() cascade")

    assert len(failures) == 1
    found = conn.execute(
        """
        select r.result_digest = backtest.result_digest(r.run_id),
            r.inputs_digest = backtest.inputs_digest(r),
            (select count(*) from backtest.metrics as m where m.run_id = r.run_id)
                = (select count(*) from backtest.dim_metrics)
        from backtest.runs as r
        """
    ).fetchall()
    assert 0 < len(found) < 48
    assert set(found) == {(True, True, True)}
    for table in PARTS:
        orphans = conn.execute(
            sql.SQL(
                "select count(*) from backtest.{} as t where not exists"
                " (select from backtest.runs as r where r.run_id = t.run_id)"
            ).format(sql.Identifier(table))
        ).fetchone()
        assert orphans == (0,), table


def test_the_app_may_run_sets(conn):
    conn.execute("set session authorization ta_lab2_app")
    try:
        assert len(call(conn, label="app")) == 6
    finally:
        conn.execute("reset session authorization")
