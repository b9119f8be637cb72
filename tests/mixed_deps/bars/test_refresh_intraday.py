"""Bars of intraday candles: exact, incremental, and the same on every edition of TimescaleDB.

All of this runs on whichever edition the test server has; what only one can do says so.
"""

from __future__ import annotations

import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ta_lab2 import cli
from ta_lab2.bars.errors import EditionWasChanged
from ta_lab2.db import doctor, migrate
from ta_lab2.errors import translated
from ta_lab2.settings import settings as the_settings
from tests.support import intraday
from tests.support.contract import broken, wait_for_sleep
from tests.support.intraday import DAY, FIVE, HOUR, VIEWS, candle, digest, refresh, ts, written

#: Four days of five minutes.
LENGTH = 4 * 288
PAGE = Path(__file__).parents[3] / "docs" / "intraday.md"
ROLL_UP = "functions/bars/roll_up_intraday.sql"


@pytest.fixture
def connect(own_db, autocommit):
    return lambda: autocommit(own_db)


@pytest.fixture
def conn(connect):
    return connect()


def can_roll_up(conn) -> bool:
    return conn.execute("select db.can_roll_up()").fetchone() == (True,)


@pytest.fixture
def kept(conn):
    """A connection to a server that keeps the bars in a table."""
    if can_roll_up(conn):
        pytest.skip("this TimescaleDB is the community edition: its bars are its own")
    return conn


@pytest.fixture
def continuous(conn):
    """A connection to a server whose bars are continuous aggregates."""
    if not can_roll_up(conn):
        pytest.skip("this TimescaleDB is not the community edition")
    return conn


def history(length: int = LENGTH, salt: int = 1, *, without: int = 11) -> dict:
    return {n: candle(n, salt) for n in range(length) if n % without != 5}


def full(conn) -> str:
    """The digest of a build from nothing."""
    refresh(conn, rebuild=True)
    return digest(conn)


def as_naive(conn, candles, *, asset=1, resolution=FIVE) -> None:
    for view, bucket in VIEWS.items():
        found = {
            key: row
            for key, row in intraday.bars(conn, view, asset).items()
            if key[0] == resolution
        }
        assert found == intraday.naive(candles, bucket, resolution=resolution), view


def test_bars_are_those_of_the_definitions(conn):
    five = history()
    hours = {n: candle(n, 3) for n in range(70) if n % 5}
    intraday.put(conn, 1, five)
    intraday.put(conn, 1, hours, resolution=HOUR)
    refresh(conn)
    as_naive(conn, five)
    as_naive(conn, hours, resolution=HOUR)


spans = st.tuples(
    st.integers(0, LENGTH - 1), st.integers(1, LENGTH), st.sampled_from([1, 1, 2, 7, 300])
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), spans, st.integers(1, 5)),
        st.tuples(st.just("drop"), spans, st.just(0)),
        st.tuples(st.just("refresh"), st.just((0, 0, 1)), st.just(0)),
    ),
    min_size=1,
    max_size=6,
)


def start_over(conn) -> None:
    conn.execute("delete from bars.intraday_candles")
    refresh(conn)


def incremental_equals_full(conn, *, examples: int, shrink: bool = True) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(steps=steps)
    def holds(steps) -> None:
        start_over(conn)
        candles: dict = {}
        for what, (start, length, stride), salt in steps:
            numbers = range(start, min(start + length, LENGTH), stride)
            if what == "put":
                new = {n: candle(n, salt) for n in numbers}
                candles |= new
                intraday.put(conn, 1, new)
            elif what == "drop":
                candles = {n: one for n, one in candles.items() if n not in numbers}
                intraday.drop(conn, 1, numbers)
            else:
                refresh(conn)
        refresh(conn)
        incremental = digest(conn)
        as_naive(conn, candles)
        assert refresh(conn) == "refresh_intraday: nothing is due"
        assert not written(refresh(conn, rebuild=True)), "a second run writes nothing"
        assert digest(conn) == incremental

    holds()


