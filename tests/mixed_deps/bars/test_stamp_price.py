"""When a candle was stored: whatever client writes it, and whatever it says."""

from __future__ import annotations

import psycopg
import pytest

from tests.support import prices

PUT = """
    insert into bars.cmc_price_histories7 (id, ts, open, high, low, close{column})
    values (%s, %s, 1, 1, 1, 1{value})
"""


def put(conn, number, value=None, *, asset=1):
    column = ", recorded_at" if value else ""
    statement = PUT.format(column=column, value=f", {value}" if value else "")
    conn.execute(statement, (asset, prices.ts(number)))


def stamps(conn):
    """Whether each candle, by day, has the moment that price_state keeps for its transaction."""
    return conn.execute(
        """
        select p.recorded_at = t.recorded_at
        from bars.cmc_price_histories7 as p
        join bars.price_state as t using (id)
        order by p.ts
        """
    ).fetchall()


@pytest.fixture
def conn(own_db, autocommit):
    conn = autocommit(own_db)
    conn.execute("insert into bars.dim_assets (id, symbol, slug) values (1, 'A', 'a')")
    return conn


@pytest.mark.parametrize(
    "said", [None, "null", "now()", "'2001-01-01'", "now() + '1 day'::interval"]
)
def test_a_stamp_is_the_databases_whatever_a_client_says(conn, said):
    with conn.transaction():
        put(conn, 0, said)
        assert stamps(conn) == [(True,)]
        assert conn.execute(
            "select p.recorded_at = now() from bars.cmc_price_histories7 as p"
        ).fetchall() == [(True,)]


@pytest.mark.parametrize("said", [None, "'2001-01-01'"])
def test_who_began_earlier_and_writes_later_is_stamped_later(own_db, conn, said):
    with psycopg.connect(own_db) as early:
        early.execute("select now()")
        put(conn, 0)
        put(early, 1, said)
        early.commit()
    assert conn.execute(
        """
        select b.recorded_at - a.recorded_at = interval '1 microsecond'
        from bars.cmc_price_histories7 as a
        join bars.cmc_price_histories7 as b on b.ts > a.ts
        """
    ).fetchone() == (True,)


def test_a_stamp_given_that_cannot_be_right_is_refused_and_nothing_is_stored(own_db, conn):
    with psycopg.connect(own_db) as early:
        early.execute("select now()")
        put(conn, 0)
        with pytest.raises(psycopg.errors.SerializationFailure, match="began later"):
            put(early, 1, "now()")
    assert stamps(conn) == [(True,)]


@pytest.mark.parametrize("said", [None, "now()"])
def test_a_candle_of_no_asset_is_refused(conn, said):
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        put(conn, 0, said, asset=2)


def test_an_asset_with_candles_stays(conn):
    put(conn, 0)
    conn.execute("delete from bars.dirty_range")
    for change in ("delete from bars.dim_assets", "update bars.dim_assets set id = 2"):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            conn.execute(change)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        conn.execute("update bars.cmc_price_histories7 set id = 2")


def test_an_update_that_changes_nothing_keeps_the_stamp(conn):
    put(conn, 0)
    conn.execute("update bars.cmc_price_histories7 set close = 1, recorded_at = '2001-01-01'")
    assert stamps(conn) == [(True,)]
