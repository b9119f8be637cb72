"""Regimes from candles to rows: the slow way over stored bars, numbers that change, its record."""

from __future__ import annotations

import math
import random

import psycopg
import pytest

from ta_lab2.errors import translated
from ta_lab2.features import queries as features
from ta_lab2.regimes import queries
from ta_lab2.regimes.errors import PeriodInUse, UnknownPeriod
from tests.support import contract, naive_regimes, prices
from tests.support.naive_regimes import Bar

LAYERS = ("L0", "L1", "L2")


def refresh(conn: psycopg.Connection, asset: int = 1) -> int:
    """Rows of regimes and transitions that were written, after the features."""
    counts = {}
    for verb in contract.VERBS:
        conn.execute(
            "insert into features.refresh_state (id, verb) values (%s, %s) on conflict do nothing",
            (asset, verb),
        )
        row = conn.execute(
            "select c.rows_written from features.refresh_asset(%s, p_verb => %s) as c",
            (asset, verb),
        ).fetchone()
        assert row is not None
        counts[verb] = row[0]
    return counts["refresh_regimes"]


def walk(days: int, seed: int = 5) -> dict[int, float]:
    """Closes of a random walk with gaps."""
    chance = random.Random(seed)
    close, found = 100.0, {}
    for day in range(days):
        close *= math.exp(chance.gauss(0, 0.03))
        if day % 97 not in (7, 8, 9):
            found[day] = close
    return found


def labels(conn, asset: int = 1) -> dict[int, tuple[str, ...]]:
    """The nine words of each day, L0 first."""
    return {
        (row[0] - prices.ts(0)).days: row[1:]
        for row in conn.execute(
            """
            select r.ts, r.l0_trend, r.l0_volatility, r.l0_liquidity,
                r.l1_trend, r.l1_volatility, r.l1_liquidity,
                r.l2_trend, r.l2_volatility, r.l2_liquidity
            from regimes.cmc_regimes_daily as r
            where r.id = %s
            order by r.ts
            """,
            (asset,),
        )
    }


def slowly(conn, asset: int = 1, *, base: bool = False) -> dict[int, tuple[str, ...]]:
    """The same from the stored bars, the slow way."""
    days = [
        (ts - prices.ts(0)).days
        for (ts,) in conn.execute(
            "select r.ts from features.cmc_returns_daily as r where r.id = %s order by r.ts",
            (asset,),
        )
    ]
    found = []
    for name in LAYERS:
        (layer,) = conn.execute(
            "select to_jsonb(l) from regimes.dim_regime_layers as l where l.layer = %s", (name,)
        ).fetchone()
        bars = [
            Bar((ts - prices.ts(0)).days, *numbers, volume and volume * (numbers[2] if base else 1))
            for ts, *numbers, volume in conn.execute(
                """
                select b.time_close, b.high, b.low, b.close, b.volume
                from bars.cmc_price_bars_multi_tf as b
                join timemodel.dim_timeframe as t using (tf_id)
                where b.id = %s and t.tf = %s
                order by b.time_close
                """,
                (asset, layer["tf"]),
            )
        ]
        found.append(naive_regimes.by_day(bars, layer, days))
    return {day: tuple(word for layer in found for word in layer[n]) for n, day in enumerate(days)}


def test_every_day_has_the_labels_of_the_slow_way(tx):
    contract.only(tx)
    contract.put(tx, 1, walk(900))
    refresh(tx)
    found = labels(tx)
    assert found == slowly(tx)
    for place in range(9):
        assert len({row[place] for row in found.values()}) > (1 if place < 6 else 2), place


def test_there_is_a_row_for_each_session_and_a_gap_keeps_the_labels_of_the_last_bars(tx):
    contract.only(tx)
    contract.put(tx, 1, walk(400))
    refresh(tx)
    assert sorted(labels(tx)) == list(range(400))
    assert tx.execute(
        """
        select count(*) filter (where r.is_gap), bool_and(r.available_at = r.ts),
            bool_and(r.is_gap = s.is_gap), bool_and(r.l2_key = p.l2_key) filter (where r.is_gap)
        from regimes.cmc_regimes_daily as r
        join features.cmc_returns_daily as s using (id, ts)
        left join regimes.cmc_regimes_daily as p on p.id = r.id and p.ts = r.ts - interval '1 day'
        """
    ).fetchone() == (15, True, True, True)


def test_the_composite_joins_the_words(tx):
    contract.only(tx)
    contract.put(tx, 1, walk(300))
    refresh(tx)
    assert tx.execute(
        """
        select count(*)
        from regimes.cmc_regimes_daily as r
        where r.l2_key <> format('%s-%s-%s', r.l2_trend, r.l2_volatility, r.l2_liquidity)
           or r.l1_key <> format('%s-%s-%s', r.l1_trend, r.l1_volatility, r.l1_liquidity)
           or r.l0_key <> format('%s-%s-%s', r.l0_trend, r.l0_volatility, r.l0_liquidity)
        """
    ).fetchone() == (0,)


