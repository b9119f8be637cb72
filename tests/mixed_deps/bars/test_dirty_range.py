"""Which candles changed, for whoever computes from them: every statement, every client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import alembic.command
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ta_lab2.bars import formats, ingest
from ta_lab2.bars.errors import PricesAreKept
from ta_lab2.db import migrate
from ta_lab2.errors import translated
from tests.support import prices

CONSUMERS = {"bars", "returns"}


def taken(conn) -> list[tuple[int, int, int]]:
    """Take all ranges as (asset, first day, last day), each once; every consumer has the same."""
    rows = conn.execute(
        """
        delete from bars.dirty_range as d
        returning d.consumer, d.id, d.from_ts, d.to_ts
        """
    ).fetchall()
    by_consumer = {
        name: sorted(
            (asset, (first.date() - prices.FIRST).days, (last.date() - prices.FIRST).days)
            for consumer, asset, first, last in rows
            if consumer == name
        )
        for name in CONSUMERS | {row[0] for row in rows}
    }
    found = by_consumer.pop("returns")
    assert all(other == found for other in by_consumer.values()), by_consumer
    return found


def many(conn, cells) -> None:
    """Store flat candles of several assets in one statement: (asset, day) to close."""
    conn.execute(
        """
        insert into bars.cmc_price_histories7 (id, ts, open, high, low, close)
        select c.id, c.ts, c.x, c.x, c.x, c.x
        from unnest(%s::integer[], %s::timestamptz[], %s::float8[]) as c (id, ts, x)
        on conflict (id, ts) do update
        set open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close
        """,
        (
            [asset for asset, _ in cells],
            [prices.ts(number) for _, number in cells],
            list(cells.values()),
        ),
    )


@pytest.fixture
def assets(tx):
    tx.execute("insert into bars.dim_assets (id, symbol, slug) values (1, 'A', 'a'), (2, 'B', 'b')")
    return tx


def test_an_insert_logs_one_range_per_asset_and_consumer(assets):
    many(assets, {(1, 3): 5, (1, 400): 5, (2, 7): 5})
    assert taken(assets) == [(1, 3, 400), (2, 7, 7)]


def test_an_upsert_logs_the_new_ones_and_the_changed_ones(assets):
    many(assets, {(1, number): 5 for number in range(10)})
    taken(assets)
    many(assets, {(1, 2): 5, (1, 4): 6, (1, 6): 6, (1, 8): 5, (1, 20): 5})
    assert taken(assets) == [(1, 4, 6), (1, 20, 20)]


@pytest.mark.parametrize(
    "change",
    [
        *("open = 2", "high = 9", "low = 0.5", "close = 2", "volume = 1", "market_cap = 1"),
        *("time_high = '2020-01-01'", "time_low = '2020-01-01'"),
    ],
)
def test_a_change_of_any_column_is_one_and_its_repetition_is_none(assets, change):
    assets.execute(
        """
        insert into bars.cmc_price_histories7 (id, ts, open, high, low, close)
        values (1, %s, 1, 3, 1, 1)
        """,
        (prices.ts(0),),
    )
    taken(assets)
    assets.execute(f"update bars.cmc_price_histories7 set {change}")
    assert taken(assets) == [(1, 0, 0)]
    assets.execute(f"update bars.cmc_price_histories7 set {change}")
    assert taken(assets) == []


def test_a_delete_logs_what_it_removed(assets):
    many(assets, {(1, number): 5 for number in range(10)})
    taken(assets)
    prices.drop(assets, 1, [2, 5, 77])
    assert taken(assets) == [(1, 2, 5)]


def test_a_candle_that_moves_dirties_both_places(assets):
    many(assets, {(1, 3): 5})
    taken(assets)
    assets.execute("update bars.cmc_price_histories7 set ts = %s", (prices.ts(5),))
    assert taken(assets) == [(1, 3, 5)]
    assets.execute("update bars.cmc_price_histories7 set id = 2")
    assert taken(assets) == [(1, 5, 5), (2, 5, 5)]


def test_copy_is_no_way_round(assets):
    with (
        assets.cursor() as cursor,
        cursor.copy(
            "copy bars.cmc_price_histories7 (id, ts, open, high, low, close) from stdin"
        ) as copy,
    ):
        for number in (1, 9):
            copy.write_row((1, prices.ts(number), 1, 1, 1, 1))
    assert taken(assets) == [(1, 1, 9)]


def test_merge_is_no_way_round(assets):
    many(assets, {(1, 1): 5, (1, 2): 5})
    taken(assets)
    assets.execute(
        """
        merge into bars.cmc_price_histories7 as p
        using (values (1, %s, 6.0), (1, %s, 6.0)) as v (id, ts, x)
        on v.id = p.id and v.ts = p.ts
        when matched then update set high = v.x
        when not matched then insert (id, ts, open, high, low, close)
            values (v.id, v.ts, v.x, v.x, v.x, v.x)
        """,
        (prices.ts(2), prices.ts(3)),
    )
    assert taken(assets) == [(1, 2, 2), (1, 3, 3)]


def test_a_statement_that_finds_nothing_logs_nothing(assets):
    assets.execute("update bars.cmc_price_histories7 set close = 1")
    prices.drop(assets, 1, [1])
    assert taken(assets) == []


def test_a_change_that_is_rolled_back_leaves_no_range(assets):
    with pytest.raises(ZeroDivisionError), assets.transaction():
        many(assets, {(1, 1): 5})
        raise ZeroDivisionError
    assert taken(assets) == []


def test_truncate_is_refused(assets):
    many(assets, {(1, 1): 5})
    with pytest.raises(PricesAreKept) as refused, translated(), assets.transaction():
        assets.execute("truncate bars.cmc_price_histories7")
    assert "delete" in refused.value.hint
    assert assets.execute("select count(*) from bars.cmc_price_histories7").fetchone() == (1,)


def test_a_new_consumer_is_an_insert(assets):
    assets.execute("insert into bars.dim_consumers values ('ladder', 'Of this test.')")
    many(assets, {(1, 1): 5})
    assert assets.execute(
        "select array_agg(d.consumer order by d.consumer) from bars.dirty_range as d"
    ).fetchone() == (["bars", "indicators", "ladder", "returns", "store", "volatility"],)


def test_a_second_load_of_a_file_logs_nothing(tx, tmp_path):
    file = formats.recognise(
        prices.daily(tmp_path, *(f"{prices.day(n)},BTC,1,3,0.5,2,10" for n in (0, 1, 40)))
    )
    ingest.load(tx, file)
    assert taken(tx) == [(1, 0, 40)]
    ingest.load(tx, file)
    assert taken(tx) == []


def test_loads_at_once_lose_no_range(own_db):
    """Sessions write and one takes: what was taken and what is left is all that was written."""
    with psycopg.connect(own_db) as conn:
        for asset in (1, 2):
            # In every partition that is needed: making one locks out the other sessions.
            prices.put(conn, asset, {0: 1, 60: 1})
        taken(conn)
    together = Barrier(3)

    def write(asset):
        with psycopg.connect(own_db) as conn:
            together.wait(30)
            for number in range(1, 60):
                with conn.transaction():
                    prices.put(conn, asset, {number: 2})

    def take():
        found = []
        with psycopg.connect(own_db) as conn:
            together.wait(30)
            for _ in range(60):
                with conn.transaction():
                    rows = conn.execute(
                        """
                        delete from bars.dirty_range as d
                        where d.consumer = 'returns'
                        returning d.id, d.from_ts
                        """
                    ).fetchall()
                    # Taken first, read second: every candle of a range that was taken is there.
                    for row in rows:
                        assert conn.execute(
                            """
                            select count(*)
                            from bars.cmc_price_histories7 as p
                            where p.id = %s and p.ts = %s
                            """,
                            row,
                        ).fetchone() == (1,)
                    found += rows
        return found

    with ThreadPoolExecutor(3) as pool:
        taker = pool.submit(take)
        for writer in [pool.submit(write, asset) for asset in (1, 2)]:
            writer.result()
        found = taker.result()
    with psycopg.connect(own_db) as conn:
        found += conn.execute(
            "select d.id, d.from_ts from bars.dirty_range as d where d.consumer = 'returns'"
        ).fetchall()
    assert sorted(found) == [(asset, prices.ts(n)) for asset in (1, 2) for n in range(1, 60)]


CELLS = st.dictionaries(
    st.tuples(st.sampled_from([1, 2]), st.integers(0, 20)), st.sampled_from([1.0, 2.0]), max_size=8
)
STEPS = st.lists(st.tuples(st.sampled_from(["upsert", "delete"]), CELLS), max_size=6)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_ranges_cover_just_what_changed(assets, steps):
    """Every statement against a dictionary: its added, its changed and its removed candles."""
    model: dict[tuple[int, int], float] = {}
    with assets.transaction(force_rollback=True):
        taken(assets)
        for verb, cells in steps:
            groups: list[set[tuple[int, int]]]
            if verb == "upsert":
                many(assets, cells)
                groups = [
                    cells.keys() - model.keys(),
                    {key for key in cells.keys() & model.keys() if cells[key] != model[key]},
                ]
                model |= cells
            else:
                assets.execute(
                    """
                    delete from bars.cmc_price_histories7 as p
                    using unnest(%s::integer[], %s::timestamptz[]) as c (id, ts)
                    where p.id = c.id and p.ts = c.ts
                    """,
                    ([asset for asset, _ in cells], [prices.ts(number) for _, number in cells]),
                )
                groups = [cells.keys() & model.keys()]
                model = {key: value for key, value in model.items() if key not in cells}
            assert taken(assets) == sorted(
                (asset, min(days), max(days))
                for group in groups
                for asset in (1, 2)
                if (days := [number for owner, number in group if owner == asset])
            )


def test_only_the_app_may_take_ranges(assets):
    many(assets, {(1, 1): 5})
    assets.execute("set local role ta_lab2_reader")
    assert assets.execute("select count(*) from published.dirty_range").fetchone() == (5,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), assets.transaction():
        assets.execute("delete from bars.dirty_range")
    assets.execute("set local role ta_lab2_app")
    many(assets, {(2, 1): 5})
    assert taken(assets) == [(1, 1, 1), (2, 1, 1)]


def test_taking_the_revision_back_and_again_brings_the_triggers_back(own_db, autocommit):
    config = migrate.config(own_db, say=lambda _: None)
    alembic.command.downgrade(config, "20261122_features_returns")
    conn = autocommit(own_db)
    prices.put(conn, 1, {1: 5})
    alembic.command.upgrade(config, "head")
    prices.put(conn, 1, {3: 5})
    assert taken(conn) == [(1, 3, 3)]
    with pytest.raises(psycopg.errors.DatabaseError, match="truncated"):
        conn.execute("truncate bars.cmc_price_histories7")
