"""The examination: every topic in one read-only transaction, and what could not be seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from ta_lab2.db.doctor import access, extensions, python, server
from ta_lab2.db.doctor.finding import SUPERUSER, Finding, Mend, identifier, in_order
from ta_lab2.db.slices import SEARCH_PATH

_MIGRATION_MENDS = {
    "extension-missing",
    "role-missing",
    "research-membership",
    "schema-usage",
    "cron-usage",
    "owner-create",
    "search-path",
    "public-execute",
    "public-temporary",
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What the examined database is held against.

    Args:
        revisions: every migration that this ta_lab2 knows, the newest first; empty where
            there is nothing to compare with.
        schemas: our schemas, in the order of the search path.
        ours: the server is one of our runtimes, so that its databases may be given settings.
    """

    revisions: tuple[str, ...] = ()
    schemas: tuple[str, ...] = SEARCH_PATH
    ours: bool = False


def examine(conn: psycopg.Connection[Any], *, expected: Expected | None = None) -> list[Finding]:
    """Return what a database lacks, in the order in which it is to be mended; changes nothing."""
    expected = expected or Expected()
    if finding := server.wrong_version(conn.info.server_version):
        return [finding]
    try:
        with conn.transaction():
            conn.execute("select 1")
    except psycopg.errors.UndefinedFile:
        return [extensions.unloadable(conn)]
    with _looking(conn):
        facts = server.Server.of(conn)
        who = access.Access.of(conn, expected.schemas)
        migrations = list(_migrations(conn, expected))
    findings = [
        *server.judge(facts),
        *extensions.judge(facts),
        *access.judge(
            who,
            schemas=expected.schemas,
            path_of_database=facts.of_database.get("search_path"),
            ours=expected.ours,
        ),
        *migrations,
    ]
    if not facts.sees_settings:
        findings.append(
            Finding(
                "not-examined",
                f"login {facts.login} may not see every setting of the server",
                Mend(f"grant pg_read_all_settings to {identifier(facts.login)}", "sql", SUPERUSER),
            )
        )
    if "plpython3u" in facts.installed:
        # Last, and alone: a Python that can't start takes the connection with it.
        findings += _python(conn)
    if expected.ours and any(finding.code == "migration-pending" for finding in findings):
        # On a server of ours one command mends all of these; a list of lines would hide it.
        findings = [finding for finding in findings if finding.code not in _MIGRATION_MENDS]
    return in_order(findings)


@contextmanager
def _looking(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """Hold a transaction that can't write, can't be fooled by a search path, and ends."""
    with conn.transaction(force_rollback=True):
        conn.execute("set local transaction read only")
        conn.execute("set local search_path = pg_catalog, pg_temp")
        # In a database of encoding SQL_ASCII text would else come as bytes.
        conn.execute("set local client_encoding = 'UTF8'")
        conn.execute("set local statement_timeout = '60s'")
        yield


def _migrations(conn: psycopg.Connection[Any], expected: Expected) -> Iterator[Finding]:
    if not expected.revisions:
        return
    newest = expected.revisions[0]
    row = conn.execute(
        """
        select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
          from pg_class as c
          join pg_namespace as n on n.oid = c.relnamespace
         where n.nspname = 'ta_meta' and c.relname = 'alembic_version'
        """
    ).fetchone()
    if row and not row[0]:
        yield Finding(
            "not-examined",
            f"login {conn.info.user} may not read ta_meta.alembic_version; "
            "whether migrations are pending was not seen",
        )
        return
    found = (
        [str(line[0]) for line in conn.execute("select version_num from ta_meta.alembic_version")]
        if row
        else []
    )
    if unknown := sorted(set(found) - set(expected.revisions)):
        yield Finding(
            "migration-unknown",
            f"database {conn.info.dbname} is at migration {', '.join(unknown)}, which this ta_lab2 "
            "does not know: a newer one made it",
            Mend("git pull", "shell", "you, in the checkout"),
        )
    elif found != [newest]:
        yield Finding(
            "migration-pending",
            f"database {conn.info.dbname} is at migration {', '.join(found) or 'none'}, "
            f"the newest is {newest}",
            Mend("ta-lab2 db migrate", "shell", "you"),
        )


def _python(conn: psycopg.Connection[Any]) -> list[Finding]:
    try:
        with _looking(conn):
            return list(python.judge(python.Python.of(conn)))
    except psycopg.errors.InsufficientPrivilege:
        return [
            Finding(
                "not-examined",
                f"login {conn.info.user} may not run PL/Python: numpy, scipy and their arithmetic "
                "were not seen; a superuser sees them",
            )
        ]
    except psycopg.Error as error:
        return [python.fails(error)]
