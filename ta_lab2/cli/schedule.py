"""``ta-lab2 schedule`` and ``unschedule``: the jobs that pg_cron runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import psycopg
import typer
from psycopg.conninfo import make_conninfo

from ta_lab2.cli import console
from ta_lab2.db.connect import app_conninfo
from ta_lab2.db.migrate import admin_conninfo
from ta_lab2.errors import Refused
from ta_lab2.ops import queries
from ta_lab2.ops.errors import CronElsewhere


def schedule(
    at: Annotated[
        str, typer.Option(metavar="CRON", help="When, as a cron expression in UTC.")
    ] = "10 0 * * *",
    intraday_at: Annotated[
        str, typer.Option(metavar="CRON", help="The same for the bars of intraday candles.")
    ] = "5 * * * *",
) -> None:
    """Let pg_cron refresh everything daily (00:10 UTC) and the intraday bars every hour."""
    with _connect(app_conninfo()) as conn:
        database = conn.info.dbname
        try:
            queries.schedule(conn, at, intraday_at=intraday_at)
        except CronElsewhere as error:
            with _connect_to_cron(error) as cron:
                queries.schedule_elsewhere(cron, at, intraday_at=intraday_at, database=database)
    console.say(f"refresh_all runs in {database} at: {at} (UTC)")
    console.say(f"refresh_intraday runs in {database} at: {intraday_at} (UTC)")


def unschedule() -> None:
    """Take the jobs of `ta-lab2 schedule` off pg_cron again."""
    with _connect(app_conninfo()) as conn:
        database = conn.info.dbname
        try:
            queries.unschedule(conn)
        except CronElsewhere as error:
            with _connect_to_cron(error) as cron:
                queries.unschedule_elsewhere(cron, database=database)
    console.say(f"no job of ta-lab2 runs in {database}")


def _connect(conninfo: str) -> psycopg.Connection:
    return psycopg.connect(conninfo, autocommit=True, application_name="ta-lab2 schedule")


@contextmanager
def _connect_to_cron(elsewhere: CronElsewhere) -> Iterator[psycopg.Connection]:
    """Yield a superuser's connection to the database that pg_cron lives in."""
    admin = admin_conninfo()
    try:
        with _connect(admin) as conn:
            home = queries.cron_database(conn)
    except psycopg.errors.InsufficientPrivilege:
        raise Refused(
            f"{elsewhere.what}, and only a superuser may ask where it is",
            "Set TA_LAB2_ADMIN_URL to the same database as a superuser.",
        ) from None
    if home is None:
        raise elsewhere
    try:
        conn = _connect(make_conninfo(admin, dbname=home))
    except psycopg.OperationalError as error:
        raise Refused(
            f"cron.database_name is {home}, which does not answer: {str(error).strip()}",
            "Make that database and `create extension pg_cron` in it as a superuser.",
        ) from None
    with conn:
        if not queries.has_cron(conn):
            raise Refused(
                f"cron.database_name is {home}, and pg_cron is not in there",
                f"Connect to {home} as a superuser and `create extension pg_cron`.",
            )
        yield conn
