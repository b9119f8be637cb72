"""The candles as they stood: every version kept, every moment as it was, by a model in Python."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ta_lab2.bars import formats, ingest
from ta_lab2.bars.errors import AssetWithoutPrices, NoMomentGiven, PricesNotKnownYet
from ta_lab2.errors import translated
from tests.support import prices

INSTANT = timedelta(microseconds=1)


def as_of(conn, moment, *assets) -> dict[tuple[int, int], float]:
    """The closes by asset and day as they were known, each candle once."""
    with translated():
        rows = conn.execute(
            "select a.id, a.ts, a.close from bars.prices_as_of(%s, %s::integer[]) as a",
            (moment, list(assets) or None),
        ).fetchall()
    found = {(asset, (at.date() - prices.FIRST).days): close for asset, at, close in rows}
    assert len(found) == len(rows), "a candle has two versions at once"
    return found


def versions(conn, asset):
    """The versions that were replaced: day, close, by what."""
    return conn.execute(
        """
        select r.ts::date - %s, r.close, r.replaced_by
        from bars.price_revisions as r
        where r.id = %s
        order by r.ts, r.superseded_at
        """,
        (prices.FIRST, asset),
    ).fetchall()


def moment(conn) -> datetime:
    """When the running transaction began."""
    (found,) = conn.execute("select now()").fetchone()
    return found


def committed(conn, *changes) -> datetime:
    """Make changes in one transaction of their own; return its moment."""
    with conn.transaction():
        for change in changes:
            change()
        return moment(conn)


@pytest.fixture
def conn(own_db, autocommit):
    conn = autocommit(own_db)
    conn.execute("insert into bars.dim_assets values (1, 'A', 'a'), (2, 'B', 'b')")
    return conn


def test_a_changed_and_a_deleted_candle_keep_their_versions(conn):
    loaded = committed(conn, lambda: prices.put(conn, 1, {0: 5, 1: 5, 400: 5}))
    revised = committed(conn, lambda: prices.put(conn, 1, {0: 5, 1: 6}))
    deleted = committed(conn, lambda: prices.drop(conn, 1, [0, 1]))
    assert versions(conn, 1) == [(0, 5, "deleted"), (1, 5, "changed"), (1, 6, "deleted")]
    assert as_of(conn, loaded) == {(1, 0): 5, (1, 1): 5, (1, 400): 5}
    assert as_of(conn, revised - INSTANT) == as_of(conn, loaded)
    assert as_of(conn, revised) == {(1, 0): 5, (1, 1): 6, (1, 400): 5}
    assert as_of(conn, deleted - INSTANT) == as_of(conn, revised)
    assert as_of(conn, deleted) == {(1, 400): 5}
    assert as_of(conn, datetime.max) == {(1, 400): 5}


def test_every_column_of_a_version_is_kept(conn):
    conn.execute(
        """
        insert into bars.cmc_price_histories7
        values (1, %s, 1, 4, 0.5, 2, 3, 9, '2020-12-08 01:00+00', '2020-12-08 02:00+00')
        """,
        (prices.ts(0),),
    )
    (before,) = conn.execute("select p.* from bars.cmc_price_histories7 as p").fetchall()
    conn.execute("update bars.cmc_price_histories7 set market_cap = null")
    (kept,) = conn.execute("select r.* from bars.price_revisions as r").fetchall()
    assert kept[:11] == before
    assert conn.execute("select a.* from bars.prices_as_of(%s) as a", (before[-1],)).fetchall() == [
        before
    ]


def test_two_changes_in_one_transaction_are_one(conn):
    first = committed(
        conn, lambda: prices.put(conn, 1, {0: 1, 1: 1}), lambda: prices.put(conn, 1, {0: 2})
    )
    assert versions(conn, 1) == []
    second = committed(
        conn,
        lambda: prices.put(conn, 1, {0: 3}),
        lambda: prices.put(conn, 1, {0: 4}),
        lambda: prices.drop(conn, 1, [0]),
        lambda: prices.put(conn, 1, {0: 5, 7: 5}),
        lambda: prices.drop(conn, 1, [7]),
    )
    assert versions(conn, 1) == [(0, 2, "changed")]
    assert as_of(conn, first) == {(1, 0): 2, (1, 1): 1}
    assert as_of(conn, second) == {(1, 0): 5, (1, 1): 1}


def test_a_row_written_as_it_stood_keeps_its_moment(conn):
    first = committed(conn, lambda: prices.put(conn, 1, {0: 1, 1: 1}))
    second = committed(conn, lambda: prices.put(conn, 1, {0: 1, 1: 2}))
    assert conn.execute(
        "select p.recorded_at from bars.cmc_price_histories7 as p order by p.ts"
    ).fetchall() == [(first,), (second,)]


def test_nobody_chooses_when_a_candle_was_stored(conn):
    conn.execute(
        """
        insert into bars.cmc_price_histories7 (id, ts, open, high, low, close, recorded_at)
        values (1, %s, 1, 1, 1, 1, '2001-01-01')
        """,
        (prices.ts(0),),
    )
    stored = conn.execute("select p.recorded_at from bars.cmc_price_histories7 as p").fetchall()
    conn.execute("update bars.cmc_price_histories7 set recorded_at = '2001-01-01'")
    assert (
        conn.execute("select p.recorded_at from bars.cmc_price_histories7 as p").fetchall()
        == stored
    )
    assert stored[0][0].year > 2020
    assert versions(conn, 1) == []


def test_a_candle_that_moves_was_deleted_where_it_stood(conn):
    first = committed(conn, lambda: prices.put(conn, 1, {0: 1}))
    moved = committed(conn, lambda: conn.execute("update bars.cmc_price_histories7 set id = 2"))
    assert versions(conn, 1) == [(0, 1, "deleted")]
    assert as_of(conn, first, 1) == {(1, 0): 1}
    assert as_of(conn, moved) == {(2, 0): 1}


@pytest.mark.parametrize("delete", [False, True], ids=["changed", "deleted"])
def test_a_transaction_that_began_earlier_and_wrote_later_comes_second(
    conn, own_db, autocommit, delete
):
    loaded = committed(conn, lambda: prices.put(conn, 1, {0: 1, 5: 1}))
    other = autocommit(own_db)
    with conn.transaction():
        early = moment(conn)
        late = committed(other, lambda: prices.put(other, 1, {0: 2, 5: 2}))
        gone = late
        if delete:
            gone = committed(other, lambda: prices.drop(other, 1, [0]))
        prices.put(conn, 1, {0: 3, 6: 3})
    assert early < late
    assert as_of(conn, loaded) == as_of(conn, early) == {(1, 0): 1, (1, 5): 1}
    assert as_of(conn, late) == {(1, 0): 2, (1, 5): 2}
    after = {(1, 0): 3, (1, 5): 2, (1, 6): 3}
    assert as_of(conn, gone + INSTANT) == as_of(conn, datetime.max) == after
    if delete:
        assert as_of(conn, gone) == {(1, 5): 2}


def test_a_change_that_is_rolled_back_leaves_nothing(conn):
    first = committed(conn, lambda: prices.put(conn, 1, {0: 1}))
    with pytest.raises(ZeroDivisionError), conn.transaction():
        prices.put(conn, 1, {0: 2})
        raise ZeroDivisionError
    with conn.transaction():
        with pytest.raises(ZeroDivisionError), conn.transaction():
            prices.put(conn, 1, {0: 3})
            raise ZeroDivisionError
        prices.put(conn, 1, {0: 4})
        second = moment(conn)
    assert versions(conn, 1) == [(0, 1, "changed")]
    assert as_of(conn, first) == {(1, 0): 1}
    assert as_of(conn, second) == {(1, 0): 4}


def test_a_moment_before_the_first_load_is_an_error_that_names_it(conn):
    first = committed(conn, lambda: prices.put(conn, 1, {0: 1}))
    second = committed(conn, lambda: prices.put(conn, 2, {0: 1}))
    prices.drop(conn, 1, [0])
    for assets in ([], [1]):
        with pytest.raises(PricesNotKnownYet) as refused:
            as_of(conn, first - INSTANT, *assets)
        assert f"{first:%Y-%m-%d %H:%M:%S}" in refused.value.detail
    with pytest.raises(PricesNotKnownYet, match="asset 2") as refused:
        as_of(conn, second - INSTANT, 1, 2)
    assert f"{second:%Y-%m-%d %H:%M:%S}" in refused.value.detail
    assert as_of(conn, second - INSTANT) == {(1, 0): 1}
    assert as_of(conn, second, 1, 2) == {(1, 0): 1, (2, 0): 1}
    assert as_of(conn, datetime.max, 1) == {}


def test_an_asset_without_prices_is_an_error(conn):
    committed(conn, lambda: prices.put(conn, 1, {0: 1}))
    for asset in (2, 999):
        with pytest.raises(AssetWithoutPrices, match=f"asset {asset}"):
            as_of(conn, datetime.max, 1, asset)


def test_no_moment_is_an_error(conn):
    with pytest.raises(NoMomentGiven):
        as_of(conn, None)


def test_no_price_at_all_is_an_empty_table(conn):
    assert as_of(conn, datetime.max) == {}


def test_a_load_is_one_moment_and_a_second_one_of_the_same_file_none(conn, tmp_path):
    file = formats.recognise(
        prices.daily(
            tmp_path, *(f"{prices.day(n)},BTC,1,3,0.5,2,10" for n in (0, 1, 400)), name="3_c.csv"
        )
    )
    ingest.load(conn, file)
    state = """
        select p.xmin::text, p.recorded_at, c.xmin::text
        from bars.cmc_price_histories7 as p
        join bars.price_state as c using (id)
    """
    stored = conn.execute(state).fetchall()
    assert len({at for _, at, _ in stored}) == 1
    ingest.load(conn, file)
    assert conn.execute(state).fetchall() == stored
    assert versions(conn, 3) == []


def test_research_reads_prices_through_this_alone(tx):
    prices.put(tx, 1, {0: 1})
    tx.execute("set local role ta_lab2_research")
    assert as_of(tx, datetime.max) == {(1, 0): 1}
    for table in ("cmc_price_histories7", "price_revisions", "price_state"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), tx.transaction():
            tx.execute(f"select * from bars.{table}")
    tx.execute("set local role ta_lab2_reader")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), tx.transaction():
        as_of(tx, datetime.max)


def test_the_app_cannot_touch_what_is_kept(tx):
    prices.put(tx, 1, {0: 1})
    tx.execute("set local role ta_lab2_app")
    prices.put(tx, 1, {0: 2})
    for attempt in (
        "delete from bars.price_revisions",
        "update bars.price_revisions set close = 1",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), tx.transaction():
            tx.execute(attempt)


NUMBERS = count(1000, 2)
CELLS = st.dictionaries(
    st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 1, 2, 30])),
    st.sampled_from([1.0, 2.0, 3.0]),
    max_size=6,
)
TRANSACTIONS = st.lists(
    st.tuples(
        st.booleans(),  # whether it commits
        st.lists(st.tuples(st.sampled_from(["load", "delete"]), CELLS), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(transactions=TRANSACTIONS)
def test_every_moment_is_as_the_model_remembers_it(conn, transactions):
    first = next(NUMBERS)
    assets = (first, first + 1)
    for asset in assets:
        conn.execute("insert into bars.dim_assets values (%s, 'X', %s)", (asset, f"test-{asset}"))
    model: dict[tuple[int, int], float] = {}
    known: set[int] = set()
    remembered: list[tuple[datetime, dict, set]] = []
    for commits, statements in transactions:
        after, loaded = dict(model), set(known)
        with conn.transaction(force_rollback=not commits):
            at = moment(conn)
            for verb, cells in statements:
                for asset in assets:
                    mine = {day: x for (which, day), x in cells.items() if first + which == asset}
                    if verb == "load" and mine:
                        prices.put(conn, asset, mine)
                        after |= {(asset, day): x for day, x in mine.items()}
                        loaded.add(asset)
                    elif mine:
                        prices.drop(conn, asset, mine)
                        for day in mine:
                            after.pop((asset, day), None)
        if commits:
            model, known = after, loaded
        remembered.append((at, dict(model), set(known)))
    # What was known at every moment, and just before the next one.
    moments = [at for at, _, _ in remembered]
    for (at, closes, loaded), end in zip(remembered, [*moments[1:], datetime.max], strict=True):
        for asset in assets:
            for when in (at, end if end == datetime.max else end - INSTANT):
                if asset in loaded:
                    mine = {key: x for key, x in closes.items() if key[0] == asset}
                    assert as_of(conn, when, asset) == mine
                else:
                    with pytest.raises((AssetWithoutPrices, PricesNotKnownYet)):
                        as_of(conn, when, asset)
    assert as_of(conn, datetime.max, *known) == model if known else True
