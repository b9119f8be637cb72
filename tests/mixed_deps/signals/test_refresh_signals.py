"""The signals in the database: what is due, what is kept, what is known, and who may read what."""

from __future__ import annotations

import psycopg
import pytest

from ta_lab2.features import queries as features
from ta_lab2.signals import errors, queries
from tests.support import contract, prices, servers

#: An active signal of each type, and one that asks the regimes.
SOME = ("ema_6_9_both", "rsi_7_both", "atr_2_both", "atr_5_regime")
EMA = {"fast_period": 9, "slow_period": 21, "direction": "long"}


def fill(conn) -> None:
    """Two assets, refreshed."""
    contract.only(conn, contract.READ)
    conn.execute(
        """
        update regimes.dim_regime_policies as p
        set setups = '{breakout,mean_revert,short}'
        where p.size is not null
        """
    )
    contract.put(conn, 1, contract.history())
    contract.put(conn, 2, contract.history(300, 3), shape=2)
    contract.refresh(conn)


@pytest.fixture(scope="module")
def original(server_url, template):
    """A database with them that each test has a copy of."""
    with servers.filled(server_url, template, fill) as name:
        yield name


@pytest.fixture
def conn(own_db, autocommit):
    """A connection to the copy."""
    return autocommit(own_db)


def signal_id(conn, name: str) -> int:
    return conn.execute(
        "select d.signal_id from signals.dim_signals as d where d.signal_name = %s", (name,)
    ).fetchone()[0]


def stamps(conn) -> dict[tuple, str]:
    """The transaction that wrote each row, by table and key."""
    found = {}
    for each in (contract.EMA_CROSSES, contract.RSI_REVERSALS, contract.BREAKOUTS):
        for asset in (1, 2):
            found |= {(asset, *key): by for key, by in contract.versions(conn, each, asset).items()}
    for row in conn.execute(
        """
        select 'segment', s.id, s.signal_id, s.year, s.xmin::text
        from signals.cmc_signal_segments as s
        """
    ):
        found[row[:-1]] = row[-1]
    return found


def refresh(conn) -> int:
    """Run the verb; the rows that it says were written."""
    lines: list[str] = []
    queries.refresh(conn, on_notice=lines.append)
    assert not [line for line in lines if " failed: " in line], lines
    return int(lines[-1].split(" rows,")[0].rsplit(" ", 1)[1])


def test_every_signal_of_the_contract_has_entries_and_exits(conn):
    found = conn.execute(
        """
        select d.signal_name, s.position_state
        from signals.cmc_signals as s
        join signals.dim_signals as d using (signal_id)
        group by d.signal_name, s.position_state
        """
    ).fetchall()
    assert {(name, state) for name in SOME for state in ("open", "closed")} <= set(found)


def test_a_new_signal_is_worked_out_and_nothing_else(conn):
    before = stamps(conn)
    params = {"fast_period": 9, "slow_period": 12, "direction": "long"}
    assert queries.add(conn, "fresh", "ema_crossover", params)
    assert refresh(conn) > 0
    after = stamps(conn)
    assert {key: after[key] for key in before} == before
    fresh = signal_id(conn, "fresh")
    assert {key[2] if key[0] == "segment" else key[1] for key in after.keys() - before.keys()} == {
        fresh
    }
    assert refresh(conn) == 0


def test_one_that_is_switched_off_keeps_its_rows_and_makes_up_for_what_it_missed(conn):
    name = "ema_6_9_both"
    query = "select count(*) from signals.events(1, %s)"
    one = (signal_id(conn, name),)
    queries.switch(conn, name, on=False)
    stood = conn.execute(query, one).fetchone()
    prices.drop(conn, 1, range(200))
    contract.refresh(conn)
    assert conn.execute(query, one).fetchone() == stood
    queries.switch(conn, name, on=True)
    contract.refresh(conn)
    assert conn.execute(query, one).fetchone() != stood
    found = contract.digest(conn)
    assert found == contract.full(conn)


def test_another_version_makes_its_rows_anew(conn):
    conn.execute(
        """
        update signals.dim_signals as d
        set params = d.params || '{"cooldown_bars": 9}', signal_version = 2
        where d.signal_name = 'rsi_7_both'
        """
    )
    assert refresh(conn) > 0
    versions = conn.execute(
        "select distinct e.signal_version from signals.events(1, %s) as e",
        (signal_id(conn, "rsi_7_both"),),
    ).fetchall()
    assert versions == [(2,)]


def test_another_policy_is_followed(conn):
    conn.execute("update regimes.dim_regime_policies as p set setups = '{pullback}' where size > 0")
    assert "rebuilt" in " ".join(contract.refresh(conn))
    found = contract.digest(conn)
    assert found == contract.full(conn)


