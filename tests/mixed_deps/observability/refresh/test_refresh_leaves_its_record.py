"""What a real refresh leaves behind: its workflow, trace tree, metrics and alerts."""

from __future__ import annotations

import pytest

from ta_lab2.features.errors import RefreshFailed
from ta_lab2.observability import queries
from tests.support import prices
from tests.support.contract import DAILY
from tests.support.recorded import (
    ASSETS,
    DAYS,
    ROWS,
    allow,
    digest,
    refresh,
    refuse,
    rows,
    runs,
)

RUN_METRICS = {
    f"refresh_features.run.{name}"
    for name in ("assets", "failed", "rows_read", "rows_written", "rows_unchanged", "seconds")
}
ASSET_METRICS = {
    f"refresh_features.asset.{name}"
    for name in ("rows_read", "rows_written", "rows_unchanged", "seconds")
}


def test_a_run_is_one_workflow_and_the_root_of_a_tree_of_its_assets(conn):
    refresh(conn)
    (run,) = runs(conn)
    assert (run["type"], run["phase"], run["status"]) == ("refresh_features", "finished", "done")
    assert run["created_at"] < run["updated_at"]
    root, *children = rows(conn, "traces", "true order by t.start_time")
    assert root["trace_id"] == run["workflow_id"]
    assert (root["parent_id"], root["operation"]) == (None, "refresh_features")
    assert [child["metadata"]["id"] for child in children] == list(ASSETS)
    clock = root["start_time"]
    for child in children:
        assert child["parent_id"] == root["trace_id"]
        assert child["operation"] == "refresh_features.asset"
        assert child["status"] == "done"
        # One after the other, and all within the run.
        assert clock <= child["start_time"] <= child["end_time"] <= root["end_time"]
        clock = child["end_time"]
    everything = [*rows(conn, "traces"), *rows(conn, "metrics"), run]
    assert {each["correlation_id"] for each in everything} == {run["correlation_id"]}
    assert rows(conn, "alerts") == []


def measured(conn, run):
    """The metrics of a run by the last word of their name and the asset, None for the run's."""
    return {
        (metric["metric_name"].rsplit(".", 1)[1], metric["tags"].get("id")): metric["value"]
        for metric in rows(conn, "metrics", "t.correlation_id = %s", run["correlation_id"])
    }


def stored(conn):
    """Every row, as table, asset, ts and all its bits."""
    return {
        (each.table, *row)
        for each in DAILY
        for row in conn.execute(f"select r.id, r.ts, record_send(r) from {each.table} as r")
    }


def test_a_full_build_counts_what_it_read_and_wrote(conn):
    refresh(conn)
    (run,) = runs(conn)
    found = measured(conn, run)
    for asset in ASSETS:
        assert (found["rows_read", asset], found["rows_written", asset]) == (ROWS, ROWS)
        assert found["rows_unchanged", asset] == 0
        assert found["seconds", asset] > 0
    assert found["rows_written", None] == found["rows_read", None] == len(ASSETS) * ROWS
    assert (found["assets", None], found["failed", None]) == (len(ASSETS), 0)
    (root,) = rows(conn, "traces", "t.trace_id = %s", run["workflow_id"])
    assert found["seconds", None] == (root["end_time"] - root["start_time"]).total_seconds()
    for counted in (run["metadata"], root["metadata"]):
        assert (counted["assets"], counted["failed"], counted["left_to_others"]) == (5, 0, 0)
        assert counted["rows_written"] == len(ASSETS) * ROWS


def test_rows_written_are_counted_per_asset_and_in_all(conn):
    refresh(conn)
    before = stored(conn)
    prices.put(conn, 1, {DAYS: 9.0})
    prices.put(conn, 2, {10: 99.0})
    prices.drop(conn, 3, [DAYS - 1])
    refresh(conn)
    # A row that changed is in both, with other values.
    changed = {row[:-1] for row in before ^ stored(conn)}
    found = measured(conn, runs(conn)[-1])
    for asset in (1, 2, 3):
        written = sum(1 for _, id_, _ in changed if id_ == asset)
        assert found["rows_written", asset] == written > 0
        assert found["rows_read", asset] > 0
        assert found["rows_unchanged", asset] >= 0
    assert found["rows_written", None] == len(changed)
    assert found["rows_read", None] >= sum(found["rows_read", asset] for asset in (1, 2, 3))
    # Where nothing was to do, nothing is said.
    assert {asset for _, asset in found} == {1, 2, 3, None}


