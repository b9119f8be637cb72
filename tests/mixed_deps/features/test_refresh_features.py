"""The verb: it commits as it goes, survives anything, and shares the work."""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from ta_lab2.features import queries
from ta_lab2.features.errors import RefreshFailed, UnknownAsset
from tests.support import contract, prices, servers
from tests.support.contract import COMPUTATIONS, DAILY

ASSETS = (1, 2, 3, 52, 1027)


def fill(conn) -> None:
    """Five assets of 200 days, without timeframes."""
    contract.only(conn, ())
    for asset in ASSETS:
        prices.put(conn, asset, {n: 1.0 + (n * asset) % 13 for n in range(200) if n % 50})


@pytest.fixture(scope="module")
def original(server_url, template):
    """A database with them that each test has a copy of."""
    with servers.filled(server_url, template, fill) as name:
        yield name


@pytest.fixture
def conn(own_db, autocommit):
    """A connection to the copy."""
    return autocommit(own_db)


#: From day 1 to day 199, gaps included.
SESSIONS = 199
#: What a refresh writes for an asset.
ROWS = SESSIONS * len(DAILY)
#: Whose rows stand on candles, and not on what another fills.
READERS = sorted(["bars", *(each.feature_type for each in DAILY)])


def refresh(conn, asset_ids=None, **options) -> list[str]:
    lines: list[str] = []
    queries.refresh(conn, asset_ids, on_notice=lines.append, **options)
    return lines


def rows_written(lines) -> int:
    return int(re.search(r" (\d+) rows?,", lines[-1])[1])


def digest(conn) -> str:
    return conn.execute(
        """
        select md5(string_agg(r::text, ';' order by r.id, r.ts))
        from features.cmc_returns_daily as r
        """
    ).fetchone()[0]


def stored(conn):
    """Every row, as table, asset, ts and all its bits."""
    return {
        (each.table, *row)
        for each in DAILY
        for row in conn.execute(f"select r.id, r.ts, record_send(r) from {each.table} as r")
    }


def full_build(conn) -> str:
    """The digest of a build from nothing."""
    wipe(conn)
    refresh(conn)
    return digest(conn)


def wipe(conn) -> None:
    """Take the returns away, and that they were ever worked out."""
    conn.execute("delete from features.cmc_returns_daily")
    conn.execute("delete from features.feature_state")


def state(conn):
    return conn.execute(
        """
        select s.id, s.refreshed_at is not null, s.last_error
        from features.refresh_state as s
        order by s.id
        """
    ).fetchall()


def test_a_refresh_says_how_far_it_is_and_a_second_one_writes_nothing(conn):
    lines = refresh(conn)
    # In one line or, where the machine is busy, in several.
    told = [
        re.match(r"refresh_features: (\d+) more assets? done, (\d+) of 5, (\d+) rows?", line)
        for line in lines
        if "done" in line
    ]
    assert sum(int(each[1]) for each in told) == 5
    assert (told[-1][2], told[-1][3]) == ("5", str(5 * ROWS))
    assert lines[-1].startswith(f"refresh_features: 5 assets, {5 * ROWS} rows,")
    before = digest(conn)
    assert " 5 assets, 0 rows," in refresh(conn)[-1]
    assert digest(conn) == before
    assert state(conn) == [(asset, True, None) for asset in ASSETS]


def test_only_the_assets_that_are_named_are_refreshed(conn):
    assert rows_written(refresh(conn, [2, 1027, 2])) == 2 * ROWS
    assert [asset for asset, _, _ in state(conn)] == [2, 1027]


def test_no_asset_at_all_is_nothing_to_do(untouched_db, autocommit):
    conn = autocommit(untouched_db)
    assert " 0 assets, 0 rows," in refresh(conn)[-1]
    assert " 0 assets, 0 rows," in refresh(conn, [])[-1]