def test_a_column_that_was_added_is_read(conn):
    conn.execute(
        "insert into features.dim_indicators (kind, params) values ('rsi', '{\"period\": 5}')"
    )
    params = {"rsi_period": 5, "oversold": 40, "overbought": 60, "direction": "both"}
    queries.add(conn, "rsi_5", "rsi_mean_revert", params)
    refresh(conn)
    query = "select count(*), count(e.feature_snapshot ->> 'rsi') from signals.events(1, %s) as e"
    one = (signal_id(conn, "rsi_5"),)
    assert conn.execute(query, one).fetchone() == (0, 0), "its column is not there yet"
    contract.refresh(conn)
    count, known = conn.execute(query, one).fetchone()
    assert count == known > 0
    assert conn.execute(
        """
        select bool_and((e.feature_snapshot ->> 'rsi')::float8 = t.rsi_5)
        from signals.events(1, %s) as e
        join features.cmc_ta_daily as t on t.id = e.id and t.ts = e.entry_ts
        """,
        one,
    ).fetchone() == (True,)


# --- what was known ----------------------------------------------------------------------------


def both(conn, signal: int, known_at=None) -> tuple[list, list]:
    """Every bit of a signal's rows and segments."""
    return tuple(
        conn.execute(
            f"select record_send(e) from signals.{what}(1, %s, %s) as e", (signal, known_at)
        ).fetchall()
        for what in ("events", "segments")
    )


def test_what_was_known_at_a_moment_is_what_a_refresh_then_stored(conn):
    ids = [signal_id(conn, name) for name in SOME]
    then = {each: both(conn, each) for each in ids}
    assert all(events and segments for events, segments in then.values())
    (moment,) = conn.execute("select clock_timestamp()").fetchone()
    contract.put(conn, 1, {n: 80.0 + n % 7 for n in range(100, 420)})
    prices.drop(conn, 1, range(50, 60))
    contract.refresh(conn)
    for each in ids:
        assert both(conn, each) != then[each]
        assert both(conn, each, moment) == then[each]
    conn.execute("set role ta_lab2_research")
    assert both(conn, ids[-1], moment) == then[ids[-1]]


def test_regimes_and_averages_as_they_were_known_are_those_that_are_stored(conn):
    for known, stored in (
        ("regimes.daily_as_of(1, now())", "regimes.cmc_regimes_daily where id = 1"),
        (
            "features.ema_rows_as_of(1, '{1}', now())",
            "features.cmc_ema_multi_tf where id = 1 and tf_id = 1",
        ),
        ("regimes.daily_as_of(1)", "regimes.cmc_regimes_daily where id = 1"),
    ):
        assert conn.execute(
            f"""
            select count(*) = (select count(*) from {stored}) and count(*) > 300
            from (select * from {known} intersect select * from {stored}) as w
            """
        ).fetchone() == (True,), known


def test_a_signal_that_is_none_is_an_error(conn):
    for what in ("events", "segments"):
        for moment in (None, "2024-01-01"):
            with pytest.raises(psycopg.Error) as caught:
                conn.execute(f"select signals.{what}(1, 99, %s)", (moment,))
            assert caught.value.sqlstate == errors.UnknownSignal.sqlstate


# --- who may read what -------------------------------------------------------------------------


def test_the_app_refreshes_signals_and_reads_its_inputs_as_research(conn):
    before = contract.digest(conn)
    contract.wipe(conn)
    conn.execute("set role ta_lab2_app")
    contract.refresh(conn)
    conn.execute("reset role")
    assert contract.digest(conn) == before


@pytest.mark.parametrize(
    "table",
    [
        "bars.cmc_price_histories7",
        "bars.price_revisions",
        "bars.cmc_price_bars_multi_tf",
        "features.cmc_daily_features",
        "features.cmc_ema_multi_tf",
        "features.cmc_ta_daily",
        "regimes.cmc_regimes_daily",
    ],
)
def test_research_reads_no_table_of_candles_or_features(tx, table):
    tx.execute("set local role ta_lab2_research")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        tx.execute(f"select from {table}")


