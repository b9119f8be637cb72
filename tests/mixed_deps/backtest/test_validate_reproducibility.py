"""``validate_backtest_reproducibility``: it stores nothing and is loud about what differs."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from ta_lab2.backtest import errors, runs
from tests.support import contract, prices, servers

SIGNAL = "ema_9_21_long"


def refresh(conn):
    conn.execute("call refresh_features()")
    conn.execute("call refresh_regimes()")
    conn.execute("call refresh_signals()")


def fill(conn) -> None:
    """An asset that has its signals."""
    contract.only(conn, ["1D"])
    contract.put(conn, 1, {n: 100 + 20 * ((n // 17) % 3) for n in range(300)})
    refresh(conn)


@pytest.fixture(scope="module")
def original(server_url, template):
    """A database with it that each test has a copy of."""
    with servers.filled(server_url, template, fill) as name:
        yield name


@pytest.fixture
def conn(own_db, autocommit):
    """A connection to the copy."""
    return autocommit(own_db)


@pytest.fixture
def run(conn):
    """A run of it."""
    return runs.start(conn, SIGNAL)


@pytest.fixture
def revised(conn, run):
    """The same run, after a candle of it was revised."""
    contract.put(conn, 1, {150: 180.0})
    refresh(conn)
    return run


def stored(conn):
    """Every row that runs have."""
    tables = ("runs", "trades", "equity", "metrics", "run_segments")
    return [
        conn.execute(
            f"select md5(string_agg(t::text, '' order by t::text)) from backtest.{table} as t"
        ).fetchone()
        for table in tables
    ]


def alerts(conn):
    return conn.execute(
        """
        select a.alert_type, a.severity, a.occurrences, a.resolved_at is not null, a.metadata
        from observability.alerts as a
        order by a.created_at
        """
    ).fetchall()


@pytest.mark.parametrize("mode", ["strict", "warn", "trust"])
def test_an_equal_repeat_is_equal_and_leaves_nothing(conn, run, mode):
    before = stored(conn)
    assert runs.validate(conn, run, mode=mode) == "equal"
    assert stored(conn) == before
    assert alerts(conn) == []


def test_every_setting_is_repeated(conn):
    contract.put(conn, 2, {n: 50 + 20 * ((n // 23) % 3) for n in range(300)})
    refresh(conn)
    made = runs.start(
        conn,
        SIGNAL,
        asset_ids=[1],
        to=prices.ts(250),
        cost_model="perp",
        capital=5_000.0,
        sizing="volatility_target",
        fraction=0.7,
        fill="next_close",
        capital_limit=0.8,
        vol_target=0.3,
        **{"from": prices.ts(30)},
    )
    assert runs.validate(conn, made) == "equal"


def test_strict_fails_on_other_inputs_and_its_alert_stays(conn, revised):
    before = stored(conn)
    with pytest.raises(errors.InputsDiffer) as raised:
        runs.validate(conn, revised)
    assert "candle of asset 1" in raised.value.detail
    assert "p_known_at" in raised.value.hint
    assert stored(conn) == before
    ((kind, severity, times, resolved, metadata),) = alerts(conn)
    assert (kind, severity, times, resolved) == ("backtest.inputs_differ", "warning", 1, False)
    levels = [each["level"] for each in metadata["differences"]]
    assert {"data", "segment", "candle", "feature"} <= set(levels)
    assert not {"trade", "equity", "metric"} & set(levels), "no pnl is looked at before the alert"


def test_the_app_may_do_all_of_it(conn, revised):
    conn.execute("set role ta_lab2_app")
    with pytest.raises(errors.InputsDiffer):
        runs.validate(conn, revised)
    assert runs.validate(conn, revised, known_at=runs.one(conn, revised).data_at) == "equal"


def test_warn_alerts_and_goes_on(conn, revised):
    told = []
    assert runs.validate(conn, revised, mode="warn", on_notice=told.append) == "inputs differ"
    assert [each[0] for each in alerts(conn)] == ["backtest.inputs_differ"]
    assert any("the inputs are others now" in line for line in told)
    assert any("differs by a share of at most 0." in line for line in told)


def test_trust_does_not_look_at_the_inputs(conn, revised):
    assert runs.validate(conn, revised, mode="trust") == "result differs"
    assert alerts(conn) == []


def test_trust_does_not_work_out_how_the_inputs_differ(conn, revised):
    conn.execute("""
        create or replace function
        backtest._input_differences(p_a backtest.runs, p_b backtest.runs)
        returns table (
            level text, id integer, ts timestamptz, what text, a text, b text, detail text
        )
        language plpgsql stable parallel unsafe
        as $$ begin raise division_by_zero; end $$
    """)
    with pytest.raises(psycopg.errors.DivisionByZero):
        runs.validate(conn, revised, mode="warn")
    assert runs.validate(conn, revised, mode="trust") == "result differs"


def test_the_run_is_equal_on_the_data_as_they_stood_and_that_ends_the_alert(conn, revised):
    runs.validate(conn, revised, mode="warn")
    before = stored(conn)
    assert runs.validate(conn, revised, known_at=runs.one(conn, revised).data_at) == "equal"
    assert stored(conn) == before
    assert [each[3] for each in alerts(conn)] == [True]


def test_a_run_of_known_data_is_equal_whatever_comes_later(conn, revised):
    known_at = runs.one(conn, revised).data_at
    made = runs.start(conn, SIGNAL, known_at=known_at, asset_ids=[1])
    contract.put(conn, 1, {100: 55.0})
    assert runs.validate(conn, made) == "equal"


def test_the_same_failure_again_is_the_same_alert(conn, revised):
    for _ in range(2):
        runs.validate(conn, revised, mode="warn")
    assert [each[2] for each in alerts(conn)] == [2]


def plant(conn, factor):
    """Let a new version of the engine end on another equity than the one that ran."""
    conn.execute(
        """
        create function public.bend() returns trigger language plpgsql as $$
        begin
            update backtest.equity set equity = equity * %s
            where run_id = new.run_id and ts = new.last_ts;
            new.result_digest := sha256(new.result_digest);
            return new;
        end $$;
        create trigger bends before insert on backtest.runs
        for each row execute function public.bend();
        """.replace("%s", repr(factor))
    )


def test_another_result_of_the_same_inputs_is_an_error_and_critical(conn, run):
    plant(conn, 1 + 1e-6)
    with pytest.raises(errors.ResultDiffers) as raised:
        runs.validate(conn, run)
    assert "9.99" in raised.value.detail or "1e-06" in raised.value.detail
    assert [each[:2] for each in alerts(conn)] == [("backtest.result_differs", "critical")]
    for mode in ("warn", "trust"):
        assert runs.validate(conn, run, mode=mode) == "result differs"
    assert [each[2:4] for each in alerts(conn)] == [(3, False)]
    assert runs.validate(conn, run, tolerance=1e-4) == "within tolerance"
    assert [each[3] for each in alerts(conn)] == [True]


@pytest.mark.parametrize("factor", [1 + 1e-12, 1 - 1e-12])
def test_a_tolerance_allows_for_rounding_and_no_more(conn, run, factor):
    plant(conn, factor)
    assert runs.validate(conn, run, tolerance=1e-10) == "within tolerance"
    with pytest.raises(errors.ResultDiffers):
        runs.validate(conn, run, tolerance=1e-14)


def test_other_trades_are_another_result_though_the_equity_is_the_same(conn, run):
    plant(conn, 1.0)
    with pytest.raises(errors.ResultDiffers):
        runs.validate(conn, run)
    assert runs.validate(conn, run, tolerance=1e-14) == "within tolerance"


def test_another_machinery_is_told_and_no_error(conn, run):
    conn.execute("update backtest.runs set machinery_digest = sha256('old')")
    told = []
    assert runs.validate(conn, run, on_notice=told.append) == "equal"
    assert any("the machinery is another one" in line for line in told)


def test_signals_that_are_behind_their_candles_are_refused(conn, run):
    contract.put(conn, 1, {150: 180.0})
    with pytest.raises(errors.SignalsOutrun):
        runs.validate(conn, run)
    assert alerts(conn) == []


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"mode": "hope"}, errors.UnknownMode),
        ({"tolerance": -1.0}, errors.ToleranceOutOfRange),
        ({"tolerance": float("nan")}, errors.ToleranceOutOfRange),
        ({"run_id": UUID(int=1)}, errors.UnknownRun),
    ],
)
def test_what_cannot_be_is_refused(conn, run, given, error):
    with pytest.raises(error):
        runs.validate(conn, **{"run_id": run, **given})