@pytest.mark.parametrize("ids", [[999], [1, 999], [None, 1]])
def test_an_unknown_asset_is_refused_before_anything_is_done(conn, ids):
    with pytest.raises(UnknownAsset, match=r"no asset has the id (999|null)"):
        refresh(conn, ids)
    assert state(conn) == []


def test_a_dry_run_says_what_is_due_and_writes_nothing(conn):
    candles = conn.execute("select count(*) from bars.cmc_price_histories7").fetchone()[0]
    lines = refresh(conn, dry_run=True)
    assert lines[:-1] == [
        f"refresh_features: {name}: {len(ASSETS)} assets, {candles} candles are due"
        for name in sorted(each.feature_type for each in COMPUTATIONS)
    ], "of many assets a line for each computation"
    lines = refresh(conn, [3, 52], dry_run=True)
    assert "refresh_features: asset 52, returns: 196 candles are due" in lines
    lines = refresh(conn, dry_run=True)
    due = len(ASSETS) * len(COMPUTATIONS)
    assert lines[-1] == f"refresh_features: {due} computations are due, nothing was written"
    assert state(conn) == []
    refresh(conn)
    prices.put(conn, 3, dict.fromkeys(range(190, 200), 5.0))
    before = digest(conn)
    assert refresh(conn, dry_run=True) == [
        *(f"refresh_features: asset 3, {name}: 10 candles are due" for name in READERS),
        f"refresh_features: {len(READERS)} computations are due, nothing was written",
    ]
    assert digest(conn) == before
    assert "due, nothing" in refresh(conn, [1], rebuild=True, dry_run=True)[-1]
    with pytest.raises(UnknownAsset):
        refresh(conn, [999], dry_run=True)


def test_a_rebuild_mends_what_somebody_changed_by_hand(conn):
    refresh(conn)
    before = digest(conn)
    conn.execute("delete from features.cmc_returns_daily as r where r.id = 2")
    conn.execute("update features.cmc_returns_daily as r set ret_z_7 = 9 where r.id = 3")
    assert rows_written(refresh(conn)) == 0
    assert rows_written(refresh(conn, [2, 3], rebuild=True)) == 2 * SESSIONS
    assert digest(conn) == before
    assert rows_written(refresh(conn, rebuild=True)) == 0


def test_an_open_transaction_is_refused(own_db):
    with psycopg.connect(own_db) as conn, pytest.raises(ValueError, match="autocommit"):
        queries.refresh(conn)


def test_candles_that_come_change_and_go_end_in_the_bits_of_a_full_build(conn):
    refresh(conn)
    prices.put(conn, 1, {50: 3.5, 60: 4.25, 230: 7.0})
    prices.drop(conn, 2, range(100, 120))
    prices.drop(conn, 3, range(200))
    prices.put(conn, 77, {0: 1.0, 1: 1.5})
    before = stored(conn)
    written = rows_written(refresh(conn))
    # A row that changed is in both, with other values.
    assert written == len({row[:-1] for row in before ^ stored(conn)})
    assert digest(conn) == full_build(conn)


def slow_returns(conn, asset: int) -> None:
    """Let every row of an asset's returns take a while."""
    rows = f"insert on features.cmc_returns_daily for each row when (new.id = {asset})"
    contract.slow_down(conn, rows, 0.02)