def test_an_input_read_from_a_table_fails(conn):
    contract.broken(
        conn,
        "functions/signals/inputs.sql",
        ("text := 'published.cmc_daily_features'", "text := 'features.cmc_daily_features'"),
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("select signals.refresh_atr_breakout('{1}', '{-infinity}')")


# --- rows that come and are due ----------------------------------------------------------------


def test_one_with_rows_keeps_what_they_carry(conn):
    for change, error in (
        ("update %s set params = params || '{\"cooldown_bars\": 1}' where signal_id = 1", "TA510"),
        ("update %s set signal_type = 'atr_breakout' where signal_id = 1", "TA510"),
        ("delete from %s where signal_id = 1", "TA509"),
    ):
        with pytest.raises(psycopg.Error) as caught:
            conn.execute(change % "signals.dim_signals")
        assert caught.value.sqlstate == error
    conn.execute(
        "update signals.dim_signals set description = 'Still the same.' where signal_id = 1"
    )
    assert refresh(conn) == 0
    added = queries.add(conn, "brief", "ema_crossover", EMA)
    assert added is not None
    conn.execute("delete from signals.dim_signals where signal_name = 'brief'")
    assert refresh(conn) == 0


def test_a_dry_run_tells_that_the_whole_history_of_a_new_signal_is_due(conn):
    counts = conn.execute(
        "select p.id, count(*) from bars.cmc_price_histories7 as p group by p.id order by p.id"
    ).fetchall()

    def told() -> list[str]:
        lines: list[str] = []
        queries.refresh(conn, dry_run=True, on_notice=lines.append)
        return lines

    expected = [
        *(
            f"refresh_signals: asset {asset}, signals_ema_crossover: {count} candles are due"
            for asset, count in counts
        ),
        "refresh_signals: 2 computations are due, nothing was written",
    ]
    assert told()[-1] == "refresh_signals: 0 computations are due, nothing was written"
    queries.add(conn, "late", "ema_crossover", EMA)
    assert told() == expected
    refresh(conn)
    queries.switch(conn, "late", on=False)
    assert len(told()) == 1
    queries.switch(conn, "late", on=True)
    assert told() == expected


# --- today -------------------------------------------------------------------------------------


def test_today_has_open_positions_and_the_entries_and_exits_of_the_last_bar(conn):
    found = conn.execute(
        "select t.id, t.signal_id, t.event, t.direction, t.entry_ts from signals.today() as t"
    ).fetchall()
    expected = conn.execute(
        """
        with last as (
            select s.id, max(s.ts) as ts
            from features.cmc_daily_features as s
            where not s.is_gap
            group by s.id
        )
        select
            e.id, e.signal_id, case when e.ts = l.ts then 'entry' else 'open' end, e.direction,
            e.entry_ts
        from signals.cmc_signals as e
        join last as l using (id)
        where e.position_state = 'open'
          and not exists (
              select from signals.cmc_signals as x
              where x.id = e.id and x.signal_id = e.signal_id and x.entry_ts = e.ts
                and x.position_state = 'closed'
          )
        union all
        select e.id, e.signal_id, 'exit', e.direction, e.entry_ts
        from signals.cmc_signals as e
        join last as l on l.id = e.id and l.ts = e.ts
        where e.position_state = 'closed'
        """
    ).fetchall()
    assert sorted(found) == sorted(expected)
    assert len(found) > 3


def test_today_marks_to_the_last_close_and_says_where_a_breakout_exits(conn):
    for row in conn.execute(
        """
        select
            t.event, t.direction, t.signal_type, t.exit_level, t.pnl_pct, t.entry_price, c.close,
            c.low, c.high
        from signals.today() as t
        join signals.dim_signals as d using (signal_id)
        cross join lateral (
            select
                (array_agg(b.close order by b.ts desc))[1] as close,
                min(b.low) as low,
                max(b.high) as high
            from (
                select b.ts, b.close, b.low, b.high
                from bars.cmc_price_histories7 as b
                where b.id = t.id
                order by b.ts desc
                limit coalesce((d.params ->> 'channel_period')::integer, 1)
            ) as b
        ) as c
        """
    ):
        event, direction, kind, level, gain, entry, close, low, high = row
        if kind != "atr_breakout" or event == "exit":
            assert level is None
        else:
            assert level == (low if direction == "long" else high)
        if event != "exit":
            assert gain == (close / entry - 1 if direction == "long" else 1 - close / entry)


def test_a_reader_sees_what_today_says(conn):
    expected = conn.execute("select t.* from signals.today() as t").fetchall()
    with conn.transaction():
        conn.execute("set local role ta_lab2_reader")
        found = conn.execute(
            "select t.* from published.cmc_signals_today as t"
            " order by t.id, t.signal_id, t.entry_ts"
        ).fetchall()
    assert found == expected
    assert len(found) > 3
    assert conn.execute("select distinct t.id from signals.today('{2}') as t").fetchall() == [(2,)]
    with pytest.raises(psycopg.Error, match="no asset has the id 7"):
        conn.execute("select t.* from signals.today('{2,7}') as t")


def test_refresh_all_does_what_the_three_verbs_do(untouched_db, autocommit):
    conn = autocommit(untouched_db)
    contract.only(conn, contract.READ)
    contract.put(conn, 1, contract.history(120))
    conn.execute("call refresh_all(p_dry_run => true)")
    assert conn.execute("select count(*) from signals.cmc_signal_state").fetchone() == (0,)
    conn.execute("call refresh_all('{1}')")
    found = contract.digest(conn)
    assert found == contract.full(conn)
    for verb in contract.VERBS:
        lines: list[str] = []
        features.refresh(conn, on_notice=lines.append, verb=verb)
        assert " 0 rows," in lines[-1]