def test_a_run_with_nothing_to_do_leaves_one_workflow_and_its_totals(conn):
    refresh(conn)
    before = digest(conn)
    refresh(conn)
    assert digest(conn) == before
    last = runs(conn)[-1]
    assert len(runs(conn)) == 2
    assert last["metadata"]["rows_written"] == 0
    names = [
        metric["metric_name"]
        for metric in rows(conn, "metrics", "t.correlation_id = %s", last["correlation_id"])
    ]
    assert sorted(names) == sorted(RUN_METRICS)
    assert len(rows(conn, "traces", "t.correlation_id = %s", last["correlation_id"])) == 1


def test_no_asset_at_all_is_a_run_too(untouched_db, autocommit):
    conn = autocommit(untouched_db)
    refresh(conn)
    (run,) = runs(conn)
    assert (run["status"], run["metadata"]["assets"]) == ("done", 0)


def test_a_refusal_before_anything_is_done_is_no_run(conn):
    with pytest.raises(Exception, match="no asset has the id 999"):
        refresh(conn, [999])
    assert runs(conn) == []


def test_the_bits_are_those_of_a_refresh_without_any_record(conn, undisturbed):
    for asset in ASSETS:
        conn.execute("insert into features.refresh_state (id) values (%s)", (asset,))
        conn.execute("select features.refresh_asset(%s)", (asset,))
    assert digest(conn) == undisturbed
    assert runs(conn) == []


def test_the_events_of_a_closed_run_are_gone(conn):
    refuse(conn, 3)
    refresh(conn)
    assert conn.execute("select count(*) from features.refresh_events").fetchone() == (0,)


def test_an_asset_that_fails_leaves_one_alert_and_the_others_are_done(conn):
    refuse(conn, 3)
    refresh(conn)
    (run,) = runs(conn)
    assert (run["status"], run["metadata"]["failed"]) == ("partial", 1)
    (alert,) = rows(conn, "alerts")
    assert alert["alert_type"] == "refresh_features.asset_failed"
    assert (alert["severity"], alert["occurrences"]) == ("warning", 1)
    assert alert["message"].startswith("asset 3 failed: new row for relation")
    assert alert["problem"] == "refresh_features asset 3 23514"
    assert alert["metadata"]["id"] == 3
    assert alert["metadata"]["run_id"] == str(run["workflow_id"])
    assert alert["correlation_id"] == run["correlation_id"]
    status = {
        trace["metadata"]["id"]: trace["status"]
        for trace in rows(conn, "traces", "t.parent_id is not null")
    }
    assert status == {1: "done", 2: "done", 3: "failed", 52: "done", 1027: "done"}
    (failed,) = rows(conn, "traces", "t.status = 'failed'")
    assert failed["metadata"]["sqlstate"] == "23514"
    assert "not_3" in failed["metadata"]["message"]
    names = {metric["metric_name"] for metric in rows(conn, "metrics", "t.tags @> %s", '{"id": 3}')}
    assert names == {"refresh_features.asset.seconds"}


def test_an_asset_that_fails_again_is_the_same_alert_until_it_succeeds(conn):
    refuse(conn, 3)
    for _ in range(3):
        refresh(conn)
    (alert,) = rows(conn, "alerts")
    assert (alert["occurrences"], alert["resolved_at"]) == (3, None)
    assert alert["correlation_id"] == runs(conn)[-1]["correlation_id"]
    allow(conn, 3)
    refresh(conn, [1])
    assert rows(conn, "alerts")[0]["resolved_at"] is None
    refresh(conn)
    (alert,) = rows(conn, "alerts")
    assert alert["resolved_at"] is not None
    prices.put(conn, 3, {DAYS: 9.0})
    refuse(conn, 3)
    refresh(conn)
    found = rows(conn, "alerts", "true order by t.created_at")
    assert [each["occurrences"] for each in found] == [3, 1]


def test_another_error_of_the_same_asset_is_another_alert_and_ends_the_first(conn):
    refuse(conn, 3)
    refresh(conn)
    allow(conn, 3)
    conn.execute(
        """
        create function public.stumble() returns trigger language plpgsql as $$
        begin
            return 1 / 0;
        end $$
        """
    )
    conn.execute(
        """
        create trigger stumble before insert on features.cmc_returns_daily
        for each row when (new.id = 3) execute function public.stumble()
        """
    )
    refresh(conn)
    first, second = rows(conn, "alerts", "true order by t.created_at")
    assert first["resolved_at"] is not None
    assert (second["problem"], second["resolved_at"]) == ("refresh_features asset 3 22012", None)


