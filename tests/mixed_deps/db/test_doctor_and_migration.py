"""The doctor and the migration agree: what one asks for, the other does."""

from __future__ import annotations

import psycopg
from alembic.script import ScriptDirectory

from ta_lab2.db import migrate
from ta_lab2.db.doctor import Expected, examine


def findings(conninfo: str, *, ours: bool) -> set[str]:
    scripts = ScriptDirectory.from_config(migrate.config(conninfo, say=lambda _: None))
    revisions = tuple(script.revision for script in scripts.walk_revisions())
    with psycopg.connect(conninfo, autocommit=True) as conn:
        found = examine(conn, expected=Expected(revisions=revisions, ours=ours))
    # The test server's own: its cron database is another one, and it runs no workers.
    return {finding.code for finding in found} - {"cron-database", "edition", "worker-processes"}


def test_a_migrated_database_of_ours_needs_nothing(own_db):
    assert findings(own_db, ours=True) == set()


def test_an_empty_database_of_ours_needs_one_command(empty_db):
    assert findings(empty_db, ours=True) == {"migration-pending"}
    migrate.migrate(empty_db, say=lambda _: None, ours=True)
    assert findings(empty_db, ours=True) == set()


def test_an_empty_foreign_database_is_told_line_by_line(empty_db):
    assert {"migration-pending", "extension-missing"} < findings(empty_db, ours=False)


def test_a_foreign_database_that_is_migrated_needs_nothing(empty_db):
    migrate.migrate(empty_db, say=lambda _: None, ours=False)
    assert findings(empty_db, ours=False) == set()
