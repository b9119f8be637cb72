"""A ``dim_`` table is read as it stood at a moment."""

from __future__ import annotations

import psycopg
import pytest

from ta_lab2.db.errors import BeforeHistory, MomentMissing, NoHistory
from ta_lab2.errors import translated


def periods(conn: psycopg.Connection, at: object) -> list[int]:
    return [
        period
        for (period,) in conn.execute(
            "select s.period from db.as_it_stood(null::features.dim_ema_periods, %s) as s"
            " order by s.slot",
            (at,),
        )
    ]


def test_a_period_that_was_added_is_not_there_before(own_db, autocommit) -> None:
    conn = autocommit(own_db)
    before = conn.execute("select now()").fetchone()[0]
    conn.execute("insert into features.dim_ema_periods (period) values (42)")
    after = conn.execute("select now()").fetchone()[0]
    assert 42 not in periods(conn, before)
    assert periods(conn, after) == [*periods(conn, before), 42]


def test_all_columns_have_their_types(tx: psycopg.Connection) -> None:
    assert (
        tx.execute(
            "select s.* from db.as_it_stood(null::timemodel.dim_sessions, now()) as s order by 1"
        ).fetchall()
        == tx.execute("select s.* from timemodel.dim_sessions as s order by 1").fetchall()
    )


def test_it_works_unqualified_and_for_research(own_db) -> None:
    with psycopg.connect(own_db) as conn:
        conn.execute("set role ta_lab2_research")
        found = conn.execute("select tf from as_it_stood(null::dim_timeframe, now())").fetchall()
        assert len(found) == 199


def test_a_moment_before_its_history_is_an_error_that_names_it(tx: psycopg.Connection) -> None:
    with pytest.raises(BeforeHistory, match="dim_ema_periods") as caught, translated():
        periods(tx, "2020-01-01")
    assert "It began at 2" in caught.value.detail


def test_no_moment_is_an_error(tx: psycopg.Connection) -> None:
    with pytest.raises(MomentMissing), translated():
        periods(tx, None)


@pytest.mark.parametrize("table", ["null::integer", "null::timemodel.session_calendar"])
def test_what_keeps_no_history_is_refused_with_what_does(tx, table) -> None:
    with pytest.raises(NoHistory) as caught, translated():
        tx.execute(f"select * from db.as_it_stood({table}, now())")
    assert "dim_ema_periods" in caught.value.detail


def test_columns_of_today_are_null_where_they_were_not_yet(own_db, autocommit) -> None:
    conn = autocommit(own_db)
    before = conn.execute("select now()").fetchone()[0]
    conn.execute("alter table bars.dim_sources add column tier integer default 3")
    conn.execute("select db.keep_histories()")
    query = "select distinct s.tier from db.as_it_stood(null::bars.dim_sources, %s) as s"
    assert conn.execute(query, (before,)).fetchall() == [(None,)]
    assert conn.execute(query, ("infinity",)).fetchall() == [(3,)]