def test_whatever_happens_to_the_candles_incremental_equals_full(conn):
    incremental_equals_full(conn, examples=40)


def test_the_contract_finds_a_bar_that_was_left_as_it_stood(kept):
    broken(kept, ROLL_UP, ("and r.ts not in (select w.ts from wanted as w)", "and false"))
    with pytest.raises(AssertionError):
        incremental_equals_full(kept, examples=40, shrink=False)


def test_batches_and_the_order_of_arrival_make_no_difference(conn):
    candles = history(700)
    intraday.put(conn, 1, candles)
    refresh(conn)
    expected = digest(conn)
    numbers = list(candles)
    for size in (1, 97):
        start_over(conn)
        # A candle at a time is a long way: the last thirty tell.
        first = len(numbers) - 30 if size == 1 else 0
        batches = [numbers[:first]] if first else []
        batches += [numbers[at : at + size] for at in range(first, len(numbers), size)]
        for batch in reversed(batches):
            intraday.put(conn, 1, {n: candles[n] for n in batch})
            refresh(conn)
        assert digest(conn) == expected, f"batches of {size}"


def test_a_late_a_revised_and_a_deleted_candle_rewrite_just_what_depends_on_them(kept):
    for asset in (1, 2):
        intraday.put(kept, asset, history(LENGTH, asset))
    refresh(kept)
    query = """
        select r.id, r.bucket, r.ts, r.xmin::text, record_send(b)
        from bars.intraday_rollups as r
        join bars.intraday_buckets as b using (id, bucket, resolution, ts)
    """
    before = {row[:3]: row[3:] for row in kept.execute(query)}
    intraday.put(kept, 1, {5: candle(5)})  # late: it was missing
    intraday.put(kept, 1, {400: candle(401)})
    intraday.drop(kept, 1, [800])
    assert written(refresh(kept)) == 6
    after = {row[:3]: row[3:] for row in kept.execute(query)}
    rewritten = {key for key, row in after.items() if before.get(key, ("",))[0] != row[0]}
    changed = {key for key, row in after.items() if before.get(key, ("", ""))[1] != row[1]}
    assert rewritten == changed
    assert rewritten == {
        (1, bucket, intraday.FIRST + (ts(n) - intraday.FIRST) // bucket * bucket)
        for bucket in (HOUR, DAY)
        for n in (5, 400, 800)
    }


def test_bars_whose_candles_are_all_gone_go_too(conn):
    intraday.put(conn, 1, history())
    refresh(conn)
    intraday.drop(conn, 1, range(288, 600))
    refresh(conn)
    as_naive(conn, {n: one for n, one in history().items() if not 288 <= n < 600})
    conn.execute("delete from bars.intraday_candles")
    refresh(conn)
    assert conn.execute("select count(*) from bars.intraday_buckets").fetchone() == (0,)


def test_a_bar_is_closed_by_its_own_series_only(conn):
    intraday.put(conn, 1, {n: candle(n) for n in range(12)})
    intraday.put(conn, 2, {n: candle(n) for n in range(11)})
    intraday.put(conn, 2, {n: candle(n) for n in range(30)}, resolution=HOUR)
    refresh(conn)
    first = (FIVE, ts(0))
    assert first in intraday.bars(conn, "bars.intraday_1h", 1)
    assert first not in intraday.bars(conn, "bars.intraday_1h", 2)
    open_bars = conn.execute(
        "select b.candles from bars.intraday_buckets as b where b.id = 2 and b.resolution = %s",
        (FIVE,),
    ).fetchall()
    assert open_bars == [(11,), (11,)]
    # A gap over its end closes it as well, once a later candle came.
    intraday.put(conn, 2, {400: candle(400)})
    refresh(conn)
    assert intraday.bars(conn, "bars.intraday_1h", 2)[first][-2:] == (11, 1)


def test_no_closed_bar_changes_when_later_candles_are_taken_away(conn):
    candles = history(700)
    intraday.put(conn, 1, candles)
    refresh(conn)
    whole = {view: intraday.bars(conn, view) for view in VIEWS}
    for last in sorted(random.Random(1).choices(list(candles)[:-1], k=8), reverse=True):
        intraday.drop(conn, 1, [n for n in candles if n > last])
        refresh(conn)
        for view, bucket in VIEWS.items():
            assert intraday.bars(conn, view) == {
                key: row for key, row in whole[view].items() if key[1] + bucket <= ts(last) + FIVE
            }


def test_a_session_in_another_time_zone_makes_the_same_days(conn):
    candles = history()
    conn.execute("set timezone = 'America/New_York'")
    intraday.put(conn, 1, candles)
    refresh(conn)
    as_naive(conn, candles)


def test_a_killed_refresh_loses_nothing(connect):
    conn = connect()
    for asset in range(1, 5):
        intraday.put(conn, asset, history(LENGTH, asset))
    began = time.perf_counter()
    expected = full(conn)
    duration = time.perf_counter() - began
    chance = random.Random(1)
    stopped = 0
    for turn in range(6):
        salt = turn % 2 + 2
        for asset in range(1, 5):
            intraday.put(conn, asset, history(LENGTH, asset * salt))
        victim = connect()
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(refresh, victim)
            time.sleep(chance.uniform(0, duration))
            conn.execute("select pg_terminate_backend(%s)", (victim.info.backend_pid,))
            stopped += isinstance(run.exception(), psycopg.OperationalError)
        refresh(conn)
        found = digest(conn)
        assert found == full(conn)
    for asset in range(1, 5):
        intraday.put(conn, asset, history(LENGTH, asset))
    refresh(conn)
    assert digest(conn) == expected
    assert stopped, "no kill came while the refresh ran"


@pytest.mark.parametrize("step", ["    for v_span in\n", "    return next;"])
def test_a_roll_up_killed_before_a_step_loses_nothing(kept, connect, step):
    victim = connect()
    intraday.put(kept, 1, history())
    refresh(kept)
    intraday.put(kept, 1, {5: candle(5), 400: candle(401)})
    broken(kept, ROLL_UP, (step, f"    perform pg_sleep(60);\n{step}"))
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, victim)
        wait_for_sleep(kept, victim.info.backend_pid)
        assert refresh(kept) == "refresh_intraday: another session is at it, nothing was done"
        kept.execute("select pg_terminate_backend(%s)", (victim.info.backend_pid,))
        assert isinstance(run.exception(), psycopg.OperationalError)
    broken(kept, ROLL_UP)
    assert written(refresh(kept)) == 4
    found = digest(kept)
    assert found == full(kept)
    ended = kept.execute(
        """
        select w.status, count(*) from observability.workflow_state as w
        where w.type = 'refresh_intraday' group by w.status order by 1
        """
    ).fetchall()
    assert ended == [("abandoned", 1), ("done", 3)]


