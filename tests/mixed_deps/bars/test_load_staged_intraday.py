"""From staged lines to intraday candles: every line ends in one count, and says why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from ta_lab2.bars import queries
from ta_lab2.bars.errors import IntradayWasRevised, LoadIsBuiltUpon, UnknownSource
from ta_lab2.bars.queries import Counts
from tests.support.intraday import FIVE, HOUR

COLUMNS = ("day", "open", "high", "low", "close", "volume")
FILE = "/data/1_bitcoin.csv"


def load(
    conn,
    *lines: str,
    resolution: timedelta = HOUR,
    source: str = "synthetic",
    columns=COLUMNS,
    **how,
) -> tuple[UUID, Counts]:
    """Stage comma lines and turn them into candles."""
    number = uuid4()
    rows = [
        (at, line, None, [cell or "" for cell in line.split(",")])
        for at, line in enumerate(lines, start=2)
    ]
    with conn.transaction():
        queries.stage(conn, number, columns, rows)
        counts = queries.load_staged(
            conn,
            number,
            file=FILE,
            asset_id=1,
            slug="bitcoin",
            columns=columns,
            source=source,
            sha256=None,
            extend=how.pop("extend", False),
            switch=how.pop("switch", False),
            resolution=resolution,
            **how,
        )
    return number, counts


def stored(conn, resolution: timedelta = HOUR):
    return conn.execute(
        """
        select to_char(c.ts, 'DD HH24:MI'), c.close, c.volume
        from bars.intraday_candles as c
        where c.id = 1 and c.resolution = %s
        order by c.ts
        """,
        (resolution,),
    ).fetchall()


@pytest.fixture
def conn(tx):
    return tx


@pytest.fixture
def own(own_db, autocommit):
    """For what asks when a load was: each is a transaction of its own."""
    return autocommit(own_db)


def test_lines_become_candles_and_a_second_load_changes_nothing(conn):
    lines = (
        "2024-03-01 01:00:00+00:00,1,3,0.5,2,10",
        "2024-03-01T00:00:00Z,1,3,0.5,2.5,",
        "2024-03-01 03:00,1,3,0.5,2,0",
    )
    assert load(conn, *lines)[1] == Counts(3, 0, 0, 0, 0)
    assert stored(conn) == [("01 00:00", 2.5, None), ("01 01:00", 2, 10), ("01 03:00", 2, 0)]
    assert load(conn, *lines)[1] == Counts(0, 3, 0, 0, 0)
    assert load(conn, lines[0].replace(",2,10", ",2.9,10"))[1] == Counts(0, 0, 1, 0, 0)
    assert stored(conn)[1] == ("01 01:00", 2.9, 10)
    assert conn.execute("select count(*) from bars.price_staging").fetchone() == (0,)


def test_the_sixth_series_of_a_session_is_loaded_as_the_first(tx):
    # From then on a statement has one plan for any arguments.
    tx.execute("set plan_cache_mode = force_generic_plan")
    for resolution in (HOUR, FIVE):
        load(tx, "2024-03-01 00:00,1,3,0.5,2,1", resolution=resolution)
        assert stored(tx, resolution) == [("01 00:00", 2.0, 1.0)]


def test_a_candle_that_has_not_ended_is_forming(conn):
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    lines = [f"{now - hours * HOUR:%Y-%m-%dT%H:%M:%SZ},1,3,0.5,2,1" for hours in (0, 1)]
    assert load(conn, *lines)[1] == Counts(1, 0, 0, 0, 1)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",1,3,0.5,2,1", "time missing"),
        ("yesterday,1,3,0.5,2,1", "time unparsable"),
        ("2999-01-01 00:00,1,3,0.5,2,1", "future time"),
        ("2024-03-01 00:30,1,3,0.5,2,1", "time is no begin of a candle"),
        ("2024-03-01 00:00,1,,0.5,2,1", "price missing"),
        ("2024-03-01 00:00,1,x,0.5,2,1", "price unparsable"),
        ("2024-03-01 00:00,1,NaN,0.5,2,1", "price not a number"),
        ("2024-03-01 00:00,1,3,0,2,1", "price not positive"),
        ("2024-03-01 00:00,4,3,0.5,2,1", "high is not the highest"),
        ("2024-03-01 00:00,1,3,1.5,2,1", "low is not the lowest"),
        ("2024-03-01 00:00,1,3,0.5,2,many", "volume unparsable"),
        ("2024-03-01 00:00,1,3,0.5,2,-1", "volume not a number from 0"),
    ],
)
def test_a_bad_line_is_kept_with_its_reason_and_stops_nothing(conn, line, reason):
    good = "2024-03-01 05:00,1,3,0.5,2,1"
    assert load(conn, line, good)[1] == Counts(1, 0, 0, 1, 0)
    assert conn.execute(
        "select r.line, r.raw, r.reason from bars.price_rejects as r"
    ).fetchall() == [(2, line, reason)]


def test_a_moment_given_twice_counts_once_and_with_other_values_not_at_all(conn):
    same = "2024-03-01 00:00,1,3,0.5,2,1"
    other = "2024-03-01 01:00,1,3,0.5,2,1", "2024-03-01 01:00,1,3,0.5,2.1,1"
    assert load(conn, same, same, *other)[1] == Counts(1, 1, 0, 2, 0)
    assert stored(conn) == [("01 00:00", 2, 1)]


def test_a_volume_that_the_file_lacks_stays(conn):
    load(conn, "2024-03-01 00:00,1,3,0.5,2,7")
    assert load(conn, "2024-03-01 00:00,1,3,0.5,2.5", columns=COLUMNS[:5])[1].revised == 1
    assert stored(conn) == [("01 00:00", 2.5, 7)]


def test_each_resolution_has_a_source_of_its_own(conn):
    load(conn, "2024-03-01 00:00,1,3,0.5,2,7")
    counts = load(conn, "2024-03-01 00:05,1,3,0.5,2,7", resolution=FIVE, source="coinmarketcap")[1]
    assert counts == Counts(1, 0, 0, 0, 0)
    assert queries.source(conn, 1, HOUR) == "synthetic"
    assert queries.source(conn, 1, FIVE) == "coinmarketcap"
    assert queries.source(conn, 1) is None


def base(conn) -> None:
    conn.execute(
        "insert into bars.dim_sources (source, volume_unit, description) values ('x', 'base', '')"
    )


LINES = "2024-03-01 00:00,1,3,0.5,2.5,9", "2024-03-01 01:00,1,3,0.5,2,9"


def test_another_source_is_compared_and_left_out(conn):
    base(conn)
    load(conn, "2024-03-01 00:00,1,3,0.5,2,7")
    assert load(conn, *LINES, source="x")[1] == Counts(0, 0, 0, 0, 0, 2, 1, 1)
    assert stored(conn) == [("01 00:00", 2, 7)]


def test_extend_stores_what_is_new_without_a_volume_of_another_unit(conn):
    base(conn)
    load(conn, "2024-03-01 00:00,1,3,0.5,2,7")
    assert load(conn, *LINES, source="x", extend=True)[1] == Counts(1, 0, 0, 0, 0, 1, 1, 0)
    assert stored(conn) == [("01 00:00", 2, 7), ("01 01:00", 2, None)]
    assert queries.source(conn, 1, HOUR) == "synthetic"


def test_switch_makes_it_the_source_and_clears_volumes_of_another_unit(conn):
    base(conn)
    load(conn, "2024-03-01 00:00,1,3,0.5,2,7", "2024-03-01 05:00,1,3,0.5,2,7")
    assert load(conn, *LINES, source="x", switch=True)[1] == Counts(1, 0, 1, 0, 0)
    assert stored(conn) == [("01 00:00", 2.5, 9), ("01 01:00", 2, 9), ("01 05:00", 2, None)]
    assert queries.source(conn, 1, HOUR) == "x"


def test_a_source_that_is_not_known_is_refused(conn):
    with pytest.raises(UnknownSource):
        load(conn, LINES[0], source="nobody")
    assert conn.execute("select count(*) from bars.loads").fetchone() == (0,)


def test_a_load_is_a_row_and_is_taken_back(own):
    first, _ = load(own, LINES[0])
    second, _ = load(own, *LINES)
    assert own.execute(
        "select l.resolution, l.loaded, l.unchanged from bars.loads as l where l.load = %s",
        (second,),
    ).fetchone() == (HOUR, 1, 1)
    undone = queries.undo(own, second)
    assert (undone.removed, undone.restored) == (1, 0)
    assert stored(own) == [("01 00:00", 2.5, 9)]
    assert queries.source(own, 1, HOUR) == "synthetic"
    queries.undo(own, first)
    assert stored(own) == []
    assert queries.source(own, 1, HOUR) is None


def test_a_load_that_revised_is_not_taken_back(own):
    load(own, LINES[0])
    second, _ = load(own, LINES[0].replace("2.5", "2.6"))
    with pytest.raises(IntradayWasRevised):
        queries.undo(own, second)
    assert stored(own) == [("01 00:00", 2.6, 9)]


def test_a_load_whose_candles_changed_later_is_not_taken_back(own):
    first, _ = load(own, *LINES)
    load(own, LINES[0].replace("2.5", "2.6"))
    with pytest.raises(LoadIsBuiltUpon):
        queries.undo(own, first)
    assert len(stored(own)) == 2


def test_an_undone_intraday_load_leaves_the_daily_source_alone(own):
    number, _ = load(own, LINES[0])
    own.execute(
        """
        insert into bars.price_state (id, first_recorded_at, recorded_at, written_by, source)
        values (1, now(), now(), '1', 'synthetic')
        """
    )
    queries.undo(own, number)
    assert queries.source(own, 1) == "synthetic"
