"""Servers and databases for tests, each with its own end."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ta_lab2.db import prepare
from ta_lab2.db.runtime.embedded import private_server
from ta_lab2.db.runtime.project import Project
from ta_lab2.settings import Settings
from tests.support import places

# pg_cron runs in one database of a server; tests of the schedule make it and drop it.
CRON_DATABASE = "ta_lab2_test_cron"


@contextmanager
def test_server() -> Iterator[str]:
    """Yield a superuser's URL: the server that the environment names, else an embedded one."""
    given = os.environ.get("TA_LAB2_TEST_DATABASE_URL")
    if given:
        try:
            psycopg.connect(given, connect_timeout=10).close()
        except psycopg.OperationalError as error:
            pytest.skip(f"TA_LAB2_TEST_DATABASE_URL does not answer: {error}")
        yield given
        return
    with (
        places.in_memory("ta-lab2-test-") as folder,
        private_server(
            folder / "server",
            cache=Project.of(Settings()).cache,
            cron_database=CRON_DATABASE,
            extra={
                "fsync": "off",
                "full_page_writes": "off",
                # Each drop of a database looks through all of the buffers.
                "shared_buffers": "256MB",
                "max_wal_size": "512MB",
                # TimescaleDB's workers hold up a drop of their database for up to a minute.
                "timescaledb.max_background_workers": "0",
            },
            say=say,
        ) as endpoint,
    ):
        yield endpoint.url(with_password=True)


def say(line: str) -> None:
    """Show progress past pytest's capture: a first build takes a minute."""
    print(line, file=sys.__stderr__, flush=True)


@contextmanager
def database(server_url: str, purpose: str, *, template: str = "template0") -> Iterator[str]:
    """Make a database and yield its name; it is dropped at the end, whoever is connected."""
    name = f"ta_lab2_test_{purpose}_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server_url, autocommit=True) as server:
        # The server's files are few: the log of a copy by blocks costs more than its checkpoints.
        server.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        try:
            yield name
        finally:
            server.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )


@contextmanager
def copy(server_url: str, purpose: str, *, template: str) -> Iterator[str]:
    """Make a copy of a migrated database and yield its conninfo, as a superuser."""
    with database(server_url, purpose, template=template) as name:
        conninfo = make_conninfo(server_url, dbname=name)
        with psycopg.connect(conninfo) as conn:
            # A database's privileges and settings are not copied with it.
            prepare.prepare(conn, passwords={}, ours=True, say=lambda _: None)
        yield conninfo


@contextmanager
def filled(
    server_url: str, template: str, fill: Callable[[psycopg.Connection], None]
) -> Iterator[str]:
    """Make a copy of a migrated database, fill it, and yield its name, to be copied from."""
    with copy(server_url, "filled", template=template) as conninfo:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            fill(conn)
        name = str(conninfo_to_dict(conninfo)["dbname"])
        close_to_connections(server_url, name)
        yield name


def close_to_connections(server_url: str, name: str) -> None:
    """Keep everybody, TimescaleDB's workers too, out of a template, which must not be in use."""
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(
            sql.SQL("alter database {} allow_connections false").format(sql.Identifier(name))
        )
        server.execute(
            """
            select pg_terminate_backend(a.pid, 5000)
            from pg_stat_activity as a
            where a.datname = %s
            """,
            (name,),
        )
