"""Rows that close no bar are found, in whatever relation they stand."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ta_lab2.errors import translated
from ta_lab2.timemodel.errors import NothingToCheck

FILL = """
    insert into pg_temp.made (id, session_id, first_session, tf_id, time_close)
    select %(id)s, %(session)s, %(first)s, t.tf_id, w.time_close
    from timemodel.dim_timeframe as t
    cross join lateral timemodel.timeframe_windows(
        t.tf_id, %(session)s, %(first)s, %(first)s, %(last)s
    ) as w
"""


@pytest.fixture
def conn(equity):
    """An equity and a coin with all their bars of 2023."""
    equity.execute(
        """
        create temp table made (
            id integer, session_id text, first_session date, tf_id integer, time_close timestamptz
        )
        """
    )
    for asset, session, first in ((1, "CRYPTO", "2023-01-04"), (2, "EQUITY", "2023-01-04")):
        equity.execute(
            FILL, {"id": asset, "session": session, "first": first, "last": "2023-12-29"}
        )
    return equity


def faults(conn, relation="pg_temp.made"):
    return conn.execute(
        "select c.id, c.tf, c.ts from timemodel.check_alignment(%s::regclass) as c", (relation,)
    ).fetchall()


def test_what_ends_with_its_window_has_no_fault(conn):
    assert conn.execute("select count(*) > 4000 from pg_temp.made").fetchone() == (True,)
    assert faults(conn) == []


@pytest.mark.parametrize(
    "shift",
    [timedelta(milliseconds=1), timedelta(milliseconds=-1), timedelta(hours=-3), timedelta(days=1)],
)
def test_a_row_that_ends_elsewhere_is_found(conn, shift):
    ends = conn.execute(
        """
        update pg_temp.made as m
        set time_close = m.time_close + %s
        from timemodel.timeframe('1W_CAL_ISO') as t
        where m.tf_id = t.tf_id and m.time_close between '2023-11-20' and '2023-11-27'
        returning m.id, t.tf, m.time_close
        """,
        (shift,),
    ).fetchall()
    assert len(ends) == 2
    assert faults(conn) == sorted(ends)


def test_the_first_candle_decides_what_is_aligned(conn):
    conn.execute("update pg_temp.made as m set first_session = '2023-01-05' where m.id = 2")
    week_later = datetime(2023, 1, 12, tzinfo=UTC)
    found = {tf for _, tf, ts in faults(conn) if ts > week_later}
    assert {"2D", "5D", "1W", "200D"} <= found
    assert all(re.fullmatch(r"\d+[DW]", tf) for tf in found)
    assert "1D" not in found


def test_a_view_with_names_and_ts_is_checked_too(conn):
    conn.execute(
        """
        create temp view named as
        select m.id, m.session_id, m.first_session, t.tf, m.time_close as ts
        from pg_temp.made as m
        join timemodel.dim_timeframe as t on t.tf_id = m.tf_id
        where t.base_unit = 'M'
        union all
        select 1, 'CRYPTO', '2023-01-04', '1M_CAL', '2023-03-30 23:59:59.999+00'
        """
    )
    assert faults(conn, "named") == [
        (1, "1M_CAL", datetime(2023, 3, 30, 23, 59, 59, 999000, tzinfo=UTC))
    ]


def test_a_row_of_no_known_timeframe_is_a_fault(conn):
    conn.execute("update pg_temp.made as m set tf_id = 999 where m.tf_id = 199 and m.id = 2")
    assert [(asset, tf) for asset, tf, _ in faults(conn)] == [(2, None)]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("id integer, session_id text, tf_id integer, time_close timestamptz", "first_session"),
        ("tf text, ts timestamptz", "id, session_id, first_session"),
        (
            "id integer, session_id text, first_session date, tf text, time_close timestamptz",
            "tf_id and time_close, or tf and ts",
        ),
        ("", "id, session_id, first_session"),
    ],
)
def test_a_relation_without_the_columns_is_refused_and_told_which(tx, columns, said):
    tx.execute(f"create temp table other ({columns})")
    refused = pytest.raises(NothingToCheck, match="no columns that could be checked")
    with refused as raised, translated():
        faults(tx, "other")
    assert raised.value.detail == f"It lacks {said}."


def test_it_reads_only_what_its_caller_may_read(conn):
    conn.execute("set local role ta_lab2_research")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        faults(conn)
