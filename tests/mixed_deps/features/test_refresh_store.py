"""The daily feature store: each column is its source's, and a change of any source arrives."""

from __future__ import annotations

import json
import re

import pytest

from ta_lab2.features import tables
from tests.support import contract, prices

STORE = [column.name for column in tables.cmc_daily_features.columns]
#: Where a name of a source is another one in the store.
RENAMED = {
    tables.cmc_returns_daily: lambda name: re.sub("^outlier", "ret_outlier", name),
    tables.cmc_vol_daily: lambda name: {"atr_14": "vol_atr_14", "is_filled": "vol_is_filled"}.get(
        name, name
    ),
    tables.cmc_ta_daily: lambda name: {"is_filled": "ta_is_filled"}.get(name, name),
}
KEY = {"id", "ts", "available_at", "is_gap"}


def refresh(conn, asset=1):
    conn.execute(
        "insert into features.refresh_state (id) values (%s) on conflict do nothing", [asset]
    )
    conn.execute("select features.prepare_indicators()")
    conn.execute("select features.refresh_asset(%s)", (asset,))


def read(conn, table, asset=1):
    """An asset's rows by ts, each by column."""
    cursor = conn.execute(f"select s.* from {table} as s where s.id = %s order by s.ts", (asset,))
    names = [column.name for column in cursor.description]
    return {row[1]: dict(zip(names, row, strict=True)) for row in cursor}


def store(conn, asset=1):
    return read(conn, "features.cmc_daily_features", asset)


def test_the_columns_are_in_the_order_that_is_described(tx):
    columns = tx.execute("select * from features.cmc_daily_features limit 0").description
    assert [column.name for column in columns] == STORE


def test_every_column_has_what_its_source_has(tx):
    contract.put(tx, 1, contract.history(330))
    refresh(tx)
    found = store(tx)
    compared = {"id", "ts", "available_at", "asset_class", "is_gap", "is_filled", "extra"}
    sources = [read(tx, str(table)) for table in RENAMED]
    for table, source in zip(RENAMED, sources, strict=True):
        assert source.keys() == found.keys()
        names = {c.name: RENAMED[table](c.name) for c in table.columns if c.name not in KEY}
        compared |= set(names.values())
        for ts, row in source.items():
            assert {names[n]: row[n] for n in names} == {n: found[ts][n] for n in names.values()}
            assert row["is_gap"] == found[ts]["is_gap"]
    candles = read(tx, "bars.cmc_price_histories7")
    fields = ("open", "high", "low", "close", "volume", "market_cap")
    compared |= set(fields)
    periods = dict(tx.execute("select p.period, p.slot from features.dim_ema_periods as p"))
    emas = dict(
        tx.execute(
            """
            select e.time_close, e.ema
            from features.cmc_ema_multi_tf as e
            join timemodel.dim_timeframe as t using (tf_id)
            where t.tf = '1D'
            """
        ).fetchall()
    )
    pivot = (9, 10, 21, 50, 200)
    compared |= {f"ema_{n}" for n in pivot}
    for ts, row in found.items():
        candle = candles.get(ts, dict.fromkeys(fields))
        assert [row[name] for name in fields] == [candle[name] for name in fields]
        for n in pivot:
            assert row[f"ema_{n}"] == (emas[ts][periods[n] - 1] if ts in emas else None)
        assert row["available_at"] == max(source[ts]["available_at"] for source in sources)
        assert row["asset_class"] == "CRYPTO"
        assert row["extra"] is None
        assert row["is_filled"] == bool(row["vol_is_filled"] or row["ta_is_filled"])
    assert compared == set(STORE)


def test_a_session_without_a_candle_has_what_policies_fill_and_no_price(tx):
    contract.put(tx, 1, {n: 50.0 + n % 7 for n in range(60)} | {63: 55.0})
    refresh(tx)
    found = store(tx)
    last, gap, following = (found[prices.ts(n)] for n in (59, 61, 63))
    assert gap["is_gap"]
    assert gap["is_filled"]
    assert gap["vol_is_filled"]
    assert gap["ta_is_filled"]
    for name in ("open", "close", "volume", "ret_pct_1", "ema_9", "ema_50"):
        assert gap[name] is None, name
    assert last["ema_9"] is not None
    assert gap["parkinson_20"] == last["parkinson_20"] is not None
    between = sorted([last["rsi_14"], following["rsi_14"]])
    assert between[0] < gap["rsi_14"] < between[1]
    # The straight line to the next candle is not known before that candle.
    assert gap["available_at"] == prices.ts(63)
    assert last["available_at"] == prices.ts(59)


