"""The refresh on pg_cron: in its own database, and from another one of the server."""

from __future__ import annotations

import time

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ta_lab2 import cli
from ta_lab2.db.migrate import migrate
from ta_lab2.errors import Refused
from ta_lab2.ops import queries
from ta_lab2.ops.errors import CronElsewhere
from tests.support import intraday, prices

JOB = "ta_lab2 refresh_all"
INTRADAY = "ta_lab2 refresh_intraday"
PRUNE = "ta_lab2 prune", "40 1 * * *", "select observability.prune('90 days')"
PRUNE_CRON = (
    "ta_lab2 prune_cron",
    "45 1 * * *",
    "delete from cron.job_run_details as d"
    " where coalesce(d.end_time, d.start_time) < now() - interval '90 days'",
)
ASSET = 999_000_001
REMOVE = "select cron.unschedule(j.jobid) from cron.job as j where j.jobname like 'ta_lab2 %'"
IDLE = "select from cron.job_run_details as d where d.status = 'running' having count(*) = 0"


@pytest.fixture(scope="module")
def cron_home(server_url):
    """The one database of the server that pg_cron serves, migrated; dropped if it was made here."""
    with psycopg.connect(server_url, autocommit=True) as server:
        (name,) = server.execute("select current_setting('cron.database_name', true)").fetchone()
        assert name, "the test server must preload pg_cron"
        stands = server.execute("select from pg_database as d where d.datname = %s", (name,))
        made = not stands.rowcount
        if made:
            server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        conninfo = make_conninfo(server_url, dbname=name)
        try:
            migrate(conninfo, say=lambda _: None, ours=True)
            yield conninfo
        finally:
            if made:
                server.execute(
                    sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
                )


@pytest.fixture
def cron(cron_home, autocommit):
    """A superuser's connection to pg_cron's database, without jobs of ours before and after."""
    conn = autocommit(cron_home)
    conn.execute(REMOVE)
    yield conn
    conn.execute("reset role")
    conn.execute(REMOVE)
    wait(conn, IDLE)


def jobs(conn):
    return conn.execute(
        """
        select j.jobname, j.schedule, j.command, j.database, j.username
        from cron.job as j
        order by j.jobname
        """
    ).fetchall()


def wait(conn, query, *parameters) -> None:
    """Return when the query finds something; pg_cron looks for work once a second."""
    for _ in range(300):
        if conn.execute(query, parameters).rowcount:
            return
        time.sleep(0.2)
    raise AssertionError(conn.execute("select d from cron.job_run_details as d").fetchall())


def succeeded(conn, database: str) -> None:
    wait(
        conn,
        """
        select
        from cron.job_run_details as d
        join cron.job as j on j.jobid = d.jobid
        where j.jobname like 'ta_lab2 %%' and d.database = %s and d.status = 'succeeded'
          and d.username = 'ta_lab2_app' and d.command = 'CALL refresh_all()'
        """,
        database,
    )


def test_pg_cron_really_runs_the_refresh_as_the_app(cron):
    prices.put(cron, ASSET, {0: 1.0, 1: 1.5})
    try:
        cron.execute("set role ta_lab2_app")
        queries.schedule(cron, "1 seconds")
        succeeded(cron, cron.info.dbname)
        wait(
            cron,
            "select from features.cmc_returns_daily as r where r.id = %s and r.ret_pct_1 = 0.5",
            ASSET,
        )
        queries.unschedule(cron)
        assert jobs(cron) == []
    finally:
        cron.execute("reset role")
        cron.execute(REMOVE)
        wait(cron, IDLE)
        for table in (
            "features.cmc_returns_daily",
            "features.cmc_vol_daily",
            "features.feature_state",
            "features.refresh_state",
            "bars.cmc_price_histories7",
            "bars.dirty_range",
            "bars.price_revisions",
            "bars.price_state",
            "bars.dim_assets",
        ):
            cron.execute(f"delete from {table} where id = %s", (ASSET,))


