"""The digests of a run: what makes them others, and what does not."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from tests.support import markets, prices
from tests.support.runs import call, row


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
        *("backtest.work_out", "backtest.read_inputs", "backtest._candles", "backtest._events"),
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
