"""One asset's technical indicators as they are stored: what the kernels' own tests can't see."""

from __future__ import annotations

import math

import psycopg
import pytest

from ta_lab2.features.tables import cmc_ta_daily
from tests.support import contract, indicators, prices
from tests.support import naive_indicators as naive

COLUMNS = [column.name for column in cmc_ta_daily.columns]
FIXED = COLUMNS[:5]


def refresh(conn, asset=1):
    conn.execute(
        "insert into features.refresh_state (id) values (%s) on conflict do nothing", [asset]
    )
    conn.execute("select features.prepare_indicators()")
    return conn.execute(
        """
        select coalesce(sum(c.rows_read), 0), coalesce(sum(c.rows_written), 0),
            coalesce(sum(c.rows_unchanged), 0)
        from features.refresh_assets(array[%s]) as c
        where c.feature_type = 'indicators'
        """,
        (asset,),
    ).fetchone()


def table(conn, asset=1):
    """The rows by ts, each by column."""
    found = conn.execute(
        "select t.* from features.cmc_ta_daily as t where t.id = %s order by t.ts", (asset,)
    )
    names = [column.name for column in found.description]
    return {row[1]: dict(zip(names, row, strict=True)) for row in found}


def add(conn, kind, params="{}"):
    return conn.execute(
        "insert into features.dim_indicators (kind, params) values (%s, %s) returning indicator_id",
        (kind, params),
    ).fetchone()[0]


def switch(conn, column, on):
    conn.execute(
        "update features.dim_indicators set is_active = %s where %s = any (columns)", (on, column)
    )


def policy(conn, name):
    conn.execute(
        "update features.dim_features set null_policy = %s where feature_type = 'indicators'",
        (name,),
    )


def daily(days):
    """Closes of so many days, none of them missing."""
    return {n: contract.price(n, 1) for n in range(days)}


def rows_of(closes, shape=1):
    """Candles of the contract's making, as the naive indicators take them."""
    return [contract.candle(1, n, close, shape)[2:7] for n, close in closes.items()]


def test_the_kernel_writes_the_columns_in_the_table_s_order(tx):
    columns = tx.execute("select * from features.cmc_ta_daily limit 0").description
    assert [column.name for column in columns] == COLUMNS


def test_the_seeds_are_what_the_trigger_would_make_of_them(tx):
    found = tx.execute(
        """
        select i.params = indicators.parameters(i.kind, i.params),
            i.columns = indicators.column_names(i.kind, i.params)
        from features.dim_indicators as i
        """
    ).fetchall()
    assert found == [(True, True)] * 9
    names = tx.execute("select unnest(i.columns) from features.dim_indicators as i").fetchall()
    assert sorted(name for (name,) in names) == sorted(COLUMNS[len(FIXED) :])


def test_stored_rows_agree_with_the_slow_way(tx):
    closes = daily(130)
    contract.put(tx, 1, closes)
    refresh(tx)
    found = table(tx)
    assert list(found) == [prices.ts(n) for n in closes]
    candles = rows_of(closes)
    seeds = tx.execute(
        "select i.kind, i.params, i.columns from features.dim_indicators as i"
    ).fetchall()
    for kind, params, columns in seeds:
        for column, values in zip(columns, getattr(naive, kind)(candles, **params), strict=True):
            for number, value in zip(closes, values, strict=True):
                got = found[prices.ts(number)][column]
                assert (got is None) == (value is None), (number, column)
                if value is not None:
                    assert math.isclose(got, value, rel_tol=1e-9, abs_tol=1e-9), (number, column)
    for ts, row in found.items():
        assert row["available_at"] == ts
        assert not row["is_gap"]
        assert not row["is_filled"]


def test_no_row_holds_nan_or_infinity(tx):
    for shape in (0, 2):
        contract.put(tx, 1, contract.history(60, shape), shape)
        refresh(tx)
        for row in table(tx).values():
            assert all(x is None or math.isfinite(x) for x in list(row.values())[len(FIXED) :])


def test_an_asset_may_have_no_candle_or_one(tx):
    prices.put(tx, 1, {})
    refresh(tx)
    assert table(tx) == {}
    contract.put(tx, 1, {5: 50.0})
    refresh(tx)
    (row,) = table(tx).values()
    assert set(list(row.values())[len(FIXED) :]) == {None}
    assert (row["is_gap"], row["is_filled"]) == (False, False)
    prices.drop(tx, 1, [5])
    refresh(tx)
    assert table(tx) == {}