def test_transitions_are_the_changes_of_the_rows(tx):
    contract.only(tx)
    contract.put(tx, 1, walk(500))
    refresh(tx)
    found = labels(tx)
    names = [
        (layer, dimension) for layer in LAYERS for dimension in ("trend", "volatility", "liquidity")
    ]
    expected = {
        (day, *names[place], found[day - 1][place], found[day][place])
        for day in found
        if day - 1 in found
        for place in range(9)
        if found[day][place] != found[day - 1][place]
    }
    stored = tx.execute(
        """
        select t.ts, t.layer, t.dimension, t.from_label, t.to_label
        from regimes.cmc_regime_transitions as t
        """
    ).fetchall()
    assert {((ts - prices.ts(0)).days, *rest) for ts, *rest in stored} == expected
    assert len(stored) > 50


def test_volumes_in_units_of_the_asset_count_in_dollars(tx):
    contract.only(tx)
    contract.put(tx, 1, {day: 100.0 * (1 + day % 5) for day in range(400)})
    refresh(tx)
    before = labels(tx)
    tx.execute(
        """
        insert into bars.dim_sources (source, volume_unit, description)
        values ('of this test', 'base', 'Counts coins.'), ('another', 'quote', 'Counts dollars.')
        """
    )
    tx.execute("update bars.price_state as c set source = 'of this test' where c.id = 1")
    assert refresh(tx) > 0
    assert labels(tx) == slowly(tx, base=True) != before
    tx.execute("update bars.price_state as c set source = 'another' where c.id = 1")
    refresh(tx)
    assert labels(tx) == before


@pytest.mark.parametrize(
    "change",
    [
        "adx_minimum = 60",
        "trend_hold = 5",
        "volatility_high = 50",
        "ema_slow = 200",
        "tf = '3D_CAL'",
    ],
)
def test_a_number_that_changes_makes_every_asset_due(tx, change):
    contract.only(tx)
    for asset in (1, 2):
        contract.put(tx, asset, walk(400, asset))
        refresh(tx, asset)
    assert refresh(tx, 1) == refresh(tx, 2) == 0
    tx.execute(f"update regimes.dim_regime_layers as l set {change} where l.layer = 'L2'")
    for asset in (1, 2):
        assert refresh(tx, asset) > 0
        assert labels(tx, asset) == slowly(tx, asset)
    assert refresh(tx, 1) == refresh(tx, 2) == 0


def test_a_layer_that_is_deleted_is_unknown(tx):
    contract.only(tx)
    contract.put(tx, 1, walk(200))
    tx.execute("delete from regimes.dim_regime_layers as l where l.layer = 'L0'")
    refresh(tx)
    assert {row[:3] for row in labels(tx).values()} == {("Unknown",) * 3}


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("adx_minimum = 101", "dim_regime_layers_adx_minimum_check"),
        ("adx_minimum = 'NaN'", "dim_regime_layers_adx_minimum_check"),
        ("volatility_window = 0", "dim_regime_layers_volatility_window_check"),
        ("volatility_low = 70", "volatilities_ascend"),
        ("liquidity_easy = 0.1", "liquidities_ascend"),
        ("trend_hold = 0", "dim_regime_layers_trend_hold_check"),
        ("ema_fast = 50, ema_mid = 20", "periods_ascend"),
        ("tf = 'week'", "dim_regime_layers_tf_fkey"),
    ],
)
def test_an_impossible_number_is_refused(tx, change, constraint):
    with pytest.raises(psycopg.errors.IntegrityError) as caught:
        tx.execute(f"update regimes.dim_regime_layers as l set {change} where l.layer = 'L2'")
    assert caught.value.diag.constraint_name == constraint


def test_a_period_that_nobody_computes_is_refused(tx):
    with pytest.raises(psycopg.Error, match="no EMA has the period 33") as caught:
        tx.execute("update regimes.dim_regime_layers as l set ema_mid = 33 where l.layer = 'L2'")
    assert caught.value.sqlstate == UnknownPeriod.sqlstate
    assert "dim_ema_periods" in (caught.value.diag.message_hint or "")


@pytest.mark.parametrize(
    "change",
    [
        "delete from features.dim_ema_periods where period = 20",
        "update features.dim_ema_periods set period = 19 where period = 20",
    ],
)
def test_a_period_that_a_layer_reads_can_not_go(tx, change):
    tx.execute("update signals.dim_signals set is_active = false")
    with (
        pytest.raises(PeriodInUse, match="ema_20 is read by the regimes of layer L1, L2"),
        tx.transaction(),
        translated(),
    ):
        tx.execute(change)
    tx.execute("update regimes.dim_regime_layers set ema_fast = 17 where ema_fast = 20")
    tx.execute(change)


