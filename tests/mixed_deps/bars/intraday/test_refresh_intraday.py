"""Bars of intraday candles: exact, incremental, and the same on every edition of TimescaleDB.

All of this runs on whichever edition the test server has; what only one can do says so.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ta_lab2 import cli
from tests.support import intraday
from tests.support.contract import broken
from tests.support.intraday import (
    DAY,
    FIVE,
    HOUR,
    LENGTH,
    VIEWS,
    as_naive,
    can_roll_up,
    candle,
    digest,
    history,
    refresh,
    ts,
    written,
)

PAGE = Path(__file__).parents[4] / "docs" / "intraday.md"
ROLL_UP = "functions/bars/roll_up_intraday.sql"


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


def test_the_command_rolls_up_and_says_so(conn, own_db, means, capsys):
    means(own_db)
    intraday.put(conn, 1, history())
    assert cli.run(["refresh", "--intraday"]) == 0
    assert "refresh_intraday: 1 asset, " in capsys.readouterr().err
    as_naive(conn, history())
    assert cli.run(["refresh", "--intraday", "--rebuild"]) == 0
    assert cli.run(["refresh", "--intraday"]) == 0
    assert "nothing is due" in capsys.readouterr().err
    assert cli.run(["refresh", "--intraday", "--assets", "1"]) == 2
    assert "--rebuild only" in capsys.readouterr().err


def test_the_pages_queries_work(conn):
    intraday.put(conn, 1, history())
    refresh(conn)
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(conn.execute(query).fetchall()) == 24