def test_a_refresh_that_fails_altogether_leaves_its_record_and_a_critical_alert(conn):
    for asset in ASSETS:
        refuse(conn, asset)
    for _ in range(2):
        with pytest.raises(RefreshFailed):
            refresh(conn)
    assert [run["status"] for run in runs(conn)] == ["failed", "failed"]
    (critical,) = rows(conn, "alerts", "t.severity = 'critical'")
    assert (critical["alert_type"], critical["occurrences"]) == ("refresh_features.failed", 2)
    assert len(rows(conn, "alerts", "t.severity = 'warning'")) == 5
    for asset in ASSETS:
        allow(conn, asset)
    refresh(conn)
    assert queries.open_problems(conn) == []


def hold(conn, *assets) -> None:
    """Hold assets as a session does that works on them."""
    conn.execute(
        "select from features.refresh_state where id = any (%s) and verb = %s for update",
        (list(assets), "refresh_features"),
    )


def test_a_session_that_met_only_the_asset_that_fails_has_not_failed_altogether(
    conn, own_db, autocommit
):
    refresh(conn)
    refuse(conn, 3)
    prices.put(conn, 3, {DAYS: 9.0})
    other = autocommit(own_db)
    with other.transaction():
        hold(other, 1, 2, 52, 1027)
        lines = refresh(conn)
    assert lines[-1].startswith("refresh_features: 1 asset, 0 rows, ")
    assert lines[-1].endswith(", 1 failed")
    assert [run["status"] for run in runs(conn)] == ["done", "partial"]
    assert rows(conn, "alerts", "t.severity = 'critical'") == []


def test_a_session_whose_others_failed_too_says_that_all_did(conn, own_db, autocommit):
    refresh(conn)
    refuse(conn, 3)
    prices.put(conn, 3, {DAYS: 9.0})
    conn.execute(
        """
        update features.refresh_state
        set failed_at = 'infinity', last_error = '23514: not today'
        where id <> 3
        """
    )
    other = autocommit(own_db)
    with other.transaction():
        hold(other, 1, 2, 52, 1027)
        with pytest.raises(RefreshFailed):
            refresh(conn)
    assert [run["status"] for run in runs(conn)] == ["done", "failed"]


def test_the_callers_correlation_id_is_the_runs(own_db, conn, autocommit):
    other = autocommit(own_db)
    with queries.correlated(conn) as first:
        refresh(conn)
        with queries.correlated(other) as second:
            refresh(other)
        refresh(conn)
    refresh(conn)
    # A verb that calls this one sets it for its transaction, which this one commits.
    conn.execute(
        """
        do $$ begin
            perform set_config('ta_lab2.correlation_id', repeat('a', 32), true);
            call public.refresh_features();
        end $$
        """
    )
    found = [run["correlation_id"] for run in runs(conn)]
    assert found[:3] == [first, second, first]
    assert found[3] not in {first, second}
    assert found[4] == "a" * 32


def test_the_assets_write_asset_tables_only(conn):
    """While the assets are being done, nothing else is written: it could be elsewhere later."""
    conn.execute(
        """
        create function public.only_outside() returns trigger language plpgsql as $$
        begin
            if exists (select from features.refresh_events) and tg_op = 'INSERT'
                and not exists (
                    select from observability.workflow_state as w where w.status <> 'running'
                )
            then
                raise exception 'written during the assets: %', tg_relid::regclass;
            end if;
            return null;
        end $$
        """
    )
    for table in ("metrics", "alerts", "traces"):
        conn.execute(
            f"""
            create trigger only_outside after insert on observability.{table}
            for each statement execute function public.only_outside()
            """
        )
    refresh(conn)
    assert [run["status"] for run in runs(conn)] == ["done"]


def test_the_app_refreshes_with_its_record_and_the_reader_sees_it(conn):
    conn.execute("set role ta_lab2_app")
    assert refresh(conn)[-1].endswith("0 failed")
    conn.execute("set role ta_lab2_reader")
    for table, count in (("workflow_state", 1), ("traces", 6), ("metrics", 26), ("alerts", 0)):
        assert conn.execute(f"select count(*) from published.{table}").fetchone() == (count,)
    assert conn.execute("select count(*) from published.refresh_events").fetchone() == (0,)


def test_the_last_runs_come_newest_first_and_failed_ones_alone_when_asked(conn):
    refresh(conn)
    refuse(conn, 3)
    prices.put(conn, 3, {DAYS: 9.0})
    refresh(conn)
    refresh(conn, [1])
    found = queries.recent_runs(conn)
    assert [run.status for run in found] == ["done", "partial", "done"]
    assert all(run.seconds is not None and run.seconds > 0 for run in found)
    assert all("backend" not in run.metadata for run in found)
    assert [run.status for run in queries.recent_runs(conn, failed=True)] == ["partial"]
    assert len(queries.recent_runs(conn, most=1)) == 1
