"""Regimes as of a moment of the market."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from ta_lab2.features import queries as features
from ta_lab2.features.errors import UnknownAsset
from ta_lab2.regimes import queries
from ta_lab2.regimes.errors import NoMoment
from tests.support import contract, prices


@pytest.fixture
def conn(own_db, autocommit):
    """Two assets, the second of which begins later."""
    conn = autocommit(own_db)
    contract.only(conn)
    contract.put(conn, 1, contract.history(200, 1))
    contract.put(conn, 2, {n: 50.0 + n for n in range(100, 200)})
    features.refresh(conn)
    queries.refresh(conn)
    return conn


def as_of(conn, ids=None, at=None):
    """Rows, at the end if no moment is given."""
    return conn.execute(
        "select r.* from regimes.as_of(%s, coalesce(%s, 'infinity'::timestamptz)) as r", (ids, at)
    ).fetchall()


def test_the_last_row_comes_with_its_policy(conn):
    rows = as_of(conn)
    assert [row[0] for row in rows] == [1, 2]
    for row in rows:
        assert row[1] == prices.ts(199)
        expected = conn.execute("select p.* from regimes.policy(%s) as p", (list(row[4:7]),))
        assert row[7:] == expected.fetchone()


def test_a_row_is_seen_from_its_session_s_end_on(conn):
    end = prices.ts(150)
    assert as_of(conn, [1], end)[0][1] == end
    assert as_of(conn, [1], end - timedelta(milliseconds=1))[0][1] == prices.ts(149)
    assert [row[0] for row in as_of(conn, None, prices.ts(50))] == [1]
    assert as_of(conn, [2], prices.ts(50)) == []


def test_an_unknown_asset_and_no_moment_are_refused(conn):
    with pytest.raises(psycopg.Error, match="no asset has the id 77") as caught:
        as_of(conn, [77])
    assert caught.value.sqlstate == UnknownAsset.sqlstate
    with pytest.raises(psycopg.Error, match="no moment is given") as caught:
        conn.execute("select from regimes.as_of(p_at => null)")
    assert caught.value.sqlstate == NoMoment.sqlstate


def test_research_reads_regimes_through_it_alone(conn):
    conn.execute("set role ta_lab2_research")
    assert len(as_of(conn)) == 2
    assert conn.execute("select count(*) from regimes.dim_regime_layers").fetchone() == (3,)
    for table in ("cmc_regimes_daily", "cmc_regime_transitions"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(f"select from regimes.{table}")


ALL = """
    select d.ts, d.available_at, d.is_gap, d.l0_key, d.l1_key, d.l2_key
    from {} as d
    order by d.ts
"""


def known(conn, asset, moment):
    """All rows of an asset as they were known."""
    return conn.execute(
        ALL.format("regimes.daily_as_of(%s::integer, %s)"), (asset, moment)
    ).fetchall()


def stored(conn, asset):
    return conn.execute(
        ALL.format("(select r.* from regimes.cmc_regimes_daily as r where r.id = %s)"), (asset,)
    ).fetchall()


def clock(conn):
    (moment,) = conn.execute("select clock_timestamp()").fetchone()
    return moment


def revised(conn):
    """Three states of the candles: a moment of each, what was stored, and what was said."""
    moments = []
    for days in ({60: 9.0, 61: 400.0}, {n: 30.0 + n % 11 for n in range(120, 215)}, {}):
        moments.append((clock(conn), {asset: stored(conn, asset) for asset in (1, 2)}, as_of(conn)))
        contract.put(conn, 1, days, shape=3)
        prices.drop(conn, 2, [101, 150, 199] if days else [])
        features.refresh(conn)
        queries.refresh(conn)
    return moments


def as_known(conn, moment, **named):
    return conn.execute(
        "select r.* from regimes.as_of(p_at => %s, p_known_at => %s) as r",
        (named.get("at", "infinity"), moment),
    ).fetchall()


@pytest.mark.parametrize("unit", ["base", "quote"])
def test_what_was_known_then_are_the_labels_of_a_refresh_then(conn, unit):
    conn.execute(
        "insert into bars.dim_sources (source, volume_unit, description) values ('x', %s, '')",
        (unit,),
    )
    conn.execute("update bars.price_state set source = 'x'")
    queries.refresh(conn)
    moments = revised(conn)
    labels = [rows for _, rows, _ in moments]
    assert labels[0] != labels[1] != labels[2]
    for moment, rows, said in moments:
        for asset in (1, 2):
            assert known(conn, asset, moment) == rows[asset]
        assert as_known(conn, moment) == said
    assert as_known(conn, "infinity") == as_of(conn)
    moment, rows, _ = moments[0]
    (first,) = (row for row in as_known(conn, moment, at=prices.ts(150)) if row[0] == 1)
    assert first[1:7] == rows[1][150]


def test_a_layer_whose_timeframe_is_not_kept_is_unknown_as_in_the_table(conn):
    conn.execute("update timemodel.dim_timeframe set is_active = false where tf = '1W_CAL_ISO'")
    conn.execute("delete from bars.cmc_price_bars_multi_tf")
    conn.execute("delete from features.cmc_ema_multi_tf")
    features.refresh(conn, rebuild=True)
    queries.refresh(conn, rebuild=True)
    assert {row[4] for row in stored(conn, 1)} == {"Unknown-Unknown-Unknown"}
    assert known(conn, 1, "infinity") == stored(conn, 1)


def test_research_may_ask_what_was_known(conn):
    (moment, _, said), *_ = revised(conn)
    conn.execute("set role ta_lab2_research")
    conn.execute("set default_transaction_read_only = on")
    assert as_known(conn, moment) == said
    assert known(conn, 1, moment)


def test_a_moment_before_the_first_load_is_an_error(conn):
    with pytest.raises(psycopg.Error, match="first loaded at"):
        try:
            as_known(conn, "2000-01-01")
        except psycopg.Error as error:
            raise psycopg.Error(error.diag.message_detail) from error


def test_candles_of_today_are_found(conn):
    (moment, rows, _), *_ = revised(conn)
    contract.broken(
        conn,
        "functions/bars/ladder.sql",
        ("prices_as_of(p_known_at, array", "prices_as_of('infinity', array"),
    )
    assert known(conn, 1, moment) != rows[1]