@pytest.fixture
def conn(own_db, autocommit):
    """A database of the test's own with three assets whose features are fresh."""
    conn = autocommit(own_db)
    contract.only(conn)
    for asset in (1, 2, 3):
        contract.put(conn, asset, walk(200, asset))
    features.refresh(conn)
    return conn


def test_the_verb_has_locks_and_a_record_of_its_own(conn):
    lines: list[str] = []
    queries.refresh(conn, on_notice=lines.append)
    assert lines[-1].startswith("refresh_regimes: 3 assets, ")
    assert conn.execute(
        "select s.verb, count(*) from features.refresh_state as s group by 1 order by 1"
    ).fetchall() == [("refresh_features", 3), ("refresh_regimes", 3)]
    assert conn.execute(
        "select w.type, w.status from observability.workflow_state as w order by w.created_at"
    ).fetchall() == [("refresh_features", "done"), ("refresh_regimes", "done")]
    assert conn.execute(
        "select count(*) from observability.traces as t where t.operation = 'refresh_regimes.asset'"
    ).fetchone() == (3,)
    lines.clear()
    queries.refresh(conn, on_notice=lines.append)
    assert ", 0 rows, " in lines[-1]


def test_an_asset_that_fails_stops_no_other(conn):
    conn.execute(
        """
        create function public.fails() returns trigger language plpgsql as $$
        begin
            raise exception 'no room for %', new.id using errcode = '53100';
        end $$;
        create trigger fails before insert on regimes.cmc_regime_transitions
        for each row when (new.id = 2) execute function public.fails();
        """
    )
    lines: list[str] = []
    queries.refresh(conn, on_notice=lines.append)
    assert "refresh_regimes: asset 2 failed: no room for 2" in lines
    assert conn.execute(
        "select distinct r.id from regimes.cmc_regimes_daily as r order by 1"
    ).fetchall() == [(1,), (3,)]
    assert conn.execute(
        """
        select s.id, s.verb, s.last_error
        from features.refresh_state as s
        where s.failed_at is not null
        """
    ).fetchall() == [(2, "refresh_regimes", "53100: no room for 2")]
    assert conn.execute(
        "select a.alert_type from observability.alerts as a where a.resolved_at is null"
    ).fetchall() == [("refresh_regimes.asset_failed",)]
    conn.execute("drop function public.fails cascade")
    features.refresh(conn)
    assert conn.execute(
        "select count(*) from observability.alerts as a where a.resolved_at is null"
    ).fetchone() == (1,), "another verb's success mends nothing"
    queries.refresh(conn)
    assert conn.execute(
        "select count(*) from observability.alerts as a where a.resolved_at is null"
    ).fetchone() == (0,)


def test_a_dry_run_says_what_is_due_and_writes_nothing(conn):
    lines: list[str] = []
    queries.refresh(conn, [1], dry_run=True, on_notice=lines.append)
    assert lines[-1] == "refresh_regimes: 2 computations are due, nothing was written"
    assert conn.execute("select count(*) from regimes.cmc_regimes_daily").fetchone() == (0,)


def test_a_new_day_writes_its_row_and_reads_little(conn):
    queries.refresh(conn)
    contract.put(conn, 1, {200: 123.0})
    features.refresh(conn)
    read, written, _ = conn.execute(
        "select c.* from features.refresh_asset(1, p_verb => 'refresh_regimes') as c"
    ).fetchone()
    assert read < 12
    assert written < 6
    assert labels(conn) == slowly(conn)


def test_a_verb_that_does_not_exist_is_refused(conn):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no verb is called refresh_it"):
        conn.execute("call refresh_features(p_verb => 'refresh_it')")
    assert conn.execute(
        "select count(*) from features.refresh_state as s where s.verb = 'refresh_it'"
    ).fetchone() == (0,)


def test_the_app_may_refresh_and_change_numbers(conn):
    conn.execute("set role ta_lab2_app")
    conn.execute("call refresh_regimes()")
    conn.execute("update regimes.dim_regime_layers as l set adx_minimum = 25 where l.layer = 'L2'")
    queries.refresh(conn)
    conn.execute("set role ta_lab2_reader")
    assert conn.execute("select count(*) from published.cmc_regimes_daily").fetchone() == (600,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("select from regimes.cmc_regimes_daily")


def test_the_registered_routines_stand(tx):
    for kernel, step, configuration in tx.execute(
        "select d.kernel, d.step, d.configuration from features.dim_computations as d"
    ).fetchall():
        for name in (kernel, step, configuration):
            if name is not None:
                tx.execute("select %s::regproc", (name,))