def test_a_hole_is_bridged_by_a_straight_line_known_with_its_end(tx):
    closes = daily(40)
    contract.put(tx, 1, closes)
    contract.put(tx, 1, {88: 70.0})
    refresh(tx)
    found = table(tx)
    assert list(found) == [prices.ts(n) for n in range(89)]
    before, after = found[prices.ts(39)], found[prices.ts(88)]
    for n in range(40, 88):
        row = found[prices.ts(n)]
        assert row["is_gap"]
        assert row["is_filled"]
        assert row["available_at"] == prices.ts(88)
        for name in COLUMNS[len(FIXED) :]:
            expected = before[name] + (after[name] - before[name]) * (n - 39) / 49
            assert row[name] == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_line_needs_both_ends_and_a_warm_up_has_none(tx):
    contract.put(tx, 1, daily(7) | {9: 55.0, 12: 56.0})
    refresh(tx)
    found = table(tx)
    # rsi_7 has its first value at the eighth candle, which is day 9.
    assert found[prices.ts(9)]["rsi_7"] is not None
    for n in (7, 8):
        row = found[prices.ts(n)]
        assert (row["is_gap"], row["is_filled"], row["rsi_7"]) == (True, False, None)
        assert row["available_at"] == row["ts"]
    for n in (10, 11):
        row = found[prices.ts(n)]
        assert (row["is_filled"], row["atr_14"]) == (True, None)
        assert row["rsi_7"] is not None
        assert row["available_at"] == prices.ts(12)


def test_the_policy_is_data_and_its_change_works_all_out_anew(tx):
    contract.put(tx, 1, daily(60) | {63: 70.0})
    refresh(tx)
    line = table(tx)
    policy(tx, "forward_fill")
    refresh(tx)
    repeated = table(tx)
    for n in (60, 61, 62):
        row = repeated[prices.ts(n)]
        moment = {"ts": prices.ts(n), "available_at": prices.ts(n)}
        assert row == repeated[prices.ts(59)] | moment | {"is_gap": True, "is_filled": True}
    policy(tx, "skip")
    refresh(tx)
    for n in (60, 61, 62):
        row = table(tx)[prices.ts(n)]
        assert (row["is_gap"], row["is_filled"], row["available_at"]) == (
            True,
            False,
            prices.ts(n),
        )
        assert {row[name] for name in COLUMNS[len(FIXED) :]} == {None}
    policy(tx, "interpolate")
    refresh(tx)
    assert table(tx) == line


# --- configuration -----------------------------------------------------------------------------


def test_a_new_row_adds_its_column_and_its_history_and_touches_no_other(tx):
    closes = contract.history(120)
    contract.put(tx, 1, closes)
    refresh(tx)
    before = table(tx)
    add(tx, "rsi", '{"period": 28}')
    _, written, unchanged = refresh(tx)
    after = table(tx)
    assert {
        ts: {k: v for k, v in row.items() if k != "rsi_28"} for ts, row in after.items()
    } == before
    run, _ = indicators.worked_out("rsi", {"period": 28}, rows_of(closes))
    for number, value in zip(closes, run["rsi"], strict=True):
        got = after[prices.ts(number)]["rsi_28"]
        assert got == (None if math.isnan(value) else value)
    assert written == sum(row["rsi_28"] is not None for row in after.values())
    assert unchanged == len(after) - written
    assert refresh(tx) == (0, 0, 0)


def test_only_the_new_indicator_is_worked_out(tx):
    """Rows of the others are not even made: what stands in them is carried over."""
    contract.put(tx, 1, contract.history(60))
    refresh(tx)
    tx.execute("update features.cmc_ta_daily set rsi_7 = 0.5 where ts = %s", (prices.ts(30),))
    add(tx, "atr", '{"period": 5}')
    refresh(tx)
    assert table(tx)[prices.ts(30)]["rsi_7"] == 0.5


def test_a_new_indicator_and_a_new_candle_come_together(tx):
    closes = contract.history(90)
    contract.put(tx, 1, closes)
    refresh(tx)
    add(tx, "bollinger", '{"period": 10, "deviations": 2.5}')
    contract.put(tx, 1, {93: 60.0})
    refresh(tx)
    found = table(tx)
    assert found[prices.ts(93)]["bb_upper_10_2p5"] is not None
    tx.execute("delete from features.cmc_ta_daily")
    tx.execute("delete from features.feature_state")
    refresh(tx)
    assert table(tx) == found