def test_candles_that_come_while_a_refresh_runs_are_not_overlooked(kept, connect):
    slow = connect()
    intraday.put(kept, 1, history())
    step = "    return next;"
    broken(kept, ROLL_UP, (step, f"    perform pg_sleep(1);\n{step}"))
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, slow)
        wait_for_sleep(kept, slow.info.backend_pid)
        intraday.put(kept, 1, {5: candle(5), 400: candle(401), LENGTH: candle(1)})
        run.result()
    broken(kept, ROLL_UP)
    refresh(kept)
    found = digest(kept)
    assert found == full(kept)


def wait_for_lock(conn, session, run) -> None:
    """Return when that session waits for another one, or when its run has ended without."""
    waiting = """
        select from pg_stat_activity as a where a.pid = %s and a.wait_event_type = 'Lock'
    """
    for _ in range(1500):
        if run.done() or conn.execute(waiting, (session.info.backend_pid,)).rowcount:
            return
        time.sleep(0.02)
    raise AssertionError("the session never came to where it waits")


def test_two_roll_ups_of_one_asset_follow_each_other(kept, connect):
    """The slower one must not put bars of older candles over newer ones."""
    slow, other = connect(), connect()
    intraday.put(kept, 1, history())
    # Between what the statement reads and what it writes: once, not for each bar.
    read = "            from wanted as w\n            where not exists ("
    held = read.replace("where", "where (select pg_advisory_xact_lock(1)) is not null and")
    broken(kept, ROLL_UP, (read, held))
    kept.execute("select pg_advisory_lock(1)")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(slow.execute, "select bars.roll_up_intraday(1)")
        wait_for_lock(kept, slow, first)
        assert not first.done()
        broken(kept, ROLL_UP)
        intraday.put(kept, 1, {400: candle(401)})
        second = pool.submit(other.execute, "select bars.roll_up_intraday(1)")
        wait_for_lock(kept, other, second)
        kept.execute("select pg_advisory_unlock(1)")
        first.result()
        second.result()
    found = digest(kept)
    assert found == full(kept)


