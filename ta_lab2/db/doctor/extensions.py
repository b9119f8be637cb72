"""The extensions: there, installed, of the right age, and which edition."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg

from ta_lab2.db.doctor.finding import SUPERUSER, SYSTEM, Finding, Mend
from ta_lab2.db.doctor.server import PACKAGES, Server


def unloadable(conn: psycopg.Connection[Any]) -> Finding:
    """Return why no first statement of a session works: TimescaleDB's library is not there.

    The second statement does, because the library is looked for only once.
    """
    with conn.transaction():
        row = conn.execute(
            """
            select current_database(), e.extversion, a.default_version
              from pg_extension as e
              join pg_available_extensions as a on a.name = e.extname
             where e.extname = 'timescaledb'
            """
        ).fetchone()
    database, here, there = row or ("", "unknown", "0")
    return Finding(
        "extension-unloadable",
        f"extension timescaledb is {here} in database {database}, and the server has the library "
        f"of {there} only: every statement fails",
        _newer_package("timescaledb")
        if _number(here) > _number(there)
        else Mend(
            "alter extension timescaledb update",
            "sql",
            f"{SUPERUSER}, as the first statement of a new session",
        ),
    )


def judge(server: Server) -> Iterator[Finding]:
    """Yield what is wrong with the extensions of a server and a database."""
    for name, package in PACKAGES.items():
        here = server.installed.get(name)
        there = server.available.get(name)
        cron_is_elsewhere = (
            name == "pg_cron" and server.value("cron.database_name") != server.database
        )
        if there is None:
            yield Finding(
                "plpython-unavailable" if name == "plpython3u" else "extension-unavailable",
                f"extension {name} is not available on this server"
                + (
                    ": no features without it, and managed services rarely have it"
                    if name == "plpython3u"
                    else ""
                ),
                Mend(f"apt-get install -y {package}", "shell", SYSTEM),
            )
        elif here is None and not cron_is_elsewhere:
            yield Finding(
                "extension-missing",
                f"extension {name} is not installed in database {server.database}",
                Mend(f"create extension {name}", "sql", SUPERUSER),
            )
        elif here is not None and _number(here) > _number(there):
            yield Finding(
                "extension-newer",
                f"extension {name} is {here} in database {server.database}, newer than its library "
                f"on this server, {there}",
                _newer_package(name),
            )
        elif here is not None and here != there:
            yield Finding(
                "extension-outdated",
                f"extension {name} is {here} in database {server.database}, "
                f"its library on this server is {there}",
                Mend(f"alter extension {name} update", "sql", f"{SUPERUSER}, in a new session"),
            )
    if {"citus", "timescaledb"} <= server.installed.keys():
        yield Finding(
            "citus",
            f"database {server.database} has both timescaledb and citus: joins of their tables "
            "silently give wrong answers",
            Mend("drop extension citus", "sql", f"{SUPERUSER}, once no table is distributed"),
        )
    yield from _edition(server)


def _newer_package(name: str) -> Mend:
    line = f"apt-get install -y --only-upgrade {PACKAGES[name]}"
    return Mend(line, "shell", f"{SYSTEM}, or go back to the server that made the database")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _edition(server: Server) -> Iterator[Finding]:
    edition = server.value("timescaledb.license")
    if edition == "timescale":
        what = "TimescaleDB is the community edition: rollups are continuous aggregates"
        if server.version >= 170012:
            what += (
                "; its own background jobs are reported as failed by this PostgreSQL after they "
                "did their work, which is why ta_lab2 schedules by pg_cron"
            )
        if server.rollups == "kept":
            what += (
                f"; those of database {server.database} are still kept tables, which work, until "
                "`ta-lab2 db migrate` turns them round"
            )
        yield Finding("edition", what)
    elif edition is not None:
        yield Finding(
            "edition",
            f"TimescaleDB is the {edition} edition: rollups are kept tables instead of continuous "
            "aggregates, and there is no columnstore",
        )
        if server.rollups == "continuous":
            yield Finding(
                "rollups",
                f"database {server.database} comes from the community edition: its rollups are "
                f"continuous aggregates, and the {edition} edition refuses every intraday candle",
                Mend("ta-lab2 db migrate", "shell", "you"),
            )
