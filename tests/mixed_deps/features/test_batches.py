"""What a refresh locks and commits together, and what it finds to do."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from ta_lab2.features import queries
from tests.support import contract, prices, servers

ASSETS = range(1, 121)
#: Rows of a new day of an asset.
EACH = len(contract.DAILY)


def batches(conn, rebuild=False):
    found = conn.execute(
        """
        select b.ids
        from features.refresh_batches(%s, %s, features.fingerprints()) as b (ids)
        """,
        (list(ASSETS), rebuild),
    )
    return [ids for (ids,) in found]


def refresh(conn) -> str:
    lines: list[str] = []
    queries.refresh(conn, on_notice=lines.append)
    return lines[-1]


def fill(conn) -> None:
    """Many assets of few days, refreshed, without timeframes."""
    contract.only(conn, ())
    conn.execute(
        "insert into bars.dim_assets select n, 'T' || n, 't-' || n from generate_series(1, 120) n"
    )
    new_day(conn, 0)
    new_day(conn, 1)
    refresh(conn)


@pytest.fixture(scope="module")
def original(server_url, template):
    """A database with them that each test has a copy of."""
    with servers.filled(server_url, template, fill) as name:
        yield name


@pytest.fixture
def conn(own_db, autocommit):
    """A connection to the copy."""
    return autocommit(own_db)


def new_day(conn, number) -> None:
    conn.execute(
        """
        insert into bars.cmc_price_histories7 (id, ts, open, high, low, close)
        select a.id, %s, x, x, x, x
        from bars.dim_assets as a
        cross join lateral (select (1 + a.id + %s)::float8 as x) as c
        """,
        (prices.ts(number), number),
    )


def test_what_has_only_news_comes_in_fifties_and_what_is_built_whole_alone(conn):
    assert [len(batch) for batch in batches(conn)] == [50, 50, 20]
    assert [id_ for batch in batches(conn) for id_ in batch] == list(ASSETS)
    assert [len(batch) for batch in batches(conn, rebuild=True)] == [1] * 120
    conn.execute("delete from features.feature_state where id = 7")
    conn.execute("update features.feature_state set fingerprint = 'another' where id = 60")
    found = batches(conn)
    assert sorted(id_ for batch in found for id_ in batch) == list(ASSETS)
    assert sorted(map(len, found)) == [1, 1, 18, 50, 50]
    assert [7] in found
    assert [60] in found


def test_what_failed_or_begins_far_back_is_alone_too(conn):
    conn.execute(
        "update features.refresh_state set failed_at = now(), last_error = 'x' where id = 7"
    )
    conn.execute(
        "select bars.log_dirty_range(id, %s, %s) from unnest(array[8, 9]) as u (id)",
        (prices.ts(0), prices.ts(1)),
    )
    conn.execute(
        "update features.feature_state set last_processed_ts = %s where id = 9", (prices.ts(500),)
    )
    found = batches(conn)
    assert sorted(map(len, found)) == [1, 1, 18, 50, 50]
    assert [7] in found
    assert [9] in found


def test_assets_worked_out_together_share_their_time_evenly(conn):
    new_day(conn, 2)
    conn.execute("delete from observability.metrics")
    conn.execute("delete from observability.traces")
    refresh(conn)
    sets = conn.execute(
        """
        select count(*), min((t.metadata ->> 'together')::integer), t.end_time - t.start_time
        from observability.traces as t
        where t.operation = 'refresh_features.asset'
        group by t.start_time, t.end_time
        order by t.start_time
        """
    ).fetchall()
    assert [(count, together) for count, together, _ in sets] == [(50, 50), (50, 50), (20, 20)]
    (seconds,) = conn.execute(
        """
        select sum(m.value)
        from observability.metrics as m
        where m.metric_name = 'refresh_features.asset.seconds'
        """
    ).fetchone()
    assert seconds == pytest.approx(sum(each.total_seconds() for _, _, each in sets))


def test_a_set_without_timeframes_has_the_state_of_assets_done_singly(conn):
    together = conn.execute(
        "select d.id, d.last_ts, d.state from features.refresh_bars(%s, %s) as d order by d.id",
        (list(ASSETS), ["-infinity"] * len(ASSETS)),
    ).fetchall()
    singly = conn.execute(
        """
        select d.id, d.last_ts, d.state
        from unnest(%s::integer[]) as a (id)
        cross join lateral features.refresh_bars(array[a.id], '{-infinity}') as d
        order by a.id
        """,
        (list(ASSETS),),
    ).fetchall()
    assert together == singly


def test_nothing_due_writes_no_row_and_says_so_of_every_asset(conn):
    assert "120 assets, 0 rows" in refresh(conn)
    run = conn.execute(
        """
        select w.metadata ->> 'assets', w.metadata ->> 'rows_read'
        from observability.workflow_state as w
        order by w.created_at desc
        limit 1
        """
    ).fetchone()
    assert run == ("120", "0")


def test_one_asset_that_fails_takes_nothing_of_its_batch_along(conn):
    new_day(conn, 2)
    conn.execute(
        "alter table features.cmc_returns_daily add constraint no check (id <> 30) not valid"
    )
    assert re.search(rf"120 assets, {119 * EACH} rows, .* 1 failed", refresh(conn))
    conn.execute("alter table features.cmc_returns_daily drop constraint no")
    assert f"120 assets, {EACH} rows" in refresh(conn)


def test_a_kill_loses_a_batch_and_no_more(conn, own_db, autocommit):
    new_day(conn, 2)
    slow = autocommit(own_db)
    rows = "insert on features.cmc_returns_daily for each row when (new.id = 70)"
    contract.slow_down(conn, rows, 60)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, slow)
        contract.wait_for_sleep(conn, slow.info.backend_pid)
        conn.execute("select pg_terminate_backend(%s)", (slow.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            run.result()
    conn.execute("drop trigger dawdle on features.cmc_returns_daily")
    there = conn.execute(
        "select r.id from features.cmc_returns_daily as r where r.ts = %s order by 1",
        (prices.ts(2),),
    ).fetchall()
    assert [id_ for (id_,) in there] == list(range(1, 51))
    assert f"120 assets, {70 * EACH} rows" in refresh(conn)
    contract.refresh(conn)
    found = contract.digest(conn)
    assert found == contract.full(conn)


def test_two_sessions_share_the_batches(conn, own_db, autocommit):
    new_day(conn, 2)
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(refresh, [autocommit(own_db), autocommit(own_db)]))
    done = [re.search(r"(\d+) assets?, (\d+) rows?", line).groups() for line in said]
    assert sum(int(assets) for assets, _ in done) == 120
    assert sum(int(rows) for _, rows in done) == 120 * EACH