def test_a_new_indicator_and_a_revised_candle_come_together(tx):
    closes = contract.history(90)
    contract.put(tx, 1, closes)
    refresh(tx)
    add(tx, "rsi", '{"period": 5}')
    contract.put(tx, 1, {80: 60.0})
    refresh(tx)
    found = table(tx)
    assert found[prices.ts(20)]["rsi_5"] is not None
    tx.execute("delete from features.cmc_ta_daily")
    tx.execute("delete from features.feature_state")
    refresh(tx)
    assert table(tx) == found


def test_a_shorter_warm_up_fills_an_earlier_gap(tx):
    contract.put(tx, 1, {n: 50.0 + n % 3 for n in range(4)} | {6: 51.0, 7: 50.0})
    refresh(tx)
    assert not table(tx)[prices.ts(5)]["is_filled"]
    add(tx, "rsi", '{"period": 2}')
    refresh(tx)
    row = table(tx)[prices.ts(5)]
    assert (row["is_filled"], row["available_at"]) == (True, prices.ts(6))


def test_a_row_that_is_switched_off_keeps_its_column_and_stops(tx):
    contract.put(tx, 1, daily(60))
    refresh(tx)
    before = table(tx)
    switch(tx, "rsi_21", False)
    contract.put(tx, 1, {60: 55.0, 61: 56.0, 30: 99.0})
    refresh(tx)
    found = table(tx)
    assert all(found[ts]["rsi_21"] == row["rsi_21"] for ts, row in before.items())
    assert [found[prices.ts(n)]["rsi_21"] for n in (60, 61)] == [None, None]
    assert found[prices.ts(61)]["rsi_14"] is not None
    switch(tx, "rsi_21", True)
    refresh(tx)
    found = table(tx)
    assert all(found[prices.ts(n)]["rsi_21"] is not None for n in range(21, 62))
    tx.execute("delete from features.cmc_ta_daily")
    tx.execute("delete from features.feature_state")
    refresh(tx)
    assert table(tx) == found


def test_all_may_be_switched_off(tx):
    contract.put(tx, 1, contract.history(60))
    refresh(tx)
    before = table(tx)
    contract.unread(tx)
    tx.execute("update features.dim_indicators set is_active = false")
    contract.put(tx, 1, {60: 55.0})
    refresh(tx)
    found = table(tx)
    assert {ts: row for ts, row in found.items() if ts < prices.ts(60)} == before
    assert {found[prices.ts(60)][name] for name in COLUMNS[len(FIXED) :]} == {None}
    tx.execute("update features.dim_indicators set is_active = true")
    refresh(tx)
    assert table(tx)[prices.ts(60)]["adx_14"] is not None


@pytest.mark.parametrize(
    ("kind", "params", "state", "says"),
    [
        ("rsi", '{"period": 0}', "TA304", "period must be a whole number from 2 to 1000 for rsi"),
        ("rsi", '{"period": -1}', "TA304", "period must be a whole number from 2 to 1000 for rsi"),
        ("rsi", '{"period": 10000}', "TA304", "period must be a whole number from 2 to 1000"),
        ("rsi", '{"period": "28"}', "TA304", "period must be a whole number from 2 to 1000"),
        ("rsi", '{"length": 28}', "TA303", 'rsi has no parameter "length"'),
        ("rsi", "[28]", "TA302", "the parameters of rsi are no object"),
        ("RSI", "{}", "TA301", 'there is no indicator "RSI"'),
    ],
)
def test_an_impossible_row_is_refused(tx, kind, params, state, says):
    with pytest.raises(psycopg.Error, match=says) as caught:
        add(tx, kind, params)
    assert caught.value.sqlstate == state


def test_no_indicator_stands_twice(tx):
    with pytest.raises(psycopg.errors.UniqueViolation):
        add(tx, "rsi", '{"period": 14.0}')


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("update {} set params = '{{\"period\": 15}}'", "TA412"),
        ("update {} set kind = 'atr'", "TA412"),
        ("update {} set columns = '{{x}}'", "TA412"),
        ("update {} set indicator_id = 99", "TA412"),
        ("delete from {}", "TA411"),
    ],
)
def test_a_row_in_use_stays_what_it_is(tx, change, state):
    with pytest.raises(psycopg.Error) as caught:
        tx.execute(change.format("features.dim_indicators") + " where columns[1] = 'rsi_14'")
    assert caught.value.sqlstate == state
    assert caught.value.diag.message_hint