@pytest.mark.parametrize("asset", [1, 3, 1027])
def test_a_killed_refresh_keeps_what_it_committed_and_the_next_ends_in_the_same_bits(
    conn, own_db, autocommit, asset
):
    expected = full_build(conn)
    wipe(conn)
    slow_returns(conn, asset)
    victim = autocommit(own_db)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, victim)
        contract.wait_for_sleep(conn, victim.info.backend_pid)
        conn.execute("select pg_terminate_backend(%s)", (victim.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            run.result()
    stored = conn.execute("select distinct r.id from features.cmc_returns_daily as r order by 1")
    assert [id_ for (id_,) in stored] == [each for each in ASSETS if each < asset]
    conn.execute("drop trigger dawdle on features.cmc_returns_daily")
    refresh(conn)
    assert digest(conn) == expected


def test_an_asset_that_another_session_holds_is_left_to_it(conn, own_db):
    refresh(conn)
    expected = digest(conn)
    wipe(conn)
    with psycopg.connect(own_db) as other:
        other.execute("select from features.refresh_state as s where s.id = 3 for update")
        conn.execute("set lock_timeout = '10s'")
        lines = refresh(conn)
    assert "refresh_features: 1 asset left to another session" in lines
    assert rows_written(lines) == 4 * SESSIONS
    assert rows_written(refresh(conn)) == SESSIONS
    assert digest(conn) == expected


def test_two_sessions_share_the_assets_and_none_is_done_twice(conn, own_db, autocommit):
    expected = full_build(conn)
    wipe(conn)
    slow_returns(conn, 1)
    slow, fast = autocommit(own_db), autocommit(own_db)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, slow)
        contract.wait_for_sleep(conn, slow.info.backend_pid)
        fast_lines = refresh(fast)
        slow_lines = run.result()
    assert rows_written(fast_lines) == 4 * SESSIONS
    assert rows_written(slow_lines) == SESSIONS
    assert "refresh_features: 4 assets left to another session" in slow_lines
    assert digest(conn) == expected


def test_one_failing_asset_is_recorded_and_the_others_go_on(conn):
    conn.execute(
        "alter table features.cmc_returns_daily add constraint not_today check (id <> 3) not valid"
    )
    lines = refresh(conn)
    assert any(line.startswith("refresh_features: asset 3 failed: ") for line in lines)
    assert lines[-1].endswith(", 1 failed")
    assert rows_written(lines) == 4 * ROWS
    failed = [row for row in state(conn) if row[2]]
    assert [row[0] for row in failed] == [3]
    assert failed[0][2].startswith("23514: ")
    conn.execute("alter table features.cmc_returns_daily drop constraint not_today")
    assert rows_written(refresh(conn)) == ROWS
    assert state(conn) == [(asset, True, None) for asset in ASSETS]


def test_it_fails_when_every_asset_failed_and_keeps_why(conn):
    conn.execute(
        "alter table features.cmc_returns_daily add constraint never check (id < 0) not valid"
    )
    with pytest.raises(RefreshFailed) as caught:
        refresh(conn)
    assert "5 assets tried" in caught.value.detail
    assert all(error.startswith("23514: ") for _, _, error in state(conn))


def test_a_candle_that_comes_while_its_asset_is_refreshed_is_taken_by_the_next(
    conn, own_db, autocommit
):
    slow_returns(conn, 1)
    slow = autocommit(own_db)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, slow, [1])
        contract.wait_for_sleep(conn, slow.info.backend_pid)
        prices.put(conn, 1, {200: 9.0})
        first = rows_written(run.result())
    conn.execute("drop trigger dawdle on features.cmc_returns_daily")
    # The steps after the slow one have seen it.
    assert first == ROWS + len(DAILY) - 1
    # Its return, and the row of the store that had waited for it.
    assert rows_written(refresh(conn)) == 2 + 4 * ROWS
    assert digest(conn) == full_build(conn)


def test_the_app_may_refresh_and_the_reader_may_only_look(conn):
    conn.execute("set role ta_lab2_app")
    assert rows_written(refresh(conn)) == 5 * ROWS
    conn.execute("set role ta_lab2_reader")
    for table, count in (("cmc_returns_daily", 5 * SESSIONS), ("refresh_state", 5)):
        assert conn.execute(f"select count(*) from published.{table}").fetchone() == (count,)
    for attempt in (
        "call public.refresh_features()",
        "select * from features.cmc_returns_daily",
        "select features.refresh_asset(1)",
        "delete from published.cmc_returns_daily",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(attempt)


def test_the_notices_stop_when_the_refresh_does(conn):
    lines = refresh(conn)
    count = len(lines)
    with contextlib.suppress(psycopg.Error):
        conn.execute("do $$ begin raise notice 'later'; end $$")
    assert len(lines) == count
