"""db: a schema for each slice, and what the lanes and the catalogue need

``ta_meta.routine_file`` says which text of each routine file stands in this database;
``ta_meta.table_class`` gives every table its place when one machine is not enough:
``asset`` (led by ``id``), ``dim`` (small, referenced) or ``single`` (everything else).
The schema ``ta_meta`` itself is made before the first revision: Alembic's own table lives there.
"""

from alembic import op

revision = "20261122_db_slices"
down_revision = None

SLICES = [
    "timemodel",
    "bars",
    "indicators",
    "features",
    "regimes",
    "signals",
    "backtest",
    "observability",
    "spend",
    "orchestrator",
    "memory",
    "research",
    "ops",
    "db",
]


def upgrade() -> None:
    # EXECUTE is everybody's unless it is taken away for all that the owner will make.
    op.execute("alter default privileges revoke execute on routines from public")
    for schema in SLICES:
        op.execute(f"create schema {schema}")
        op.execute(f"grant usage on schema {schema} to ta_lab2_app, ta_lab2_research")
        op.execute(
            f"alter default privileges in schema {schema} grant select on tables to ta_lab2_app"
        )
    op.execute("create schema published")
    op.execute(
        "comment on schema published is 'What ta_lab2_reader may select: one view per table.'"
    )
    op.execute("grant usage on schema published to ta_lab2_reader, ta_lab2_app")
    op.execute(
        "alter default privileges in schema published grant select on tables"
        " to ta_lab2_reader, ta_lab2_app"
    )
    for schema in [*SLICES, "public"]:
        op.execute(
            f"alter default privileges in schema {schema} grant execute on routines to ta_lab2_app"
        )
    op.execute("grant usage on schema ta_meta to ta_lab2_app")

    op.execute("""
        create table ta_meta.routine_file (
            path       text primary key,
            sha256     text not null,
            applied_at timestamptz not null default now()
        )
    """)
    op.execute(
        "comment on table ta_meta.routine_file is 'The text of each file under sql/ that this database has.'"
    )
    op.execute(
        "comment on column ta_meta.routine_file.path is 'Relative to sql/, with forward slashes.'"
    )
    op.execute(
        "comment on column ta_meta.routine_file.sha256 is 'Digest of the text with LF line ends, 64 hex digits.'"
    )
    op.execute("comment on column ta_meta.routine_file.applied_at is 'When this text was applied.'")

    op.execute("""
        create table ta_meta.table_class (
            schema_name    text not null,
            table_name     text not null,
            class          text not null check (class in ('asset', 'dim', 'single')),
            time_column    text,
            chunk_interval interval,
            primary key (schema_name, table_name),
            check ((time_column is null) = (chunk_interval is null))
        )
    """)
    op.execute(
        "comment on table ta_meta.table_class is 'How each table is placed when there is more than one machine.'"
    )
    op.execute("comment on column ta_meta.table_class.schema_name is 'The slice.'")
    op.execute("comment on column ta_meta.table_class.table_name is 'The table.'")
    op.execute(
        "comment on column ta_meta.table_class.class is 'asset: distributed by id; dim: copied everywhere; single: in one place.'"
    )
    op.execute(
        "comment on column ta_meta.table_class.time_column is 'Partitioned by this column through db.make_time_series; null: not partitioned.'"
    )
    op.execute(
        "comment on column ta_meta.table_class.chunk_interval is 'The span of one partition.'"
    )
    op.execute("grant select on ta_meta.routine_file, ta_meta.table_class to ta_lab2_app")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('ta_meta', 'routine_file', 'single'),
               ('ta_meta', 'table_class', 'dim'),
               ('ta_meta', 'alembic_version', 'single')
    """)


def downgrade() -> None:
    op.execute("drop table ta_meta.table_class")
    op.execute("drop table ta_meta.routine_file")
    # The routines are not a revision's business, but their schemas are: both go.
    for schema in ["published", *reversed(SLICES)]:
        op.execute(f"drop schema {schema} cascade")
    op.execute("""
        do $$
        declare
            v_signature text;
        begin
            for v_signature in
                select p.oid::regprocedure::text
                from pg_proc as p
                where p.pronamespace = 'public'::regnamespace
                  and p.proowner = 'ta_lab2_owner'::regrole
            loop
                execute format('drop routine %s', v_signature);
            end loop;
        end
        $$
    """)
    op.execute(
        "alter default privileges in schema public revoke execute on routines from ta_lab2_app"
    )
    op.execute("alter default privileges grant execute on routines to public")
    op.execute("revoke usage on schema ta_meta from ta_lab2_app")
