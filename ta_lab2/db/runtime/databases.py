"""The databases of a server: made, dropped, updated and looked at, as an administrator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import psycopg
from psycopg import sql
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from ta_lab2.db.runtime.project import Endpoint
from ta_lab2.errors import Refused

_CONNECT_SECONDS = 10


def connect(endpoint: Endpoint, *, autocommit: bool = True) -> psycopg.Connection:
    """Return a connection; a refused password is said in a sentence, without the password."""
    try:
        return psycopg.connect(
            endpoint.conninfo(), autocommit=autocommit, connect_timeout=_CONNECT_SECONDS
        )
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error) or "no password supplied" in str(error):
            raise Refused(
                f"the server at {endpoint.host}:{endpoint.port} refuses the password of"
                f" {endpoint.user}",
                endpoint.password_hint,
            ) from None
        raise


def create(server: Endpoint, name: str) -> bool:
    """Make a database if the server has none of this name; return whether it was made."""
    with connect(server) as conn:
        known = conn.execute("select from pg_database where datname = %s", [name]).fetchone()
        if known is not None:
            return False
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return True


@retry(
    # pg_cron's and TimescaleDB's workers come back while the database still exists.
    retry=retry_if_exception_type(psycopg.errors.ObjectInUse),
    stop=stop_after_attempt(5),
    wait=wait_fixed(1),
    reraise=True,
)
def drop(server: Endpoint, name: str) -> None:
    """Drop a database with everything in it, whoever is connected to it."""
    with connect(server) as conn:
        conn.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )


def names(server: Endpoint) -> list[str]:
    """Return the databases that accept connections."""
    with connect(server) as conn:
        found = conn.execute("select datname from pg_database where datallowconn order by 1")
        return [row[0] for row in found]


def update_extensions(endpoint: Endpoint) -> list[str]:
    """Bring a database's extensions to the versions that the server has; return what changed.

    TimescaleDB's old library may be gone: its update must be the first statement of a session.
    """
    before = _extensions_after_timescaledb(endpoint)
    with connect(endpoint) as conn:
        behind = conn.execute(
            """
            select a.name
            from pg_available_extensions as a
            where a.installed_version <> a.default_version
            order by a.name
            """
        ).fetchall()
        for (name,) in behind:
            conn.execute(sql.SQL("alter extension {} update").format(sql.Identifier(name)))
    return [*before, *(name for (name,) in behind)]


def _extensions_after_timescaledb(endpoint: Endpoint) -> list[str]:
    """Update TimescaleDB in a session of its own, where it is installed."""
    changed: list[str] = []
    with connect(endpoint) as conn:
        conn.add_notice_handler(lambda notice: changed.append(notice.message_primary or ""))
        try:
            conn.execute("alter extension timescaledb update")
        except psycopg.errors.UndefinedObject:
            return []
    already = any("already installed" in line for line in changed)
    return [] if already else ["timescaledb"]


@dataclass(frozen=True, slots=True)
class Look:
    """What ``db status`` tells of a server that answers."""

    version: str
    uptime: timedelta
    extensions: dict[str, str]
    edition: str | None
    sizes: dict[str, int | None]


def look(endpoint: Endpoint) -> Look:
    """Return the server's version, uptime and databases, and this database's extensions."""
    with connect(endpoint) as conn:
        version, uptime, edition = conn.execute(
            """
            select
                current_setting('server_version'),
                date_trunc('second', clock_timestamp() - pg_postmaster_start_time()),
                current_setting('timescaledb.license', true)
            """
        ).fetchone() or ("", timedelta(), None)
        extensions = conn.execute("select extname, extversion from pg_extension order by 1")
        sizes = conn.execute(
            """
            select
                d.datname,
                case when has_database_privilege(d.oid, 'connect') then pg_database_size(d.oid) end
            from pg_database as d
            where not d.datistemplate
            order by 1
            """
        )
        return Look(version, uptime, dict(extensions), edition, dict(sizes))