def test_a_row_that_is_not_in_use_yet_may_be_mended(tx):
    number = add(tx, "rsi", '{"period": 28}')
    tx.execute(
        "update features.dim_indicators set params = '{\"period\": 30}' where indicator_id = %s",
        (number,),
    )
    tx.execute("select features.prepare_indicators()")
    assert "rsi_30" in [
        c.name for c in tx.execute("select * from features.cmc_ta_daily limit 0").description
    ]
    other = add(tx, "rsi", '{"period": 31}')
    tx.execute("delete from features.dim_indicators where indicator_id = %s", (other,))


def test_only_the_configured_columns_can_be_added(tx):
    with pytest.raises(psycopg.Error, match="has no active row") as caught:
        tx.execute("select features._add_column('rsi', '{\"period\": 99}')")
    assert caught.value.sqlstate == "TA413"


def test_an_added_column_is_a_nullable_number_with_a_comment(tx):
    add(tx, "rsi", '{"period": 28}')
    tx.execute("select features.prepare_indicators()")
    found = tx.execute(
        """
        select a.attname, a.atttypid::regtype::text, a.attnotnull,
            col_description(a.attrelid, a.attnum)
        from pg_attribute as a
        where a.attrelid = 'features.cmc_ta_daily'::regclass and a.attnum > %s
        """,
        (len(COLUMNS),),
    ).fetchall()
    assert found == [
        (
            "rsi_28",
            "double precision",
            False,
            "Relative strength index, Wilder's: 0 to 100."
            " Parameters: period 28. Null in its warm-up.",
        )
    ]


def test_the_columns_are_those_of_the_configuration(tx):
    add(tx, "atr", '{"period": 5}')
    tx.execute("select features.prepare_indicators()")
    standing = [
        c.name for c in tx.execute("select * from features.cmc_ta_daily limit 0").description
    ]
    configured = tx.execute("select unnest(i.columns) from features.dim_indicators as i").fetchall()
    assert sorted(standing[len(FIXED) :]) == sorted(name for (name,) in configured)


def test_the_published_view_has_added_columns_in_extra(tx):
    contract.put(tx, 1, contract.history(60))
    refresh(tx)
    view = "select v.* from published.cmc_ta_daily as v order by v.ts desc limit 1"
    found = tx.execute(view)
    assert [c.name for c in found.description] == [*COLUMNS, "extra"]
    assert found.fetchone()[-1] == {}
    add(tx, "rsi", '{"period": 28}')
    refresh(tx)
    assert tx.execute(view).fetchone()[-1] == {"rsi_28": table(tx)[prices.ts(59)]["rsi_28"]}


def test_a_column_that_cannot_come_now_comes_with_a_later_refresh(own_db, autocommit):
    conn, reader = autocommit(own_db), autocommit(own_db)
    contract.only(conn, ())
    contract.put(conn, 1, contract.history(60))
    contract.refresh(conn)
    with reader.transaction():
        reader.execute("select 1 from features.cmc_ta_daily limit 1")
        add(conn, "rsi", '{"period": 28}')
        lines = contract.refresh(conn)
        assert any("cmc_ta_daily is busy, rsi_28 waits" in line for line in lines)
    assert "rsi_28" not in table(conn)[prices.ts(59)]
    contract.refresh(conn)
    assert table(conn)[prices.ts(59)]["rsi_28"] is not None
    assert conn.execute("select count(*) from bars.dirty_range").fetchone() == (0,)


def test_a_candle_beyond_numbers_is_refused_by_name(tx):
    contract.put(tx, 1, contract.history(30))
    tx.execute("update bars.cmc_price_histories7 set volume = 1e200 where ts = %s", (prices.ts(3),))
    with pytest.raises(psycopg.Error, match="beyond what indicators can be worked out") as caught:
        tx.execute("select features.refresh_indicators('{1}', '{-infinity}')")
    assert caught.value.sqlstate == "TA414"
    assert "2020-12-11" in caught.value.diag.message_detail


def test_a_new_day_reads_one_candle(tx):
    contract.put(tx, 1, contract.history(300))
    refresh(tx)
    contract.put(tx, 1, {300: 60.0})
    found = tx.execute(
        "select d.rows_read, d.rows_written from features.refresh_indicators('{1}', %s) as d",
        ([prices.ts(300)],),
    ).fetchone()
    assert found == (1, 1)