def test_pg_cron_really_rolls_intraday_candles_up_as_the_app(cron, own_db, autocommit, means):
    conn = autocommit(own_db)
    intraday.put(conn, 1, {n: intraday.candle(n) for n in range(12)})
    means(own_db)
    assert cli.run(["schedule", "--intraday-at", "1 seconds"]) == 0
    wait(conn, "select from bars.intraday_1h")
    assert cli.run(["unschedule"]) == 0
    assert jobs(cron) == []


def test_it_is_daily_by_default_and_a_second_call_changes_the_schedule_only(cron):
    database = cron.info.dbname
    cron.execute("call public.schedule_jobs()")
    assert jobs(cron) == [
        (*PRUNE, database, "ta_lab2_app"),
        (*PRUNE_CRON, database, "ta_lab2_app"),
        (JOB, "10 0 * * *", "CALL refresh_all()", database, "ta_lab2_app"),
        (INTRADAY, "5 * * * *", "CALL refresh_intraday()", database, "ta_lab2_app"),
    ]
    cron.execute("call public.schedule_jobs('*/30 * * * *', '* * * * *')")
    assert jobs(cron) == [
        (*PRUNE, database, "ta_lab2_app"),
        (*PRUNE_CRON, database, "ta_lab2_app"),
        (JOB, "*/30 * * * *", "CALL refresh_all()", database, "ta_lab2_app"),
        (INTRADAY, "* * * * *", "CALL refresh_intraday()", database, "ta_lab2_app"),
    ]


def test_pg_cron_really_prunes_as_the_app(cron):
    """The job's own command, every second instead of once a night."""
    (old,) = cron.execute(
        """
        insert into observability.metrics (correlation_id, metric_name, value, recorded_at)
        values (observability.new_correlation_id(), 'test.old', 1, now() - interval '100 days')
        returning metric_id
        """
    ).fetchone()
    cron.execute("call public.schedule_jobs('0 0 1 1 *', '0 0 1 1 *')")
    try:
        cron.execute("set role ta_lab2_app")
        cron.execute("select cron.schedule(%s, '1 seconds', %s)", (PRUNE[0], PRUNE[2]))
        cron.execute("reset role")
        wait(
            cron,
            "select having not exists (select from observability.metrics where metric_id = %s)",
            old,
        )
    finally:
        cron.execute("reset role")


#: Who ran it, how many days ago it began and ended; null: it didn't.
RUNS = {
    "old": ("ta_lab2_app", 100, 99),
    "killed": ("ta_lab2_app", 100, None),
    "late": ("ta_lab2_app", 100, 80),
    "new": ("ta_lab2_app", 80, 80),
    "running": ("ta_lab2_app", 0, None),
    "of another": ("postgres", 100, 99),
}


def test_pg_cron_really_forgets_old_runs_of_the_app_and_no_others(cron):
    """The job's own command, every second instead of once a night."""
    for what, (role, began, ended) in RUNS.items():
        cron.execute(
            """
            insert into cron.job_run_details (
                jobid, runid, database, username, command, status, start_time, end_time
            )
            select 0, nextval('cron.runid_seq'), current_database(), %s, %s, 'succeeded',
                now() - make_interval(days => %s), now() - make_interval(days => %s)
            """,
            (role, f"test {what}", began, ended),
        )
    left = "select d.command from cron.job_run_details as d where starts_with(d.command, 'test ')"
    try:
        cron.execute("call public.schedule_jobs('0 0 1 1 *', '0 0 1 1 *')")
        cron.execute("set role ta_lab2_app")
        cron.execute("select cron.schedule(%s, '1 seconds', %s)", (PRUNE_CRON[0], PRUNE_CRON[2]))
        cron.execute("reset role")
        wait(cron, f"select having not exists ({left} and d.command = %s)", "test old")
        assert {command for (command,) in cron.execute(left)} == {
            "test late", "test new", "test running", "test of another"
        }  # fmt: skip
    finally:
        cron.execute("reset role")
        cron.execute("delete from cron.job_run_details where command like 'test %'")


