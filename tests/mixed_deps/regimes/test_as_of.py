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
