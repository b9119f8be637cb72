"""db: what every ``dim_`` table held, and from when to when

One table for all: a version is the row as JSON, so that a new ``dim_`` table needs nothing of its own.
The triggers that write it are behaviour: ``db.keep_histories()`` makes them at the end of every migration.
"""

from alembic import op

revision = "20261122_db_row_versions"
down_revision = "20261122_features_vol"

TRIGGERS = ("inserted", "updated", "deleted", "truncated")


def upgrade() -> None:
    op.execute("""
        create table db.row_versions (
            schema_name text not null,
            table_name  text not null,
            key         jsonb not null,
            valid_from  timestamptz not null,
            valid_to    timestamptz,
            content     jsonb not null,
            changed_by  text not null,
            written_by  text not null,
            primary key (schema_name, table_name, key, valid_from),
            constraint a_version_lasts check (valid_from < valid_to)
        )
    """)
    op.execute("""
        create unique index one_version_is_open on db.row_versions (schema_name, table_name, key)
        where valid_to is null
    """)
    op.execute(
        "comment on table db.row_versions is 'What the rows of every dim_ table were, and when; db.as_it_stood reads a moment of it.'"
    )
    for column, meaning in {
        "schema_name": "The table''s schema.",
        "table_name": "The table.",
        "key": "The primary key of the row.",
        "valid_from": "The begin of the transaction that wrote this version.",
        "valid_to": "When the next version replaced it, or the row was deleted; null: it stands.",
        "content": "The whole row.",
        "changed_by": "The login that wrote it.",
        "written_by": "The number of the transaction that wrote it.",
    }.items():
        op.execute(f"comment on column db.row_versions.{column} is '{meaning}'")
    op.execute("alter table ta_meta.table_class add column history_from timestamptz")
    op.execute(
        "comment on column ta_meta.table_class.history_from is 'Since when db.row_versions has the versions of its rows; null: they are not kept.'"
    )
    op.execute("grant select on db.row_versions to ta_lab2_research")
    op.execute("grant usage on schema ta_meta to ta_lab2_research")
    op.execute("grant select on ta_meta.table_class to ta_lab2_research")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('db', 'row_versions', 'dim')
    """)
    op.execute("""
        create view published.row_versions as
        select v.schema_name, v.table_name, v.key, v.valid_from, v.valid_to, v.content, v.changed_by
        from db.row_versions as v
    """)
    op.execute("comment on view published.row_versions is 'db.row_versions, to be read.'")


def downgrade() -> None:
    for what in TRIGGERS:
        op.execute(f"drop function if exists db._log_{what}() cascade")
    op.execute("""
        delete from ta_meta.routine_file as f
        where f.path = 'functions/db/keep_histories.sql'
    """)
    op.execute("drop view published.row_versions")
    op.execute("drop table db.row_versions")
    op.execute("""
        delete from ta_meta.table_class as c
        where c.schema_name = 'db' and c.table_name = 'row_versions'
    """)
    op.execute("alter table ta_meta.table_class drop column history_from")
    op.execute("revoke select on ta_meta.table_class from ta_lab2_research")
    op.execute("revoke usage on schema ta_meta from ta_lab2_research")
