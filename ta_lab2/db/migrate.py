"""``ta-lab2 db migrate``: prepare the database, then revisions and routines in one transaction.

Alembic brings SQLAlchemy, a third of the time in which a command begins: only migrations import it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import psycopg

from ta_lab2 import paths
from ta_lab2.db import prepare
from ta_lab2.db.runtime import Yours, choose
from ta_lab2.db.runtime.interface import Runtime
from ta_lab2.db.runtime.project import Project
from ta_lab2.db.slices import APP, OWNER, READER, RESEARCH
from ta_lab2.errors import Refused
from ta_lab2.settings import settings

if TYPE_CHECKING:
    from alembic.config import Config

Say = Callable[[str], None]


def migrate(
    conninfo: str, *, say: Say, passwords: Mapping[str, str] | None = None, ours: bool
) -> None:
    """Bring a database to the newest state and behaviour; a second run changes nothing.

    Args:
        conninfo: the database, as a superuser.
        say: told of every step.
        passwords: of the login roles, by role; only on a server of ours.
        ours: whether the server is ours, so that settings go to the database, not to our roles.
    """
    import alembic.command
    import alembic.util

    with connect(conninfo) as conn:
        prepare.prepare(conn, passwords=passwords or {}, ours=ours, say=say)
    try:
        alembic.command.upgrade(config(conninfo, say=say), "head")
    except alembic.util.CommandError as error:
        if "locate revision" not in str(error):
            raise
        raise Refused(
            f"the database is newer than this ta-lab2: {error}", "Install the version that made it."
        ) from error


def config(conninfo: str, *, say: Say) -> Config:
    """Return Alembic's configuration for one database, in a checkout or an installed wheel."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(paths.shipped("alembic")).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["conninfo"] = conninfo
    made.attributes["say"] = say
    return made


def connect(conninfo: str) -> psycopg.Connection:
    """Return a connection for migrating: UTC, and no surprise from the caller's environment.

    Only ``public`` is searched: foreign keys into a schema that is searched lose its name
    when Alembic reflects them, and every name of ours is qualified anyway.
    """
    return psycopg.connect(
        conninfo,
        options="-c timezone=UTC -c search_path=public",
        application_name="ta-lab2 migrate",
    )


def check_prepared(conn: psycopg.Connection) -> None:
    """Refuse a database that lacks the roles or extensions; they are not a revision's business."""
    row = conn.execute(
        """
        select
            array(
                select w.name from unnest(%s::text[]) as w (name)
                where not exists (select from pg_roles as r where r.rolname = w.name)
            ),
            array(
                select w.name from unnest(%s::text[]) as w (name)
                where not exists (select from pg_extension as e where e.extname = w.name)
            ),
            (select r.rolsuper from pg_roles as r where r.rolname = current_user),
            current_user,
            current_database()
        """,
        ([OWNER, APP, RESEARCH, READER], list(prepare.EXTENSIONS)),
    ).fetchone()
    assert row is not None
    roles, extensions, superuser, user, database = row
    if roles or extensions:
        lacking = ", ".join([*roles, *extensions])
        raise Refused(
            f"database {database} is not prepared: it lacks {lacking}",
            "Run `ta-lab2 db migrate`: it makes the roles and extensions, then does the same.",
        )
    if not superuser:
        raise Refused(
            f"{user} is not a superuser, and functions in PL/Python can only be made by one",
            "Set TA_LAB2_ADMIN_URL to the same database as a superuser.",
        )


def migrate_on(server: Runtime, *, dbname: str | None = None, say: Say) -> None:
    """Migrate a database of a runtime's server; on a server of ours the logins get passwords."""
    if isinstance(server, Yours):
        migrate(server.endpoint("admin", dbname=dbname).conninfo(), say=say, ours=False)
        return
    logins = [server.endpoint(login) for login in ("app", "reader")]
    migrate(
        server.endpoint("admin", dbname=dbname).conninfo(),
        say=say,
        passwords={login.user: login.password or "" for login in logins},
        ours=True,
    )


def admin_conninfo() -> str:
    """Return the superuser's conninfo of the database that the settings mean."""
    given = settings().admin_url
    if given is not None:
        return given.get_secret_value()
    return choose(settings(), Project.of(settings())).endpoint("admin").conninfo()