def test_a_candle_that_only_its_volume_changes_rewrites_its_row_alone(tx):
    closes = contract.history(60)
    contract.put(tx, 1, closes)
    refresh(tx)
    before = store(tx)
    tx.execute(
        "update bars.cmc_price_histories7 set market_cap = 7 where id = 1 and ts = %s",
        (prices.ts(30),),
    )
    refresh(tx)
    after = store(tx)
    assert {ts for ts in after if after[ts] != before[ts]} == {prices.ts(30)}
    assert after[prices.ts(30)]["market_cap"] == 7


def test_an_indicator_that_is_added_stands_in_extra(tx):
    contract.put(tx, 1, contract.history(60))
    contract.put(tx, 2, contract.history(9))
    for asset in (1, 2):
        refresh(tx, asset)
    before = store(tx)
    tx.execute(
        """insert into features.dim_indicators (kind, params) values ('rsi', '{"period": 28}')"""
    )
    for asset in (1, 2):
        refresh(tx, asset)
    after = store(tx)
    source = read(tx, "features.cmc_ta_daily")
    assert source[prices.ts(59)]["rsi_28"] is not None
    for ts, row in after.items():
        value = source[ts]["rsi_28"]
        assert row == before[ts] | {"extra": None if value is None else {"rsi_28": value}}
    text = tx.execute(
        "select (f.extra ->> 'rsi_28')::float8 from features.cmc_daily_features as f"
        " where f.id = 1 and f.ts = %s",
        (prices.ts(59),),
    ).fetchone()
    assert text == (source[prices.ts(59)]["rsi_28"],)
    # Where it has no value yet the row is what a full build makes it.
    assert all(row["extra"] is None for row in store(tx, 2).values())


def test_a_source_that_changes_by_configuration_wakes_the_store(tx):
    contract.put(tx, 1, contract.history(40))
    refresh(tx)
    before = store(tx)
    tx.execute(
        "update timemodel.dim_sessions set annualisation_days = 91 where session_id = 'CRYPTO'"
    )
    refresh(tx)
    after, source = store(tx), read(tx, "features.cmc_vol_daily")
    assert after[prices.ts(39)]["parkinson_20"] != before[prices.ts(39)]["parkinson_20"]
    for ts, row in after.items():
        assert row["parkinson_20"] == source[ts]["parkinson_20"]


def test_without_the_daily_timeframe_there_are_no_emas(tx):
    tx.execute("update timemodel.dim_timeframe set is_active = tf = '7D'")
    contract.put(tx, 1, contract.history(60))
    refresh(tx)
    found = store(tx)
    assert len(found) == 60
    assert all(row["ema_9"] is None for row in found.values())
    assert found[prices.ts(59)]["rsi_14"] is not None
    due = "select count(*) from features.due('{1}', false, features.fingerprints())"
    assert tx.execute(due).fetchone() == (0,)


def test_an_asset_without_candles_has_no_rows(tx):
    contract.put(tx, 1, dict.fromkeys(range(9), 5.0))
    refresh(tx)
    prices.drop(tx, 1, range(9))
    refresh(tx)
    assert store(tx) == {}


LATEST = """
select f.id, f.close, f.rsi_14
from bars.dim_assets as a
cross join lateral (
    select f.*
    from features.cmc_daily_features as f
    where f.id = a.id
    order by f.ts desc
    limit 1
) as f
"""


@pytest.mark.parametrize(
    "query",
    ["select * from features.cmc_daily_features where id = 3 and ts > '2021-01-01'", LATEST],
    ids=["rows of one asset", "the latest row of all assets"],
)
def test_what_models_ask_for_are_index_reads(tx, query):
    for asset in range(1, 6):
        contract.put(tx, asset, contract.history(300))
        refresh(tx, asset)
    tx.execute("analyze features.cmc_daily_features")
    (plan,) = tx.execute(f"explain (format json) {query}").fetchone()
    text = json.dumps(plan)
    assert '"Index Name": "cmc_daily_features_pkey"' in text
    assert not re.search('"Seq Scan"[^}]*cmc_daily_features"', text)