def test_the_callers_role_comes_back(cron):
    with cron.transaction():
        cron.execute("call public.schedule_jobs()")
        cron.execute("call public.unschedule_jobs()")
        assert cron.execute("select current_user = session_user").fetchone() == (True,)
    assert jobs(cron) == []


def test_unscheduling_nothing_is_no_error(cron):
    queries.unschedule(cron)
    queries.unschedule(cron)


def test_jobs_of_others_stay(cron):
    cron.execute("select cron.schedule('another', '0 0 1 1 *', 'select 1')")
    try:
        queries.schedule(cron, "0 0 * * *")
        queries.unschedule(cron)
        assert [job[0] for job in jobs(cron)] == ["another"]
    finally:
        cron.execute("select cron.unschedule('another')")


def test_a_schedule_that_is_none_is_refused(cron):
    with pytest.raises(Refused, match="invalid schedule"):
        queries.schedule(cron, "every tuesday")
    assert jobs(cron) == []


@pytest.mark.parametrize("role", ["postgres", "ta_lab2_app"])
@pytest.mark.parametrize("verb", ["schedule_jobs", "unschedule_jobs"])
def test_another_database_says_which_setting_to_change(tx, role, verb):
    if role == "ta_lab2_app":
        tx.execute("set local role ta_lab2_app")
    with pytest.raises(psycopg.Error) as caught:
        tx.execute(f"call public.{verb}()")
    assert caught.value.sqlstate == "TA701"
    assert "cron.database_name" in caught.value.diag.message_detail
    assert f"cron.database_name = '{tx.info.dbname}'" in caught.value.diag.message_hint


def test_the_error_has_its_class(tx):
    with pytest.raises(CronElsewhere) as caught:
        queries.schedule(tx, "0 0 * * *")
    assert caught.value.exit_code == 2


def test_the_command_schedules_in_pg_crons_own_database(cron, means, capsys):
    means(cron.info.dsn + f" password={cron.info.password}")
    assert cli.run(["schedule", "--at", "0 5 * * *"]) == 0
    assert [(job[0], job[1], job[4]) for job in jobs(cron)] == [
        (*PRUNE[:2], "ta_lab2_app"),
        (*PRUNE_CRON[:2], "ta_lab2_app"),
        (JOB, "0 5 * * *", "ta_lab2_app"),
        (INTRADAY, "5 * * * *", "ta_lab2_app"),
    ]
    assert cli.run(["unschedule"]) == 0
    assert jobs(cron) == []
    assert "0 5 * * *" in capsys.readouterr().err


def test_the_command_schedules_for_another_database_and_pg_cron_runs_it_there(
    cron, own_db, autocommit, means
):
    conn = autocommit(own_db)
    prices.put(conn, 1, {0: 1.0, 1: 1.5})
    means(own_db)
    assert cli.run(["schedule", "--at", "1 seconds"]) == 0
    database = conn.info.dbname
    assert jobs(cron) == [
        (f"{name} in {database}", when, command, where, "ta_lab2_app")
        for name, when, command, where in (
            (*PRUNE, database),
            (*PRUNE_CRON, cron.info.dbname),
            (JOB, "1 seconds", "CALL refresh_all()", database),
            (INTRADAY, "5 * * * *", "CALL refresh_intraday()", database),
        )
    ]
    succeeded(cron, database)
    wait(conn, "select from features.cmc_returns_daily where ret_pct_1 = 0.5")
    assert cli.run(["unschedule"]) == 0
    assert jobs(cron) == []


def test_without_a_superuser_another_database_says_what_to_set(own_db, means, capsys):
    means(make_conninfo(own_db, options="-c role=ta_lab2_app"))
    assert cli.run(["schedule"]) == 2
    assert "TA_LAB2_ADMIN_URL" in capsys.readouterr().err


def test_a_schedule_that_is_none_is_one_clear_sentence(cron, own_db, means, capsys):
    means(own_db)
    assert cli.run(["schedule", "--at", "soon"]) == 2
    assert "invalid schedule: soon" in capsys.readouterr().err