def test_a_second_refresh_beside_a_running_one_does_nothing(conn, connect):
    other = connect()
    intraday.put(conn, 1, history())
    running = """
        do $$ begin
            perform observability.start_run('refresh_intraday'); commit; perform pg_sleep(60);
        end $$
    """
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(other.execute, running)
        wait_for_sleep(conn, other.info.backend_pid)
        assert refresh(conn) == "refresh_intraday: another session is at it, nothing was done"
        conn.execute("select pg_terminate_backend(%s)", (other.info.backend_pid,))
        assert isinstance(run.exception(), psycopg.OperationalError)
    refresh(conn)
    as_naive(conn, history())


def test_the_app_refreshes_and_can_write_into_no_bar(conn):
    intraday.put(conn, 1, history())
    conn.execute("set role ta_lab2_app")
    refresh(conn)
    as_naive(conn, history())
    intraday.put(conn, 1, {5: candle(5)})
    refresh(conn)
    as_naive(conn, history() | {5: candle(5)})
    for view in ("intraday_1h", "intraday_1d", "intraday_buckets", "intraday_1h_continuous"):
        if view.endswith("_continuous") and not can_roll_up(conn):
            continue
        for statement in (f"update bars.{view} set high = 7", f"delete from bars.{view}"):
            # Whichever the server notices first: no privilege, or a view that takes no writes.
            with pytest.raises(
                (
                    psycopg.errors.InsufficientPrivilege,
                    psycopg.errors.ObjectNotInPrerequisiteState,
                )
            ):
                conn.execute(statement)


def test_the_reader_sees_the_published_bars(conn):
    intraday.put(conn, 1, history())
    refresh(conn)
    conn.execute("set role ta_lab2_reader")
    for view, count in (("intraday_1h", 96), ("intraday_1d", 4), ("intraday_candles", 1047)):
        assert conn.execute(f"select count(*) from published.{view}").fetchone() == (count,)


def test_a_refresh_inside_a_transaction_is_refused(own_db):
    with psycopg.connect(own_db) as conn, pytest.raises(psycopg.Error) as caught:
        conn.execute("call public.refresh_intraday()")
    assert caught.value.sqlstate == "2D000"


def test_a_run_leaves_its_record_and_an_idle_one_none(conn):
    intraday.put(conn, 1, history())
    refresh(conn)
    refresh(conn)
    rows = conn.execute(
        """
        select w.status, w.metadata ->> 'assets'
        from observability.workflow_state as w where w.type = 'refresh_intraday'
        """
    ).fetchall()
    assert rows == [("done", "1")]


def test_a_database_from_the_community_edition_says_so_and_is_turned_round_by_migrating(
    kept, own_db
):
    intraday.put(kept, 1, history())
    refresh(kept)
    expected = digest(kept)
    # What stands for continuous aggregates here: the same names, the same kind of DROP.
    for name in ("bars.intraday_1h_continuous", "bars.intraday_1d_continuous"):
        kept.execute(f"create materialized view {name} as select 1 as one")
        kept.execute(f"alter materialized view {name} owner to ta_lab2_app")
    kept.execute(
        """
        create or replace view bars.intraday_buckets as
        select r.* from bars.intraday_rollups as r where false
        """
    )
    with pytest.raises(EditionWasChanged) as caught, translated():
        kept.execute("call public.refresh_intraday()")
    assert "ta-lab2 db migrate" in caught.value.hint
    assert "rollups" in {finding.code for finding in doctor.examine(kept)}
    migrate.migrate(own_db, say=lambda _: None, ours=True)
    assert "rollups" not in {finding.code for finding in doctor.examine(kept)}
    assert written(refresh(kept)) == 0
    assert digest(kept) == expected


