"""The EMAs with a row per period: its columns, its differences, and that it reads by index."""

from __future__ import annotations

import pytest

from tests.support import contract, prices

COLUMNS = [
    *("id", "ts", "tf", "period", "ema", "roll", "d1", "d2", "tf_days"),
    *("alignment_source", "calendar_scheme", "tf_id", "available_at"),
]


def store(tx, rows):
    """EMAs of the first slots by asset, timeframe and day, each of the closes up to that bar."""
    with tx.cursor() as cursor:
        cursor.executemany(
            """
            insert into features.cmc_ema_multi_tf (
                id, tf_id, time_close, close, close_before, bar_no, ema
            )
            values (
                %s, (select t.tf_id from timemodel.dim_timeframe as t where t.tf = %s), %s,
                %s, %s, %s, %s
            )
            """,
            [
                (asset, tf, prices.ts(day), *[*closes, None][:2], number, ema)
                for (asset, tf, day), (closes, number, ema) in rows.items()
            ],
        )


@pytest.mark.parametrize("view", ["cmc_ema_multi_tf_u", "published.cmc_ema_multi_tf_u"])
def test_it_has_a_row_per_period_with_differences_of_closed_bars(tx, view):
    contract.unread(tx)
    tx.execute("delete from features.dim_ema_periods")
    tx.execute("insert into features.dim_ema_periods (slot, period) values (1, 5), (2, 3)")
    # Closes 4, 6, 8, 16, 10; the average of three goes half of the way.
    store(
        tx,
        {
            (1, "2W_CAL_ANCHOR_US", 2): ([6.0, 4.0], 2, [None, None]),
            (1, "2W_CAL_ANCHOR_US", 16): ([8.0, 6.0], 3, [None, 6.0]),
            (1, "2W_CAL_ANCHOR_US", 30): ([16.0, 8.0], 4, [None, 11.0]),
            (1, "2W_CAL_ANCHOR_US", 44): ([10.0, 16.0], 5, [8.8, 10.5]),
            (1, "2W_CAL_ISO", 40): ([9.0], 1, [9.0, 9.0]),
            (2, "2W_CAL_ANCHOR_US", 40): ([9.0], 1, [9.0, 9.0]),
        },
    )
    found = tx.execute(f"select * from {view} where id = 1 and tf_id = 180 order by period, ts")
    assert [column.name for column in found.description] == COLUMNS
    rows = found.fetchall()
    tail = (14, "cal_anchor_us", "US", 180)
    at = {day: prices.ts(day) for day in (2, 16, 30, 44)}
    head = {day: (1, ts, "2W_CAL_ANCHOR_US") for day, ts in at.items()}
    assert rows == [
        (*head[2], 3, None, False, None, None, *tail, at[2]),
        (*head[16], 3, 6.0, False, None, None, *tail, at[16]),
        (*head[30], 3, 11.0, False, 5.0, None, *tail, at[30]),
        (*head[44], 3, 10.5, False, -0.5, -5.5, *tail, at[44]),
        (*head[2], 5, None, False, None, None, *tail, at[2]),
        (*head[16], 5, None, False, None, None, *tail, at[16]),
        (*head[30], 5, None, False, None, None, *tail, at[30]),
        (*head[44], 5, 8.8, False, None, None, *tail, at[44]),
    ]


@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e12])
def test_the_differences_are_those_of_the_averages_to_their_last_digits(tx, scale):
    contract.put(tx, 1, {n: x * scale for n, x in contract.history(900).items()})
    tx.execute("insert into features.refresh_state (id) values (1)")
    tx.execute("insert into features.dim_ema_periods (slot, period) values (18, 2)")
    tx.execute("select features.refresh_asset(1)")
    rows, known, others, far = tx.execute(
        """
        select
            count(*),
            count(u.d2),
            count(*) filter (
                where (u.d1 is null) <> (n.d1 is null) or (u.d2 is null) <> (n.d2 is null)
            ),
            max(greatest(abs(u.d1 - n.d1), abs(u.d2 - n.d2)) / u.largest)
        from (
            select
                u.*,
                greatest(
                    u.ema, lag(u.ema, 1) over bars_before, lag(u.ema, 2) over bars_before
                ) as largest,
                u.ema - lag(u.ema, 1) over bars_before as first,
                lag(u.ema, 1) over bars_before - lag(u.ema, 2) over bars_before as earlier
            from cmc_ema_multi_tf_u as u
            window bars_before as (partition by u.id, u.tf_id, u.period order by u.ts)
        ) as u
        cross join lateral (select u.first as d1, u.first - u.earlier as d2) as n
        """
    ).fetchone()
    assert rows > 100_000
    assert known > 50_000
    assert others == 0
    # In units of the last place of the largest average: 2.2e-16.
    assert far < 1e-15


def test_a_timeframe_s_family_is_its_alignment_source(tx):
    store(
        tx,
        {
            (1, tf, 0): ([1.0], 1, [1.0])
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
    store(tx, {(1, "1D", 0): ([1.0], 1, [1.0])})
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
        insert into features.cmc_ema_multi_tf (
            id, tf_id, time_close, close, close_before, bar_no, ema
        )
        select a, t, '2020-01-01 00:00+00'::timestamptz + n * interval '24 hours', n, n - 1, n,
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
    assert len(reads) == 1, "the row tells its differences itself"
    assert reads[0]["Node Type"] in {"Index Scan", "Bitmap Heap Scan"}
    assert "Filter" not in reads[0], "nothing is read in vain"
    assert reads[0]["Actual Rows"] * reads[0]["Actual Loops"] == rows, "and no more than needed"
    found = [node["Index Cond"] for node in nodes(plan) if "_pkey" in node.get("Index Name", "")]
    assert sum("(id = " in condition and "(tf_id = " in condition for condition in found) == 1
