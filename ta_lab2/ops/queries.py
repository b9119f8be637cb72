"""Calls into the ``ops`` schema, and into pg_cron where it lives in another database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from psycopg import Connection
from psycopg.errors import InvalidParameterValue

from ta_lab2.db.slices import APP
from ta_lab2.errors import Refused, translated
from ta_lab2.ops import errors as errors  # the classes of the SQLSTATEs that are raised here


def schedule(conn: Connection, at: str, *, intraday_at: str = "5 * * * *") -> None:
    """Put the jobs on the pg_cron of this database."""
    with translated(), _checked_by_cron():
        conn.execute("call public.schedule_jobs(%s, %s)", (at, intraday_at))


def unschedule(conn: Connection) -> None:
    """Take the jobs off the pg_cron of this database."""
    with translated():
        conn.execute("call public.unschedule_jobs()")


def cron_database(conn: Connection) -> str | None:
    """Return the database that pg_cron lives in, None where the server does not load it.

    Only a superuser may ask.
    """
    row = conn.execute("select current_setting('cron.database_name', true)").fetchone()
    return row[0] if row else None


def has_cron(conn: Connection) -> bool:
    """Say whether pg_cron is in this database."""
    return bool(conn.execute("select from pg_extension as e where e.extname = 'pg_cron'").rowcount)


def schedule_elsewhere(conn: Connection, at: str, *, intraday_at: str, database: str) -> None:
    """Put the jobs of another database on this one's pg_cron; only a superuser may."""
    with _checked_by_cron(), conn.transaction():
        # The job that prunes pg_cron's own records works in here. It sees those of its role alone.
        conn.execute(f"grant usage on schema cron to {APP}")
        for verb, schedule, command, where in (
            ("refresh_all", at, "CALL refresh_all()", database),
            ("refresh_intraday", intraday_at, "CALL refresh_intraday()", database),
            ("prune", "40 1 * * *", "select observability.prune('90 days')", database),
            ("prune_cron", "45 1 * * *", _PRUNE_CRON, conn.info.dbname),
        ):
            conn.execute(
                "select cron.schedule_in_database(%s, %s, %s, %s, %s)",
                (_job_of(database, verb), schedule, command, where, APP),
            )
        _unschedule(conn, [_job_of(database, "refresh_features")])


def unschedule_elsewhere(conn: Connection, *, database: str) -> None:
    """Take the jobs of another database off this one's pg_cron."""
    _unschedule(conn, [_job_of(database, verb) for verb in _VERBS])


def _unschedule(conn: Connection, jobs: list[str]) -> None:
    conn.execute(
        """
        select cron.unschedule(j.jobid)
        from cron.job as j
        where j.jobname = any (%s) and j.username = %s
        """,
        (jobs, APP),
    )


#: The last is of a time when features were all that was scheduled.
_VERBS: Final = ("refresh_all", "refresh_intraday", "prune", "prune_cron", "refresh_features")

#: As public.schedule_jobs has it.
_PRUNE_CRON: Final = (
    "delete from cron.job_run_details as d"
    " where coalesce(d.end_time, d.start_time) < now() - interval '90 days'"
)


def _job_of(database: str, verb: str) -> str:
    return f"ta_lab2 {verb} in {database}"


@contextmanager
def _checked_by_cron() -> Iterator[None]:
    """Turn pg_cron's refusal of a schedule into one that the user can mend."""
    try:
        yield
    except InvalidParameterValue as error:
        raise Refused(
            error.diag.message_primary or str(error), error.diag.message_hint or ""
        ) from error
