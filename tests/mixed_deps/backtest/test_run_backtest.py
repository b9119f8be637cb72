"""``run_backtest``: what it leaves, what it refuses, and that a killed run leaves nothing."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, timedelta
from itertools import pairwise

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from ta_lab2.backtest import errors
from ta_lab2.errors import translated
from ta_lab2.features.errors import UnknownAsset
from tests.support import markets, prices

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
        backtest.stale_signals(p_signal_id integer, p_asset_ids integer[])
        returns table (id integer, reason text)
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


def test_a_run_leaves_itself_with_trades_equity_metrics_and_segments(market):
    run = call(market, label="first")

    kept = row(market, run)
    assert (kept["signal_name"], kept["label"], kept["status"]) == (EMA, "first", "complete")
    assert kept["asset_ids"] == [1, 2, 3, 4]
    assert (kept["first_ts"], kept["last_ts"]) == (prices.ts(0), prices.ts(420))
    assert (kept["fee_bps"], kept["slippage_bps"], kept["funding_bps"]) == (10, 5, 0)
    assert (kept["annualisation_days"], kept["bars"]) == (365, 421)
    assert len(rows(market, "equity", run)) == 421
    assert len(rows(market, "trades", run)) > 3
    standing = market.execute("select d.metric from backtest.dim_metrics as d").fetchall()
    assert set(metrics(market, run)) == {name for (name,) in standing}
    segments = market.execute(
        "select s.id, s.year, s.row_count, s.digest from signals.cmc_signal_segments as s"
        " where s.signal_id = %s order by s.id, s.year",
        (kept["signal_id"],),
    ).fetchall()
    assert [tuple(each.values()) for each in rows(market, "run_segments", run)] == segments


def test_a_trade_is_filled_on_the_bar_after_its_signal_at_the_price_that_costs_make(market):
    run = call(market, asset_ids=[1])

    trades = rows(market, "trades", run)
    events = market.execute(
        """
        select e.ts, n.ts, n.open * 1.0005, e.feature_snapshot, e.feature_version_hash
        from signals.cmc_signals as e
        cross join lateral (
            select p.ts, p.open
            from bars.cmc_price_histories7 as p
            where p.id = e.id and p.ts > e.ts
            order by p.ts
            limit 1
        ) as n
        join signals.dim_signals as s using (signal_id)
        where e.id = 1 and e.position_state = 'open' and s.signal_name = %s
        order by e.ts
        """,
        (EMA,),
    ).fetchall()
    assert len(trades) == len(events)
    for trade, (signal_ts, ts, price, snapshot, version) in zip(trades, events, strict=True):
        assert (trade["entry_signal_ts"], trade["entry_ts"]) == (signal_ts, ts)
        assert trade["entry_price"] == pytest.approx(price, rel=1e-14)
        assert (trade["feature_snapshot"], trade["feature_version_hash"]) == (snapshot, version)
        assert trade["return_pct"] == trade["net_pnl"] / (trade["units"] * trade["entry_price"])


@pytest.mark.parametrize("sizing", ["all_in", "fixed_fraction", "volatility_target"])
@pytest.mark.parametrize("costs", ["clean", "realistic", "perp"])
def test_the_books_balance_for_every_sizing_and_cost_model(market, sizing, costs):
    run = call(market, cost_model=costs, sizing=sizing, fraction=1.0)

    earned, ended, off = market.execute(
        """
        select
            (select sum(t.net_pnl) from backtest.trades as t where t.run_id = %(run)s),
            (
                select e.equity
                from backtest.equity as e
                where e.run_id = %(run)s
                order by e.ts desc
                limit 1
            ),
            (
                select count(*)
                from backtest.equity as e
                where e.run_id = %(run)s and e.cash + e.positions <> e.equity
            )
        """,
        {"run": run},
    ).fetchone()
    assert earned == pytest.approx(ended - 10_000, abs=1e-9 * 10_000)
    assert off == 0


def test_an_equal_repeat_has_equal_digests_and_another_cost_model_has_not(market):
    first, again, dearer = (
        row(market, call(market, cost_model=costs)) for costs in ("clean", "clean", "perp")
    )

    for name in ("inputs_digest", "machinery_digest", "result_digest"):
        assert first[name] == again[name]
    assert dearer["inputs_digest"] != first["inputs_digest"]
    assert dearer["result_digest"] != first["result_digest"]
    assert dearer["machinery_digest"] == first["machinery_digest"]


@pytest.mark.parametrize(
    "settings",
    [
        {"asset_ids": [1, 2]},
        {"from": prices.ts(3)},
        {"to": prices.ts(419)},
        {"capital": 10_001.0},
        {"sizing": "fixed_fraction"},
        {"sizing": "fixed_fraction", "fraction": 0.5},
        {"fill": "next_close"},
        {"capital_limit": 0.9},
        {"vol_target": 0.21},
    ],
    ids=lambda settings: " ".join(settings),
)
def test_every_setting_is_part_of_the_inputs(market, settings):
    one, other = row(market, call(market)), row(market, call(market, **settings))

    assert one["inputs_digest"] != other["inputs_digest"]


def test_a_label_is_no_input(market):
    one, other = row(market, call(market)), row(market, call(market, label="again"))

    assert one["inputs_digest"] == other["inputs_digest"]


def test_digests_follow_from_what_is_stored(market):
    run = call(market)

    assert market.execute(
        """
        select backtest.inputs_digest(r) = r.inputs_digest,
            backtest.result_digest(r.run_id) = r.result_digest
        from backtest.runs as r
        where r.run_id = %s
        """,
        (run,),
    ).fetchone() == (True, True)
    market.execute(
        "update backtest.equity set cash = cash + 1e-9 where run_id = %s and ts = %s",
        (run, prices.ts(100)),
    )
    assert market.execute(
        "select backtest.result_digest(r.run_id) = r.result_digest"
        " from backtest.runs as r where r.run_id = %s",
        (run,),
    ).fetchone() == (False,)


#: By type, another value than a column has.
OTHER = {
    "uuid": "gen_random_uuid()",
    "integer": "{0} + 1000",
    "double precision": "{0} + 0.5",
    "timestamp with time zone": "{0} + interval '1 second'",
    "text": "{0} || 'x'",
    "direction": "case {0} when 'long' then 'short' else 'long' end",
    "exit_reason": "case {0} when 'signal' then 'ruin' else 'signal' end",
    "drawdown": "{0} - 0.5",
}


@pytest.mark.parametrize("table", ["trades", "equity"])
def test_every_column_is_part_of_the_result_s_digest(market, table):
    """Each is changed by itself. The snapshot has its digest beside it."""
    run = call(market, cost_model="perp")
    digest = "select backtest.result_digest(%s)"
    before = market.execute(digest, (run,)).fetchone()
    one = {"trades": "trade_no = 1 and exit_ts is not null", "equity": f"ts = '{prices.ts(9)}'"}[
        table
    ]
    columns = market.execute(
        """
        select a.attname, format_type(a.atttypid, a.atttypmod)
        from pg_attribute as a
        where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped
          and a.attname not in ('run_id', 'feature_snapshot')
        """,
        (f"backtest.{table}",),
    ).fetchall()
    assert len(columns) == {"trades": 22, "equity": 8}[table]
    for name, kind in columns:
        with market.transaction(force_rollback=True):
            market.execute(
                f"update backtest.{table} set {name} = {OTHER.get(name, OTHER[kind]).format(name)}"
                # All numbers at once: their order stays.
                f" where run_id = %s and {'true' if name == 'trade_no' else one}",
                (run,),
            )
            assert market.execute(digest, (run,)).fetchone() != before, name
    assert market.execute(digest, (run,)).fetchone() == before


#: Columns of a run that are part of its inputs, each with another value.
INPUTS = {
    "signal_type": "rsi_mean_revert",
    "signal_version": 2,
    "params_digest": "\\x00",
    "asset_ids": [1, 2],
    "from_ts": "2020-01-01",
    "to_ts": "2020-01-01",
    **dict.fromkeys(("fee_bps", "slippage_bps", "funding_bps", "capital", "fraction"), 0.25),
    **dict.fromkeys(("vol_target", "capital_limit"), 0.25),
    "sizing": "volatility_target",
    "fill": "next_close",
    "annualisation_days": 252,
}
#: Those that are none: names, results, and when and how it was made.
NO_INPUTS = {
    *("run_id", "created_at", "label", "signal_id", "signal_name", "params", "first_ts", "last_ts"),
    *("known_at", "data_at", "cost_model", "status", "inputs_digest", "machinery_digest"),
    *("result_digest", "machinery", "bars", "duration"),
}


def test_the_inputs_digest_is_of_all_inputs_and_their_segments(market):
    run = call(market)
    kept = row(market, run)
    assert set(kept) == INPUTS.keys() | NO_INPUTS
    digest = (
        "select backtest.inputs_digest(jsonb_populate_record(r, %s))"
        " from backtest.runs as r where r.run_id = %s"
    )
    for name, value in INPUTS.items():
        changed = market.execute(digest, (Jsonb({name: value}), run)).fetchone()
        assert changed != (kept["inputs_digest"],), name
    for name, value in (
        ("id", "id + 100"),
        ("year", "year + 100"),
        ("row_count", "row_count + 1"),
        ("digest", "sha256(digest)"),
    ):
        with market.transaction(force_rollback=True):
            market.execute(
                f"update backtest.run_segments set {name} = {value} where run_id = %s", (run,)
            )
            changed = market.execute(digest, (Jsonb({}), run)).fetchone()
            assert changed != (kept["inputs_digest"],), name
    assert market.execute(digest, (Jsonb({}), run)).fetchone() == (kept["inputs_digest"],)
    no_input = {"label": "x", "cost_model": "x", "created_at": "2020-01-01", "known_at": None}
    assert market.execute(digest, (Jsonb(no_input), run)).fetchone() == (kept["inputs_digest"],)


def test_a_segment_is_part_of_the_inputs(market):
    before = row(market, call(market))
    market.execute("update signals.cmc_signal_segments set digest = sha256('other') where id = 4")
    after = row(market, call(market))

    assert before["inputs_digest"] != after["inputs_digest"]
    assert before["result_digest"] == after["result_digest"]


def test_the_machinery_changes_with_a_routine_but_not_with_its_comments(market):
    def digests():
        return market.execute(
            "select m.digest, m.machinery from backtest.machinery() as m"
        ).fetchone()

    def replace(old, new):
        (text,) = market.execute(
            "select pg_get_functiondef('backtest.simulation_kernel'::regproc)"
        ).fetchone()
        assert old in text
        market.execute(text.replace(old, new))

    before = digests()
    replace("BASIS = 10_000.0", "BASIS = 10_000.0  # hundredths of a percent\n")
    assert digests() == before
    replace("BASIS = 10_000.0", "BASIS = 10_001.0")
    after = digests()
    assert after[0] != before[0]
    changed = {
        name
        for name, digest in after[1]["routines"].items()
        if digest != before[1]["routines"][name]
    }
    assert {name.split("(")[0] for name in changed} == {"backtest.simulation_kernel"}


def test_the_machinery_names_all_that_stands_between_a_candle_and_a_metric(market):
    (machinery,) = market.execute("select m.machinery from backtest.machinery() as m").fetchone()

    names = {name.split("(")[0] for name in machinery["routines"]}
    assert names >= {
        *("public.run_backtest", "backtest.read_inputs", "backtest._candles", "backtest._events"),
        *("backtest._segments", "backtest.simulation_kernel", "backtest.measure"),
        *("backtest.metrics_kernel", "signals.inputs", "signals.signals_kernel"),
        *("regimes.regimes_kernel", "regimes.policy", "bars.ladder_kernel"),
        *("features.returns_kernel", "features.vol_kernel", "features.indicators_kernel"),
        *("features.ema_kernel", "features._daily_row", "features._as_known", "features.daily"),
        *("indicators.arithmetic", "indicators.series", "indicators._rsi_kernel", "db.packing"),
    }
    assert set(machinery["versions"]) >= {
        *("postgresql", "plpgsql", "plpython3u", "timescaledb", "python", "numpy", "scipy")
    }


@pytest.mark.parametrize("signal", ["ema_9_21_long", "rsi_30_70_mr", "atr_20_donchian"])
@pytest.mark.parametrize("end", [150, 299, 300, 301, 415])
def test_a_run_that_ends_earlier_has_the_same_trades_and_equity_up_to_there(market, signal, end):
    settings = {"cost_model": "perp", "sizing": "fixed_fraction", "fraction": 0.6}
    whole = call(market, signal, asset_ids=[1, 2, 3, 4], **settings)
    part = call(market, signal, asset_ids=[1, 2, 3, 4], to=prices.ts(end), **settings)

    until = prices.ts(end)
    assert rows(market, "equity", part) == [
        each for each in rows(market, "equity", whole) if each["ts"] <= until
    ]
    entered = [each for each in rows(market, "trades", whole) if each["entry_ts"] <= until]
    shorter = rows(market, "trades", part)
    assert len(shorter) == len(entered)
    for mine, later in zip(shorter, entered, strict=True):
        if mine["exit_ts"] is not None:
            assert mine == later
        else:
            assert later["exit_ts"] is None or later["exit_ts"] > until
            for name in ("id", "entry_ts", "entry_price", "units", "entry_fee"):
                assert mine[name] == later[name]


def test_a_position_that_is_open_at_the_end_is_marked_and_counts_in_no_statistic(market):
    clear_signals(market)
    trust_signals(market)
    put_position(market, 1, 10, 20)
    put_position(market, 1, 400)
    run = call(market, asset_ids=[1], cost_model="clean")

    closed, left = rows(market, "trades", run)
    assert closed["exit_reason"] == "signal"
    empty = ("exit_signal_ts", "exit_ts", "exit_price", "exit_fee", "exit_slippage", "exit_reason")
    assert [left[name] for name in empty] == [None] * 6
    last = rows(market, "equity", run)[-1]
    assert last["positions"] == pytest.approx(left["units"] * left["entry_price"] + left["net_pnl"])
    found = metrics(market, run)
    assert (found["trades"], found["open_trades"]) == (1, 1)
    assert found["avg_holding_days"] == 10
    assert found["win_rate"] in (0, 1)


def test_a_delisted_asset_keeps_its_last_close(market):
    clear_signals(market)
    trust_signals(market)
    put_position(market, 2, 290)
    run = call(market, asset_ids=[1, 2], cost_model="perp")

    after = [each for each in rows(market, "equity", run) if each["ts"] > prices.ts(300)]
    assert len({each["equity"] for each in after}) == 1
    assert {each["daily_return"] for each in after[1:]} == {0}
    assert rows(market, "trades", run)[0]["bars_held"] == 9


def test_a_short_runs_into_ruin_and_the_run_ends_there(market):
    clear_signals(market)
    trust_signals(market)
    market.execute(
        "update bars.cmc_price_histories7 set close = 5000, high = 5001 where id = 1 and ts = %s",
        (prices.ts(50),),
    )
    put_position(market, 1, 40, 60, direction="short")
    put_position(market, 1, 100, 110)
    run = call(market, asset_ids=[1])

    kept = row(market, run)
    assert (kept["status"], kept["last_ts"]) == ("ruined", prices.ts(50))
    (trade,) = rows(market, "trades", run)
    assert (trade["exit_reason"], trade["exit_ts"]) == ("ruin", prices.ts(50))
    assert trade["loss_cut"] > 0
    assert trade["net_pnl"] == pytest.approx(-10_000)
    found = metrics(market, run)
    assert (found["total_return"], found["cagr"], found["max_drawdown"]) == (-1, -1, -1)


@pytest.mark.parametrize(
    "costs", [(10_000, 0, 0), (0, 10_000, 0), (25_000, 25_000, 0), (0, 0, 10_000)]
)
def test_costs_of_all_and_more_end_in_ruin_not_below(market, costs):
    market.execute(
        "insert into backtest.cost_models values ('mad', %s, %s, %s, 'A hundred percent.')", costs
    )
    run = call(market, asset_ids=[1], cost_model="mad")

    assert row(market, run)["status"] == "ruined"
    equity = [each["equity"] for each in rows(market, "equity", run)]
    assert equity[-1] == 0
    assert min(equity[:-1]) > 0
    earned = sum(each["net_pnl"] for each in rows(market, "trades", run))
    assert earned == pytest.approx(-10_000)


@pytest.mark.parametrize("fee", [-1.0, float("nan"), float("inf"), 2e6])
def test_a_cost_model_that_nobody_can_pay_is_no_row(market, fee):
    with pytest.raises(psycopg.errors.CheckViolation):
        market.execute("insert into backtest.cost_models values ('odd', %s, 0, 0, '')", (fee,))


def test_an_asset_without_signals_makes_a_run_without_trades(market):
    run = call(market, asset_ids=[3])

    found = metrics(market, run)
    assert rows(market, "trades", run) == []
    assert {each["equity"] for each in rows(market, "equity", run)} == {10_000}
    assert (found["total_return"], found["trades"], found["exposure"]) == (0, 0, 0)
    assert found["sharpe"] is found["win_rate"] is found["calmar"] is found["avg_win"] is None


def test_one_bar_makes_a_complete_run(market):
    run = call(market, asset_ids=[1], **{"from": prices.ts(100), "to": prices.ts(100)})

    kept, found = row(market, run), metrics(market, run)
    assert (kept["bars"], kept["first_ts"], kept["last_ts"]) == (1, prices.ts(100), prices.ts(100))
    assert found["cagr"] is found["sharpe"] is found["turnover"] is None
    assert found["total_return"] == 0


def test_an_exit_whose_entry_lies_before_the_range_is_left_out(market):
    clear_signals(market)
    trust_signals(market)
    put_position(market, 1, 10, 20)
    run = call(market, asset_ids=[1], **{"from": prices.ts(15)})

    assert rows(market, "trades", run) == []


def test_a_signal_on_the_first_bar_of_the_range_counts(market):
    clear_signals(market)
    trust_signals(market)
    put_position(market, 1, 10, 20)
    run = call(market, asset_ids=[1], **{"from": prices.ts(10), "to": prices.ts(21)})

    (trade,) = rows(market, "trades", run)
    assert (trade["entry_ts"], trade["exit_ts"]) == (prices.ts(11), prices.ts(21))


def test_holding_and_turnover_are_of_days_and_of_both_fills(market):
    clear_signals(market)
    trust_signals(market)
    put_position(market, 1, 10, 20)
    prices.drop(market, 1, [15])
    run = call(market, asset_ids=[1])

    (trade,) = rows(market, "trades", run)
    found = metrics(market, run)
    assert (trade["bars_held"], found["avg_holding_days"]) == (9, 10)
    equity = rows(market, "equity", run)
    traded = trade["units"] * (trade["entry_price"] + trade["exit_price"])
    mean = sum(each["equity"] for each in equity) / len(equity)
    years = (equity[-1]["ts"] - equity[0]["ts"]) / timedelta(days=365)
    assert found["turnover"] == pytest.approx(traded / mean / years, rel=1e-12)


def test_a_run_is_annualised_by_the_longest_year_of_its_assets(market):
    # Triggers keep the session of an asset that has candles.
    market.execute("set local session_replication_role = replica")
    market.execute("""
        insert into timemodel.dim_sessions
        select (jsonb_populate_record(
            s, '{"session_id": "OTHER", "annualisation_days": 252}'
        )).*
        from timemodel.dim_sessions as s
        where s.session_id = 'CRYPTO'
    """)
    market.execute("update bars.dim_assets set session_id = 'OTHER' where id = 4")
    market.execute("set local session_replication_role = origin")

    assert row(market, call(market, asset_ids=[4]))["annualisation_days"] == 252
    assert row(market, call(market, asset_ids=[1, 4]))["annualisation_days"] == 365


def test_segments_are_those_of_all_years_up_to_the_range_s_end(market):
    run = call(market, **{"from": prices.ts(40), "to": prices.ts(60)})

    assert {each["year"] for each in rows(market, "run_segments", run)} == {2020, 2021}


@pytest.mark.parametrize("change", ["revised", "new", "deleted"])
def test_signals_that_the_candles_have_outrun_are_refused(market, change):
    if change == "revised":
        market.execute(
            "update bars.cmc_price_histories7 set close = close * 1.001, high = high * 1.01"
            " where id = 4 and ts = %s",
            (prices.ts(200),),
        )
    elif change == "new":
        prices.put(market, 4, {421: 50.0})
    else:
        prices.drop(market, 4, [200])

    with pytest.raises(errors.SignalsOutrun, match=f"{EMA} are not up to date") as raised:
        call(market)
    assert "Of asset 4 (1 assets in all)" in raised.value.detail
    assert "refresh_all()" in raised.value.hint


def test_an_asset_whose_signal_was_never_worked_out_is_refused(market):
    market.execute("insert into bars.dim_assets (id, symbol, slug) values (9, 'T9', 'test-9')")

    with pytest.raises(errors.SignalsOutrun) as raised:
        call(market, asset_ids=[1, 9])
    assert "asset 9" in raised.value.detail


def test_a_signal_that_is_off_and_was_never_worked_out_is_refused(market):
    """All that it would be made from is up to date."""
    params = {"fast_period": 9, "slow_period": 21, "direction": "long"}
    market.execute(
        "insert into signals.dim_signals (signal_name, signal_type, params, is_active)"
        " values ('added', 'ema_crossover', %s, false)",
        (Jsonb(params),),
    )

    with pytest.raises(errors.SignalsOutrun) as raised:
        call(market, "added", asset_ids=[1])
    assert "never worked out" in raised.value.detail


@pytest.mark.parametrize("uses", [False, True])
def test_regimes_may_be_behind_for_a_signal_that_does_not_use_them(own_db, autocommit, uses):
    conn = autocommit(own_db)
    markets.put(conn, 1, 11, 0, 120)
    params = {"fast_period": 9, "slow_period": 21, "direction": "long", "use_regime": uses}
    add_signal(conn, params)
    for verb in ("features", "regimes", "signals"):
        conn.execute(f"call refresh_{verb}()")
    conn.execute(
        "update features.feature_state set fingerprint = '' where feature_type = 'regimes'"
    )

    if uses:
        with pytest.raises(errors.SignalsOutrun) as raised:
            call(conn, "added")
        assert "regimes is behind" in raised.value.detail
    else:
        assert call(conn, "added")


def test_other_assets_run_while_one_is_behind(market):
    prices.put(market, 4, {421: 50.0})

    assert call(market, asset_ids=[1, 2])


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"signal": "nobody"}, errors.UnknownSignal, "ema_9_21_long"),
        ({"signal": None}, errors.UnknownSignal, "no signal is called null"),
        ({"cost_model": "free"}, errors.UnknownCostModel, "clean, perp, realistic"),
        ({"cost_model": None}, errors.UnknownCostModel, "no cost model is called null"),
        ({"asset_ids": []}, errors.NoAssetToTrade, "p_asset_ids is empty"),
        ({"capital": 0.0}, errors.ImpossibleSettings, "p_capital is '0'"),
        ({"capital": float("nan")}, errors.ImpossibleSettings, "p_capital is 'NaN'"),
        ({"capital": float("inf")}, errors.ImpossibleSettings, "p_capital is 'Infinity'"),
        ({"capital": None}, errors.ImpossibleSettings, "p_capital is NULL"),
        ({"sizing": "kelly"}, errors.ImpossibleSettings, "p_sizing is 'kelly'"),
        ({"fraction": 0.5}, errors.ImpossibleSettings, "fixed_fraction takes a part"),
        (
            {"sizing": "fixed_fraction", "fraction": 1.5},
            errors.ImpossibleSettings,
            "p_fraction is '1.5'",
        ),
        ({"fill": "now"}, errors.ImpossibleSettings, "p_fill is 'now'"),
        ({"capital_limit": -1.0}, errors.ImpossibleSettings, "p_capital_limit is '-1'"),
        ({"vol_target": 0.0}, errors.ImpossibleSettings, "p_vol_target is '0'"),
        (
            {"from": prices.ts(9), "to": prices.ts(8)},
            errors.ImpossibleSettings,
            "the range ends before it begins",
        ),
        ({"from": prices.ts(999)}, errors.NoCandleInRange, "no candle in the range"),
        ({"to": prices.ts(-1)}, errors.NoCandleInRange, "the first candle to"),
    ],
    ids=lambda given: str(given)[:60],
)
def test_what_cannot_be_run_is_refused_and_leaves_nothing(market, settings, error, says):
    with pytest.raises(error) as raised, market.transaction():
        call(market, **settings)

    problem = raised.value
    assert says in f"{problem.what} {problem.detail}"
    assert problem.hint
    assert market.execute("select count(*) from backtest.runs").fetchone() == (0,)


def test_an_asset_that_nobody_knows_is_refused(market):
    with pytest.raises(UnknownAsset, match="no asset has the id 77"):
        call(market, asset_ids=[1, 77])


def test_a_run_is_never_written_again(market):
    run = call(market, run_id=uuid.UUID(int=5))

    assert run == uuid.UUID(int=5)
    with pytest.raises(errors.RunExists):
        call(market, run_id=run)


def test_a_deleted_run_takes_all_of_it_along(market):
    gone, kept = call(market), call(market)
    market.execute("delete from backtest.runs where run_id = %s", (gone,))
    market.execute("set constraints all immediate")

    for table in ("trades", "equity", "metrics", "run_segments"):
        found = market.execute(f"select distinct run_id from backtest.{table}").fetchall()
        assert found == [(kept,)], table


def test_the_app_may_run_backtests_and_a_reader_only_reads_them(market):
    market.execute("set session authorization ta_lab2_app")
    run = call(market)
    market.execute("set session authorization ta_lab2_reader")

    (name,) = market.execute(
        "select r.signal_name from published.backtest_runs as r where r.run_id = %s", (run,)
    ).fetchone()
    assert name == EMA
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        call(market)


def test_inputs_are_read_as_research_which_may_read_no_table_of_prices(market):
    """A leak is planted: reading the price table itself fails by privilege."""
    (inputs, candles) = market.execute(
        "select pg_get_functiondef('backtest.read_inputs'::regproc),"
        " pg_get_functiondef('backtest._candles'::regproc)"
    ).fetchone()
    assert "SET role TO 'ta_lab2_research'" in inputs
    assert candles.count("from published.cmc_price_histories7 as p") == 1
    market.execute(candles.replace("from published.cmc_price", "from bars.cmc_price"))

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="cmc_price_histories7"):
        call(market)


def test_two_runs_at_once_are_both_whole(market_db, autocommit):
    first, second = autocommit(market_db), autocommit(market_db)
    found = []
    threads = [
        threading.Thread(target=lambda conn=conn: found.append(call(conn)))
        for conn in (first, second)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    digests = {row(first, run)["result_digest"] for run in found}
    first.execute("delete from backtest.runs where run_id = any (%s)", (found,))
    assert len(found) == 2
    assert len(digests) == 1


@pytest.mark.parametrize("table", ["equity", "trades", "run_segments", "metrics", "runs"])
def test_a_killed_run_leaves_nothing(market_db, autocommit, table):
    """It is killed while it waits to write that table."""
    holder, victim, witness = (autocommit(market_db) for _ in range(3))
    run = uuid.uuid4()
    failures = []

    def work():
        try:
            victim.execute("call run_backtest(%s, p_run_id => %s)", (EMA, run))
        except psycopg.OperationalError as error:
            failures.append(error)

    with holder.transaction():
        holder.execute(f"lock table backtest.{table} in share mode")
        thread = threading.Thread(target=work)
        thread.start()
        pid = victim.info.backend_pid
        for _ in range(300):
            (waits,) = witness.execute(
                "select exists (select from pg_locks as l where l.pid = %s and not l.granted)",
                (pid,),
            ).fetchone()
            if waits:
                break
            time.sleep(0.1)
        assert waits
        witness.execute("select pg_terminate_backend(%s)", (pid,))
        thread.join()

    assert len(failures) == 1
    for each in ("runs", "trades", "equity", "metrics", "run_segments"):
        left = witness.execute(
            f"select count(*) from backtest.{each} where run_id = %s", (run,)
        ).fetchone()
        assert left == (0,), each


def test_returns_of_months_compound_to_the_total(market):
    run = call(market)

    months = market.execute(
        "select m.month, m.return_pct, m.benchmark_pct from backtest.monthly_returns(%s) as m",
        (run,),
    ).fetchall()
    assert [month.day for month, _, _ in months] == [1] * len(months)
    assert months == sorted(months)
    total = bench = 1.0
    for _, mine, theirs in months:
        total *= 1 + mine
        bench *= 1 + theirs
    found = metrics(market, run)
    assert total - 1 == pytest.approx(found["total_return"], abs=1e-12)
    assert bench - 1 == pytest.approx(found["benchmark_return"], abs=1e-12)


def test_returns_of_months_are_those_of_their_last_closes_in_utc(market):
    run = call(market, **{"from": prices.ts(176)})
    market.execute("set local timezone = 'Asia/Tokyo'")

    last = {
        each["ts"].astimezone(UTC).strftime("%Y-%m-01"): each
        for each in rows(market, "equity", run)
    }
    expected, equity, benchmark = [], 10_000.0, 10_000.0
    for month, each in last.items():
        expected.append((month, each["equity"] / equity - 1, each["benchmark"] / benchmark - 1))
        equity, benchmark = each["equity"], each["benchmark"]
    found = market.execute(
        "select m.month::text, m.return_pct, m.benchmark_pct"
        " from backtest.monthly_returns(%s) as m",
        (run,),
    ).fetchall()
    assert found == expected
    assert 0 not in found[0][1:], "the first month moves"


def test_the_deepest_drawdown_is_the_maximum(market):
    run = call(market)

    found = market.execute(
        "select d.drawdown, d.peak_ts, d.trough_ts, d.recovery_ts, d.days"
        " from backtest.drawdowns(%s, 100) as d",
        (run,),
    ).fetchall()
    fewer = market.execute(
        "select d.drawdown from backtest.drawdowns(%s, 2) as d", (run,)
    ).fetchall()
    assert fewer == [(depth,) for depth, *_ in found[:2]]
    measured = metrics(market, run)
    assert found[0][0] == measured["max_drawdown"]
    assert found[0][4] == measured["max_drawdown_days"]
    assert [depth for depth, *_ in found] == sorted(depth for depth, *_ in found)
    last = row(market, run)["last_ts"]
    for _, peak, trough, recovery, days in found:
        assert peak < trough
        assert recovery is None or trough < recovery
        assert timedelta(days=days) == (recovery or last) - peak
    # One after the other.
    spans = sorted((peak, recovery or last) for _, peak, _, recovery, _ in found)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_the_ranking_has_the_latest_run_of_each_strategy_by_its_sharpe_ratio(market):
    for signal in ("ema_9_21_long", "rsi_30_70_mr", "atr_20_donchian"):
        call(market, signal, label="ranked")
    call(market, EMA, label="other")
    call(market, EMA, asset_ids=[3], label="ranked")
    call(market, EMA, label="ranked")

    found = market.execute(
        "select r.place, r.signal_name, r.sharpe, r.assets from backtest.ranking('ranked') as r"
    ).fetchall()
    assert [place for place, *_ in found] == [1, 2, 3, 4]
    sharpes = [sharpe for _, _, sharpe, _ in found[:3]]
    assert sharpes == sorted(sharpes, reverse=True)
    assert found[3][1:] == (EMA, None, 1)
    (everything,) = market.execute("select count(*) from backtest.ranking()").fetchone()
    assert everything == 4


def test_the_ranking_tells_labels_and_cost_models_apart_and_has_the_latest(market):
    old = call(market, label="ranked")
    market.execute(
        "update backtest.runs set created_at = created_at - interval '1 day' where run_id = %s",
        (old,),
    )
    new, clean = call(market, label="ranked"), call(market, cost_model="clean", label="ranked")
    call(market, "rsi_30_70_mr", label="other")

    found = market.execute("select r.run_id from backtest.ranking('ranked') as r").fetchall()
    assert sorted(found) == sorted([(new,), (clean,)])


@pytest.mark.parametrize("routine", ["monthly_returns(%s)", "drawdowns(%s)"])
def test_a_run_that_nobody_knows_is_refused(market, routine):
    with pytest.raises(errors.UnknownRun), translated():
        market.execute(f"select * from backtest.{routine}", (uuid.UUID(int=1),))


DIGESTS = ("inputs_digest", "machinery_digest", "result_digest")


@pytest.mark.parametrize("signal", ["ema_9_21_long", "rsi_30_70_mr", "atr_20_donchian"])
def test_a_run_can_be_repeated_on_the_data_as_they_stood(own_db, autocommit, signal):
    """Candles are revised, deleted and added since, and an asset comes to the universe."""
    markets.make(own_db)
    conn = autocommit(own_db)
    before = row(conn, call(conn, signal))
    conn.execute(
        "update bars.cmc_price_histories7 set open = open * 1.0001, close = low"
        " where id in (1, 4) and ts = any (%s)",
        ([prices.ts(100), prices.ts(200), prices.ts(420)],),
    )
    prices.drop(conn, 2, [150, 300])
    markets.put(conn, 5, 15, 0, 100)

    again = row(conn, call(conn, signal, known_at=before["data_at"]))
    markets.refresh(conn)
    once_more = row(conn, call(conn, signal, known_at=before["data_at"]))
    after = row(conn, call(conn, signal, asset_ids=before["asset_ids"]))

    assert again["data_at"] == again["known_at"] == before["data_at"]
    for repeat in (again, once_more):
        assert [repeat[name] for name in DIGESTS] == [before[name] for name in DIGESTS]
    assert after["data_at"] > before["data_at"]
    assert after["inputs_digest"] != before["inputs_digest"]
    assert after["result_digest"] != before["result_digest"]
    assert after["machinery_digest"] == before["machinery_digest"]


def test_what_is_stored_is_what_is_known_now(market):
    stored = row(market, call(market))
    known = row(market, call(market, known_at=stored["data_at"]))

    assert [known[name] for name in DIGESTS] == [stored[name] for name in DIGESTS]
    assert known["asset_ids"] == stored["asset_ids"]


def test_nothing_is_known_before_the_first_load(market):
    with pytest.raises(errors.NoAssetToTrade, match="no asset to trade") as raised:
        call(market, known_at=prices.ts(0))
    assert "No prices were known" in raised.value.detail


def test_a_candle_that_is_revised_and_refreshed_gives_another_run(own_db, autocommit):
    markets.make(own_db)
    conn = autocommit(own_db)
    before = row(conn, call(conn))
    conn.execute(
        "update bars.cmc_price_histories7 set open = open * 0.999 where id = 1 and ts = %s",
        (prices.ts(200),),
    )
    markets.refresh(conn)
    after = row(conn, call(conn))

    assert before["inputs_digest"] != after["inputs_digest"]
    assert before["machinery_digest"] == after["machinery_digest"]