@pytest.mark.community
def test_a_database_from_the_other_edition_is_turned_round_by_migrating(continuous, own_db):
    intraday.put(continuous, 1, history())
    refresh(continuous)
    expected = digest(continuous)
    continuous.execute(
        """
        create or replace view bars.intraday_buckets as
        select r.id, r.resolution, r.bucket, r.ts, r.open, r.high, r.low, r.close, r.volume,
            r.candles, r.last_ts
        from bars.intraday_rollups as r
        """
    )
    for bucket in ("1h", "1d"):
        continuous.execute(f"drop materialized view bars.intraday_{bucket}_continuous")
    assert written(refresh(continuous, rebuild=True)) == 100
    assert digest(continuous) == expected, "the two editions keep other bars"
    migrate.migrate(own_db, say=lambda _: None, ours=True)
    assert continuous.execute("select count(*) from bars.intraday_buckets").fetchone() == (0,)
    assert written(refresh(continuous)) is None
    assert digest(continuous) == expected
    assert continuous.execute("select count(*) from bars.intraday_rollups").fetchone() == (0,)


@pytest.mark.community
def test_what_an_owner_writes_into_an_aggregate_a_rebuild_mends(continuous):
    intraday.put(continuous, 1, history())
    refresh(continuous)
    expected = digest(continuous)
    continuous.execute("update bars.intraday_1h_continuous set high = 7")
    assert digest(continuous) != expected
    assert full(continuous) == expected


@pytest.mark.community
def test_both_editions_keep_the_same_bars_whatever_happens(continuous):
    """The kept table, filled beside the aggregates by the other edition's own function."""
    query = """
        select record_send(row (r.id, r.bucket, r.resolution, r.ts, r.open, r.high, r.low, r.close,
            r.volume, r.candles, r.last_ts))
        from {} as r order by r.id, r.bucket, r.resolution, r.ts
    """
    chance = random.Random(2)
    for turn in range(12):
        start = chance.randrange(LENGTH)
        numbers = range(start, min(LENGTH, start + chance.choice([1, 40, 400])))
        if turn % 4 == 3:
            intraday.drop(continuous, 1, numbers)
        else:
            intraday.put(continuous, 1 + turn % 2, {n: candle(n, turn % 5 + 1) for n in numbers})
        refresh(continuous)
        for asset in (1, 2):
            continuous.execute("select bars.roll_up_intraday(%s, true)", (asset,))
        found, expected = (
            continuous.execute(query.format(name)).fetchall()
            for name in ("bars.intraday_buckets", "bars.intraday_rollups")
        )
        assert found == expected
        assert found or turn == 0


def test_the_command_rolls_up_and_says_so(conn, own_db, monkeypatch, capsys):
    monkeypatch.setenv("TA_LAB2_DATABASE_URL", own_db)
    the_settings.cache_clear()
    try:
        intraday.put(conn, 1, history())
        assert cli.run(["refresh", "--intraday"]) == 0
        assert "refresh_intraday: 1 asset, " in capsys.readouterr().err
        as_naive(conn, history())
        assert cli.run(["refresh", "--intraday", "--rebuild"]) == 0
        assert cli.run(["refresh", "--intraday"]) == 0
        assert "nothing is due" in capsys.readouterr().err
        assert cli.run(["refresh", "--intraday", "--assets", "1"]) == 2
        assert "--rebuild only" in capsys.readouterr().err
    finally:
        the_settings.cache_clear()


def test_the_pages_queries_work(conn):
    intraday.put(conn, 1, history())
    refresh(conn)
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(conn.execute(query).fetchall()) == 24
