"""Run the revisions, then the routines in sql/, in one transaction.

``alembic upgrade head`` from a shell and ``ta-lab2 db migrate`` are the same thing, but
for the roles and extensions, which only the latter makes.
"""

import psycopg
from alembic.util import CommandError
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from alembic import context
from ta_lab2.db import migrate, routines
from ta_lab2.db.slices import OWNER, SLICES
from ta_lab2.errors import TaLabError
from ta_lab2.paths import shipped
from ta_lab2.tables import metadata


def destination() -> object:
    """Return where the command goes; None for `current`, `history` and `check`."""
    try:
        return context.get_revision_argument()
    except KeyError:
        return None


def ours(name: str | None, kind: str, parents: dict[str, str | None]) -> bool:
    """Say whether autogenerate may look at a schema, or at a table that we describe."""
    if kind == "schema":
        return name in (*SLICES, "ta_meta")
    if kind == "table":
        return f"{parents['schema_name']}.{name}" in metadata.tables
    if kind == "column" and parents["table_name"] == "cmc_ta_daily":
        # Rows of dim_indicators add columns.
        return name in metadata.tables["features.cmc_ta_daily"].columns
    return True


def at_head(raw: psycopg.Connection, heads: set[str]) -> bool:
    """Say whether an upgrade has arrived, so that the routines can follow; `stamp` has no tables."""
    return (
        bool(destination())
        and bool(heads)
        and heads == set(context.script.get_heads())
        and raw.execute("select to_regclass('ta_meta.routine_file')").fetchone() != (None,)
    )


def run() -> None:
    say = context.config.attributes.get("say", print)
    conninfo = context.config.attributes.get("conninfo") or migrate.admin_conninfo()
    # NullPool: an idle connection would keep a template database "in use".
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: migrate.connect(conninfo), poolclass=NullPool
    )
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        migrate.check_prepared(raw)
        context.configure(
            connection=connection,
            target_metadata=metadata,
            version_table_schema="ta_meta",
            include_schemas=True,
            include_name=ours,
            # Comments are written once, in the revisions; a test sees that none is missing.
            autogenerate_plugins=["alembic.autogenerate.*", "~alembic.autogenerate.comments"],
            transaction_per_migration=False,
        )
        with context.begin_transaction():
            # Before the first look at alembic_version: two upgrades at once would collide there.
            raw.execute("select pg_advisory_xact_lock(hashtextextended('ta_lab2.migrate', 0))")
            raw.execute(f"set local role {OWNER}")
            if destination():
                raw.execute("create schema if not exists ta_meta")
            context.run_migrations()
            if at_head(raw, set(context.get_context().get_current_heads())):
                applied = routines.apply(raw, routines.discover(shipped("sql")), say=say)
                raw.execute("select db.make_registered_time_series()")
                raw.execute("select bars.make_intraday_rollups()")
                raw.execute("select db.keep_histories()")
                say(f"{applied} routine files applied" if applied else "routines are up to date")


if context.is_offline_mode():
    raise CommandError("--sql is not possible: the routines are applied on a live connection")
try:
    run()
except TaLabError as error:
    if context.config.attributes.get("say"):
        raise
    raise CommandError(f"{error.what}. {error.hint}") from error
