"""What a database needs before its first revision: roles, extensions, settings, privileges.

These belong to the server or need a superuser, so no revision makes them. Every statement
may be repeated. Roles belong to the whole server: two databases may be prepared at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import psycopg
from psycopg import sql

from ta_lab2.db.slices import APP, OWNER, READER, RESEARCH, SEARCH_PATH
from ta_lab2.errors import Refused

Say = Callable[[str], None]

EXTENSIONS: Final = ("timescaledb", "vector", "plpython3u")

_ROLES: Final = {OWNER: "nologin", APP: "login", RESEARCH: "nologin", READER: "login"}


def prepare(
    conn: psycopg.Connection, *, passwords: Mapping[str, str], ours: bool, say: Say
) -> None:
    """Make the roles and extensions and set the database up, in one transaction."""
    with conn.transaction():
        # The lock of the migration: two at once in one database wait for each other.
        conn.execute("select pg_advisory_xact_lock(hashtextextended('ta_lab2.migrate', 0))")
        _require_superuser(conn)
        made = [*_roles(conn), *_extensions(conn)]
        _passwords(conn, passwords)
        _settings(conn, ours=ours)
        _privileges(conn)
    for name in made:
        say(f"made {name}")


def _require_superuser(conn: psycopg.Connection) -> None:
    row = conn.execute(
        "select r.rolsuper, r.rolname from pg_roles as r where r.rolname = current_user"
    ).fetchone()
    if row is None or not row[0]:
        raise Refused(
            f"{row[1] if row else 'this login'} is not a superuser",
            "Set TA_LAB2_ADMIN_URL to the same database as a superuser; "
            "roles, extensions and PL/Python functions need one.",
        )


def _roles(conn: psycopg.Connection) -> list[str]:
    """Make the roles that are missing; another database of this server may be doing the same."""
    made = []
    for role, login in _ROLES.items():
        if not conn.execute("select from pg_roles as r where r.rolname = %s", (role,)).rowcount:
            try:
                with conn.transaction():
                    conn.execute(f"create role {role} {login}")
            except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                continue
            made.append(f"role {role}")
    # The app steps into research for each batch of signals; inheriting would be no barrier.
    if not _is_member(conn, APP, RESEARCH):
        conn.execute(f"grant {RESEARCH} to {APP} with inherit false, set true")
    # features.copy_in runs as the owner, where nobody logs in: COPY reads the server's files only.
    if not _is_in(conn, OWNER, "pg_read_server_files"):
        conn.execute(f"grant pg_read_server_files to {OWNER}")
    # TimescaleDB's rollups belong to the app, because only their owner may refresh them; the
    # migration makes them and takes them away.
    if not _is_in(conn, OWNER, APP):
        conn.execute(f"grant {APP} to {OWNER}")
    return made


def _is_member(conn: psycopg.Connection, member: str, role: str) -> bool:
    """Say whether one role may step into another without inheriting from it."""
    return bool(
        conn.execute(
            """
            select
            from pg_auth_members as m
            where m.member = %s::regrole and m.roleid = %s::regrole
              and m.set_option and not m.inherit_option
            """,
            (member, role),
        ).rowcount
    )


def _is_in(conn: psycopg.Connection, member: str, role: str) -> bool:
    """Say whether one role has what another may."""
    row = conn.execute("select pg_has_role(%s, %s, 'usage')", (member, role)).fetchone()
    return row is not None and bool(row[0])


def _extensions(conn: psycopg.Connection) -> list[str]:
    """Make the extensions that are missing; pg_cron exists only in the database that it names."""
    wanted = list(EXTENSIONS)
    row = conn.execute(
        "select current_setting('cron.database_name', true) = current_database()"
    ).fetchone()
    if row is not None and row[0]:
        wanted.append("pg_cron")
    made = []
    for name in wanted:
        if conn.execute("select from pg_extension as e where e.extname = %s", (name,)).rowcount:
            continue
        try:
            conn.execute(sql.SQL("create extension {}").format(sql.Identifier(name)))
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
            raise Refused(
                f"the server has no extension {name}",
                "`ta-lab2 db doctor` says which package has it.",
            ) from error
        made.append(f"extension {name}")
    return made


def _passwords(conn: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    """Set the login roles' passwords as verifiers, so that none reaches the server's log."""
    for role, password in passwords.items():
        verifier = conn.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        ).decode()
        conn.execute(
            sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(verifier))
        )


def _settings(conn: psycopg.Connection, *, ours: bool) -> None:
    """Set search_path and time zone: for our own database, on a foreign one for our roles only."""
    database = sql.Identifier(conn.info.dbname)
    path = sql.SQL(", ").join(map(sql.Identifier, SEARCH_PATH))
    places = (
        [sql.SQL("database {}").format(database)]
        if ours
        else [
            sql.SQL("role {} in database {}").format(sql.Identifier(role), database)
            for role in _ROLES
        ]
    )
    for place in places:
        conn.execute(sql.SQL("alter {} set search_path = {}").format(place, path))
        conn.execute(sql.SQL("alter {} set timezone = 'UTC'").format(place))
    conn.execute(
        sql.SQL("alter role {} in database {} set search_path = published, public").format(
            sql.Identifier(READER), database
        )
    )


def _privileges(conn: psycopg.Connection) -> None:
    """Let the owner make schemas and front doors, and nobody make temporary tables by default."""
    database = sql.Identifier(conn.info.dbname)
    for statement in (
        "grant create, connect, temporary on database {database} to {owner}",
        "grant connect, temporary on database {database} to {app}",
        "grant connect on database {database} to {reader}",
        "revoke temporary on database {database} from public",
        "grant create on schema public to {owner}",
    ):
        conn.execute(
            sql.SQL(statement).format(
                database=database,
                owner=sql.Identifier(OWNER),
                app=sql.Identifier(APP),
                reader=sql.Identifier(READER),
            )
        )
    if conn.execute("select from pg_namespace as n where n.nspname = 'cron'").rowcount:
        conn.execute(f"grant usage on schema cron to {APP}")
        conn.execute(f"grant select on cron.job, cron.job_run_details to {APP}")
        # Row security leaves it its own runs.
        conn.execute(f"grant delete on cron.job_run_details to {APP}")
