"""The digests of a run: what makes them others, and what does not."""

from __future__ import annotations

import pytest

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
        *("backtest.work_out", "backtest.read_inputs", "backtest.measure"),
        *("backtest.simulation_kernel", "backtest.metrics_kernel", "signals.signals_kernel"),
        *("features.ema_kernel", "features.indicators_kernel", "indicators._rsi_kernel"),
        *("regimes.regimes_kernel", "db.packing"),
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
