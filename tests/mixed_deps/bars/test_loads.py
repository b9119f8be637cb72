"""Loads as rows: what they say, taking them back, and lines of another source."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ta_lab2.bars import formats, ingest, queries
from ta_lab2.bars.errors import LoadIsBuiltUpon, LoadIsUndone, UnknownLoad, UnknownSource
from ta_lab2.bars.queries import Counts, Undone
from tests.support import prices


def only(**counts) -> Counts:
    return Counts(**{name: counts.get(name, 0) for name in Counts.__slots__})


def row(day, close=2.0, *, ticker="BTC", volume=10) -> str:
    return f"{prices.day(day)},{ticker},1,30,0.5,{close!r},{volume}"


def table(conn, asset=1):
    """Every candle to the bit, but for when it was stored."""
    return conn.execute(
        """
        select p.ts, float8send(p.open), float8send(p.high), float8send(p.low),
            float8send(p.close), float8send(p.volume), float8send(p.market_cap),
            p.time_high, p.time_low
        from bars.cmc_price_histories7 as p
        where p.id = %s
        order by p.ts
        """,
        (asset,),
    ).fetchall()


def closes(conn, asset=1):
    return dict(
        conn.execute(
            """
            select p.ts::date - %s, p.close
            from bars.cmc_price_histories7 as p
            where p.id = %s
            """,
            (prices.FIRST, asset),
        ).fetchall()
    )


@pytest.fixture
def conn(own_db, autocommit):
    conn = autocommit(own_db)
    conn.execute("insert into bars.dim_sources values ('exchange', 'base', 'Of these tests.')")
    return conn


@pytest.fixture
def load(conn, tmp_path):
    def load_rows(*rows, name="1_bitcoin.csv", **options):
        return ingest.load(
            conn, formats.recognise(prices.daily(tmp_path, *rows, name=name)), **options
        )

    return load_rows


def test_a_load_is_a_row_that_says_what_became_of_the_file(conn, load):
    done = load(row(0), row(1), "x", row(2, 99))
    written = conn.execute(
        """
        select l.file, l.sha256, l.source, l.id, l.loaded, l.rejected, l.unchanged,
            l.started_at <= l.finished_at, l.undone_at, l.source_before
        from bars.loads as l
        where l.load = %s
        """,
        (done.load,),
    ).fetchone()
    sha256 = hashlib.sha256(done.file.path.read_bytes()).hexdigest()
    assert written == (str(done.file.path), sha256, "coinmarketcap", 1, 2, 2, 0, True, None, None)
    assert conn.execute("select distinct r.load from bars.price_rejects as r").fetchall() == [
        (done.load,)
    ]


def test_every_count_of_a_load_is_kept_in_its_row(conn, load):
    load(row(0), row(1))
    own = load(row(0, 3), row(1), row(2), f"{datetime.now(UTC):%Y-%m-%d},BTC,1,3,0.5,2,10", "x")
    other = load(row(0, 9), row(1), row(2), row(3), source="exchange")
    for done in (own, other):
        kept = conn.execute(
            """
            select l.loaded, l.unchanged, l.revised, l.rejected, l.forming,
                l.other_source, l.other_differing, l.other_new
            from bars.loads as l
            where l.load = %s
            """,
            (done.load,),
        ).fetchone()
        assert Counts(*kept) == done.counts
    assert own.counts == only(loaded=1, unchanged=1, revised=1, rejected=1, forming=1)
    assert other.counts == only(other_source=4, other_differing=1, other_new=1)


def test_a_candle_leads_to_the_load_that_wrote_it(conn, load):
    first, second = load(row(0), row(1)), load(row(1, 3), row(2))
    assert conn.execute(
        """
        select l.load
        from bars.cmc_price_histories7 as p
        join bars.loads as l using (id, recorded_at)
        order by p.ts
        """
    ).fetchall() == [(first.load,), (second.load,), (second.load,)]


def test_a_load_that_changes_nothing_is_a_row_without_a_moment(conn, load):
    load(row(0))
    again = load(row(0))
    assert again.counts == only(unchanged=1)
    assert conn.execute(
        "select l.recorded_at from bars.loads as l where l.load = %s", (again.load,)
    ).fetchone() == (None,)


def test_the_text_of_a_rejected_line_is_capped(conn, load):
    load("\0" * 5000)
    assert conn.execute("select length(r.raw) from bars.price_rejects as r").fetchone() == (2000,)


# --undo


def test_a_load_taken_back_leaves_the_table_as_it_was(conn, load):
    load(row(0), row(1), row(400, volume=""))
    before = table(conn)
    second = load(row(1, 3), row(400, 4), row(401), row(-5))
    assert queries.undo(conn, second.load) == Undone(removed=2, restored=2)
    assert table(conn) == before


def test_taking_a_load_back_is_logged_like_any_change(conn, load):
    load(row(0), row(1))
    second = load(row(1, 3), row(9))
    (moment,) = conn.execute(
        "select l.recorded_at from bars.loads as l where l.load = %s", (second.load,)
    ).fetchone()
    conn.execute("delete from bars.dirty_range")
    queries.undo(conn, second.load)
    known = conn.execute(
        "select a.close from bars.prices_as_of(%s) as a order by a.ts", (moment,)
    ).fetchall()
    assert known == [(2,), (3,), (2,)]
    assert conn.execute(
        """
        select distinct d.from_ts::date - %s, d.to_ts::date - %s
        from bars.dirty_range as d
        order by 1
        """,
        (prices.FIRST, prices.FIRST),
    ).fetchall() == [(1, 1), (9, 9)]


def test_the_first_load_of_an_asset_can_be_taken_back_and_loaded_again(conn, load):
    first = load(row(0), row(1))
    assert queries.undo(conn, first.load) == Undone(removed=2, restored=0)
    assert table(conn) == []
    assert queries.source(conn, 1) is None
    assert load(row(0), row(1)).counts == only(loaded=2)


def test_a_load_that_another_stands_on_is_refused_and_names_it(conn, load):
    first = load(row(0), row(1))
    second = load(row(1, 3))
    before = table(conn)
    with pytest.raises(LoadIsBuiltUpon) as refused:
        queries.undo(conn, first.load)
    assert str(second.load) in refused.value.what
    assert str(second.load) in refused.value.hint
    assert table(conn) == before
    queries.undo(conn, second.load)
    assert queries.undo(conn, first.load) == Undone(removed=2, restored=0)


def test_the_load_that_stands_now_is_named_and_not_one_taken_back(conn, load):
    first = load(row(0))
    queries.undo(conn, load(row(0, 3)).load)
    third = load(row(0, 4))
    with pytest.raises(LoadIsBuiltUpon, match=str(third.load)):
        queries.undo(conn, first.load)


def test_a_later_load_of_other_candles_does_not_matter(conn, load):
    first = load(row(0))
    load(row(1))
    queries.undo(conn, first.load)
    assert closes(conn) == {1: 2}
    assert queries.source(conn, 1) == "coinmarketcap"


@pytest.mark.parametrize("change", ["update {} set close = 3", "delete from {}"])
def test_a_change_by_hand_is_not_overwritten(conn, load, change):
    first = load(row(0))
    conn.execute(change.format("bars.cmc_price_histories7"))
    with pytest.raises(LoadIsBuiltUpon, match="changed later") as refused:
        queries.undo(conn, first.load)
    assert "no load" in refused.value.detail


def test_two_loads_of_one_transaction_are_not_taken_apart(conn, load):
    with conn.transaction():
        first, second = load(row(0)), load(row(0, 3))
    before = table(conn)
    for one, other in ((first, second), (second, first)):
        with pytest.raises(LoadIsBuiltUpon, match="alone") as refused:
            queries.undo(conn, one.load)
        assert str(other.load) in refused.value.detail
    assert table(conn) == before


def test_a_load_is_taken_back_once(conn, load):
    first = load(row(0))
    queries.undo(conn, first.load)
    with pytest.raises(LoadIsUndone):
        queries.undo(conn, first.load)


def test_an_unknown_load_is_refused(conn):
    with pytest.raises(UnknownLoad):
        queries.undo(conn, uuid4())


def test_an_undo_that_is_rolled_back_undid_nothing(conn, load):
    first = load(row(0))
    before = table(conn)
    with pytest.raises(ZeroDivisionError), conn.transaction():
        queries.undo(conn, first.load)
        raise ZeroDivisionError
    assert table(conn) == before
    queries.undo(conn, first.load)


def test_the_app_may_take_a_load_back(conn, load):
    conn.execute("set role ta_lab2_app")
    queries.undo(conn, load(row(0)).load)


LOADS = st.lists(
    st.dictionaries(st.integers(0, 6), st.sampled_from([1.0, 2.0, 3.0]), min_size=1),
    min_size=1,
    max_size=5,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(loads=LOADS)
def test_taking_loads_back_one_by_one_goes_back_through_every_state(conn, load, loads):
    states, numbers = [table(conn)], []
    for cells in loads:
        numbers.append(load(*(row(day, close) for day, close in cells.items())).load)
        states.append(table(conn))
    for number, state in zip(reversed(numbers), reversed(states[:-1]), strict=True):
        queries.undo(conn, number)
        assert table(conn) == state


# Another source


def test_lines_of_another_source_are_compared_and_not_stored(conn, load):
    load(row(0), row(1), row(2))
    before = table(conn)
    other = load(
        row(0, 2.0000001), row(1, 2.000001), row(2, volume=99), row(3), "x", source="exchange"
    )
    assert other.counts == only(other_source=4, other_differing=1, other_new=1, rejected=1)
    assert table(conn) == before
    assert queries.source(conn, 1) == "coinmarketcap"


def test_extend_stores_new_sessions_alone(conn, load):
    load(row(1), row(3))
    extended = load(*(row(day, 5) for day in range(5)), source="exchange", extend=True)
    assert extended.counts == only(loaded=3, other_source=2, other_differing=2)
    assert closes(conn) == {0: 5, 1: 2, 2: 5, 3: 2, 4: 5}
    assert queries.source(conn, 1) == "coinmarketcap"
    # Its volumes count another unit.
    volumes = conn.execute(
        "select p.volume from bars.cmc_price_histories7 as p order by p.ts"
    ).fetchall()
    assert [volume for (volume,) in volumes] == [None, 10, None, 10, None]
    queries.undo(conn, extended.load)
    assert closes(conn) == {1: 2, 3: 2}
    assert queries.source(conn, 1) == "coinmarketcap"


def test_an_extended_session_is_revised_by_the_own_source(conn, load):
    load(row(0))
    load(row(1, 5), source="exchange", extend=True)
    assert load(row(0), row(1)).counts == only(unchanged=1, revised=1)


def test_switch_changes_the_source_and_undo_brings_it_back(conn, load):
    load(row(0), row(1))
    before = table(conn)
    switched = load(row(1, 5, volume=7), source="exchange", switch=True)
    assert switched.counts == only(revised=1)
    assert queries.source(conn, 1) == "exchange"
    # The candle that stayed lost its volume: it was in US dollars.
    volumes = conn.execute(
        "select p.volume from bars.cmc_price_histories7 as p order by p.ts"
    ).fetchall()
    assert volumes == [(None,), (7,)]
    assert load(row(0)).counts == only(other_source=1)
    queries.undo(conn, switched.load)
    assert table(conn) == before
    assert queries.source(conn, 1) == "coinmarketcap"


def test_a_file_without_a_good_line_does_not_settle_the_source(conn, load):
    load("x", source="exchange")
    assert queries.source(conn, 1) is None
    load(row(0))
    load("x", source="exchange", switch=True)
    assert queries.source(conn, 1) == "coinmarketcap"


def test_another_source_does_not_change_the_ticker(conn, load):
    load(row(0))
    load(row(1, ticker="XBT"), source="exchange", extend=True)
    assert queries.symbol(conn, 1) == "BTC"


def test_an_unknown_source_is_refused_before_anything_is_loaded(conn, load):
    with pytest.raises(UnknownSource) as refused:
        load(row(0), source="nobody")
    assert "coinmarketcap" in refused.value.detail
    assert table(conn) == []
    assert conn.execute("select count(*) from bars.loads").fetchone() == (0,)


def test_a_load_is_read_by_all_and_written_by_the_app(tx):
    tx.execute("set local role ta_lab2_reader")
    assert tx.execute("select count(*) from published.loads").fetchone() == (0,)
    assert tx.execute("select count(*) from published.dim_sources").fetchone() >= (2,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), tx.transaction():
        tx.execute("select * from bars.undo_load(gen_random_uuid())")
