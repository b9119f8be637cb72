"""The EMAs with a row per period: its columns, its differences, and that it reads by index."""

from __future__ import annotations

import pytest

from tests.support import prices

COLUMNS = [
    *("id", "ts", "tf", "period", "ema", "roll", "d1", "d2", "tf_days"),
    *("alignment_source", "calendar_scheme", "tf_id", "available_at"),
]


def store(tx, rows):
    """EMAs of the slots 1 to 3 by asset, timeframe and day."""
    with tx.cursor() as cursor:
        cursor.executemany(
            """
            insert into features.cmc_ema_multi_tf (id, tf_id, time_close, ema)
            values (%s, (select t.tf_id from timemodel.dim_timeframe as t where t.tf = %s), %s, %s)
            """,
            [(asset, tf, prices.ts(day), ema) for (asset, tf, day), ema in rows.items()],
        )


@pytest.mark.parametrize("view", ["cmc_ema_multi_tf_u", "published.cmc_ema_multi_tf_u"])
def test_it_has_a_row_per_period_with_differences_of_closed_bars(tx, view):
    tx.execute("delete from features.dim_ema_periods where slot > 3")
    store(
        tx,
        {
            (1, "2W_CAL_ANCHOR_US", 0): [None, 4.0, 1.0],
            (1, "2W_CAL_ANCHOR_US", 30): [None, 7.0, 1.0],
            (1, "2W_CAL_ANCHOR_US", 44): [8.0, 5.0, 1.0],
            (1, "2W_CAL_ISO", 40): [9.0, 9.0, 9.0],
            (2, "2W_CAL_ANCHOR_US", 40): [9.0, 9.0, 9.0],
        },
    )
    found = tx.execute(f"select * from {view} where id = 1 and tf_id = 180 order by period, ts")
    assert [column.name for column in found.description] == COLUMNS
    rows = found.fetchall()
    tail = (14, "cal_anchor_us", "US", 180)
    at = {day: prices.ts(day) for day in (0, 30, 44)}
    head = {day: (1, ts, "2W_CAL_ANCHOR_US") for day, ts in at.items()}
    assert rows == [
        (*head[0], 6, None, False, None, None, *tail, at[0]),
        (*head[30], 6, None, False, None, None, *tail, at[30]),
        (*head[44], 6, 8.0, False, None, None, *tail, at[44]),
        (*head[0], 9, 4.0, False, None, None, *tail, at[0]),
        (*head[30], 9, 7.0, False, 3.0, None, *tail, at[30]),
        (*head[44], 9, 5.0, False, -2.0, -5.0, *tail, at[44]),
        (*head[0], 10, 1.0, False, None, None, *tail, at[0]),
        (*head[30], 10, 1.0, False, 0.0, None, *tail, at[30]),
        (*head[44], 10, 1.0, False, 0.0, 0.0, *tail, at[44]),
    ]


def test_a_timeframe_s_family_is_its_alignment_source(tx):
    store(
        tx,
        {
            (1, tf, 0): [1.0]
            for tf in (
                *("5D", "1W", "5D_CAL", "1W_CAL_ISO", "1W_CAL_US", "1W_CAL_ANCHOR_ISO"),
                *("1W_CAL_ANCHOR_US", "3M_CAL", "3M_CAL_ANCHOR", "1Y_CAL", "1Y_CAL_ANCHOR"),
            )
        },
    )
    found = tx.execute(
        "select u.tf, u.alignment_source from cmc_ema_multi_tf_u as u where u.period = 6"
    )
    assert dict(found) == {
        "5D": "trading",
        "1W": "trading",
        "5D_CAL": "cal",
        "1W_CAL_ISO": "cal_iso",
        "1W_CAL_US": "cal_us",
        "1W_CAL_ANCHOR_ISO": "cal_anchor_iso",
        "1W_CAL_ANCHOR_US": "cal_anchor_us",
        "3M_CAL": "cal",
        "3M_CAL_ANCHOR": "cal_anchor",
        "1Y_CAL": "cal",
        "1Y_CAL_ANCHOR": "cal_anchor",
    }


def test_a_reader_sees_it(tx):
    store(tx, {(1, "1D", 0): [1.0]})
    tx.execute("set local role ta_lab2_reader")
    found = tx.execute("select u.ema from published.cmc_ema_multi_tf_u as u where u.period = 6")
    assert found.fetchall() == [(1.0,)]


SERIES = """
    select u.ts, u.ema, u.d1, u.d2
    from cmc_ema_multi_tf_u as u
    where u.id = 7 and u.tf = '5D' and u.period = 21
    order by u.ts
"""
LATEST = """
    select u.*
    from bars.dim_assets as a
    cross join lateral (
        select u.id, u.ts, u.ema, u.d1, u.d2
        from cmc_ema_multi_tf_u as u
        where u.id = a.id
          and u.period = 21
          and u.tf_id = (select t.tf_id from dim_timeframe as t where t.tf = '5D')
        order by u.ts desc
        limit 1
    ) as u
"""


def nodes(plan):
    """Every node of a plan."""
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


@pytest.fixture
def many(tx):
    """A market of 60 assets, 12 timeframes and 150 bars of each."""
    for asset in range(1, 61):
        prices.put(tx, asset, {})
    tx.execute(
        """
        insert into features.cmc_ema_multi_tf (id, tf_id, time_close, ema)
        select a, t, '2020-01-01 00:00+00'::timestamptz + n * interval '24 hours',
            array_fill(n * 1.5, array[17])
        from generate_series(1, 60) as a, generate_series(1, 12) as t, generate_series(1, 150) as n
        """
    )
    tx.execute("analyze features.cmc_ema_multi_tf")


@pytest.mark.parametrize(("query", "rows"), [(SERIES, 150), (LATEST, 60)], ids=["series", "latest"])
def test_a_series_and_the_latest_rows_are_read_by_index(tx, many, query, rows):
    plan = tx.execute(f"explain (analyze, format json) {query}").fetchone()[0][0]["Plan"]
    assert plan["Actual Rows"] == rows
    reads = [node for node in nodes(plan) if node.get("Relation Name") == "cmc_ema_multi_tf"]
    assert len(reads) == 3, "the row, and those before it for d1 and for d2"
    for node in reads:
        assert node["Node Type"] in {"Index Scan", "Bitmap Heap Scan"}
        assert "Filter" not in node, "nothing is read in vain"
    found = [node["Index Cond"] for node in nodes(plan) if "_pkey" in node.get("Index Name", "")]
    assert sum("(id = " in condition and "(tf_id = " in condition for condition in found) == 3
    if query is LATEST:
        assert [node["Actual Rows"] for node in reads] == [1, 1, 2], "and no more than needed"


def test_who_wants_no_differences_does_not_pay_for_them(tx, many):
    plan = tx.execute(
        "explain (format json) select u.ts, u.ema from cmc_ema_multi_tf_u as u"
        " where u.id = 7 and u.tf = '5D' and u.period = 21"
    ).fetchone()[0][0]["Plan"]
    reads = [node for node in nodes(plan) if node.get("Relation Name") == "cmc_ema_multi_tf"]
    assert len(reads) == 1
