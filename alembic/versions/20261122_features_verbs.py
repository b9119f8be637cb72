"""features: a refresh serves the verbs of the slices above it too

Each verb has its own row of ``refresh_state`` per asset, which is the lock: its failures and its sessions are
its own. ``dim_computations`` has the computations of slices that ``features`` can't name, ``also_reads``
the other tables of a consumer that computes from several. Routines get the verb as an argument.
"""

from alembic import op

revision = "20261122_features_verbs"
down_revision = "20261122_features_sets"

#: What changes, as it was and as it becomes.
ROUTINES = {
    "procedures/features/refresh_features.sql": [
        (
            "public.refresh_features(integer[], boolean, boolean)",
            "public.refresh_features(integer[], boolean, boolean, text)",
        ),
        (
            "features._announce_candidates(integer[], boolean)",
            "features._announce_candidates(integer[], boolean, text)",
        ),
        (
            "features._refresh_and_record(uuid, integer[], boolean, jsonb)",
            "features._refresh_and_record(uuid, integer[], boolean, jsonb, text)",
        ),
    ],
    "functions/features/assets_to_refresh.sql": [
        (
            "features.assets_to_refresh(integer[])",
            "features.assets_to_refresh(integer[], text)",
        ),
    ],
    "functions/features/refresh_asset.sql": [
        (
            "features.refresh_asset(integer, boolean)",
            "features.refresh_asset(integer, boolean, text)",
        ),
    ],
    "functions/features/refresh_assets.sql": [
        (
            "features.refresh_assets(integer[], boolean, jsonb)",
            "features.refresh_assets(integer[], boolean, jsonb, text)",
        ),
        (
            "features._tell_of_rebuilds(text, text, integer[], timestamptz[])",
            "features._tell_of_rebuilds(text, text, text, integer[], timestamptz[])",
        ),
    ],
    "functions/features/refresh_batches.sql": [
        (
            "features.refresh_batches(integer[], boolean, jsonb)",
            "features.refresh_batches(integer[], boolean, jsonb, text)",
        ),
    ],
    "functions/features/refresh_candidates.sql": [
        (
            "features.refresh_candidates(integer[], boolean)",
            "features.refresh_candidates(integer[], boolean, text)",
        ),
    ],
    "functions/features/record_failure.sql": [
        (
            "features.record_failure(integer, text, text)",
            "features.record_failure(integer, text, text, text)",
        ),
    ],
    "functions/features/close_refresh.sql": [
        (
            "features._record_assets(uuid, text)",
            "features._record_assets(uuid, text, text)",
        ),
        (
            "features._alert_of_assets(uuid, text)",
            "features._alert_of_assets(uuid, text, text)",
        ),
        (
            "features._alert_of_run(uuid, text, text)",
            "features._alert_of_run(uuid, text, text, text)",
        ),
    ],
}

#: What an older checkout doesn't know, beside a routine of the same name that stays.
OVERLOADS = {
    "features.computations(text)": "computations",
    "features.fingerprints(text)": "fingerprints",
    "features._configuration(regproc)": "fingerprints",
}

COMPUTATIONS = {
    "feature_type": "The computation, as in feature_state and dim_consumers.",
    "verb": "The verb that refreshes it.",
    "place": "Its place among the computations of that verb, from 1.",
    "feature_name": "The table that it fills.",
    "kernel": "The routine that works it out.",
    "step": "The routine that reads, calls the kernel and writes, as features.refresh_asset says.",
    "configuration": "The routine that says what the rows depend on beside the kernel; null: nothing.",
}


def upgrade() -> None:
    for routines in ROUTINES.values():
        for before, _ in routines:
            op.execute(f"drop routine if exists {before}")

    op.execute(
        "alter table features.refresh_state add column verb text not null default 'refresh_features'"
    )
    op.execute("""
        alter table features.refresh_state
            drop constraint refresh_state_pkey,
            add primary key (id, verb)
    """)
    op.execute(
        "comment on column features.refresh_state.verb is 'The verb: each has a row of its own.'"
    )
    op.execute("""
        create or replace view published.refresh_state as
        select s.id, s.refreshed_at, s.failed_at, s.last_error, s.verb
        from features.refresh_state as s
    """)

    op.execute("alter table bars.dim_consumers add column also_reads text[] not null default '{}'")
    op.execute(
        "comment on column bars.dim_consumers.also_reads is 'Other tables whose changes it is told.'"
    )
    op.execute("""
        create or replace view published.dim_consumers as
        select c.consumer, c.description, c.reads, c.also_reads
        from bars.dim_consumers as c
    """)

    op.execute(r"""
        create table features.dim_computations (
            feature_type  text primary key references bars.dim_consumers,
            verb          text not null check (verb ~ '^refresh_[a-z_]+$'),
            place         integer not null check (place > 0),
            feature_name  text not null,
            kernel        text not null,
            step          text not null,
            configuration text,
            unique (verb, place),
            constraint features_knows_its_own check (verb <> 'refresh_features'),
            constraint routines_are_qualified check (
                kernel ~ '^[a-z_]+\.[a-z_]+$'
                and step ~ '^[a-z_]+\.[a-z_]+$'
                and configuration ~ '^[a-z_]+\.[a-z_]+$'
            )
        )
    """)
    op.execute(
        "comment on table features.dim_computations is 'Computations of the slices above features, which it calls by these names.'"
    )
    for column, meaning in COMPUTATIONS.items():
        op.execute(f"comment on column features.dim_computations.{column} is '{meaning}'")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('features', 'dim_computations', 'dim')
    """)
    op.execute("""
        create view published.dim_computations as
        select
            c.feature_type, c.verb, c.place, c.feature_name, c.kernel, c.step, c.configuration
        from features.dim_computations as c
    """)
    op.execute(
        "comment on view published.dim_computations is 'features.dim_computations, to be read.'"
    )


def downgrade() -> None:
    for path, routines in ROUTINES.items():
        for _, after in routines:
            op.execute(f"drop routine if exists {after}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    for routine, file in OVERLOADS.items():
        op.execute(f"drop function if exists {routine}")
        op.execute(
            f"delete from ta_meta.routine_file as f where f.path = 'functions/features/{file}.sql'"
        )
    # Their texts read what goes.
    op.execute("delete from ta_meta.routine_file as f where f.path = 'functions/features/due.sql'")
    op.execute(
        "delete from ta_meta.routine_file as f where f.path = 'functions/bars/log_dirty_range.sql'"
    )

    op.execute("drop view published.dim_computations")
    op.execute("drop table features.dim_computations")
    op.execute("delete from ta_meta.table_class as c where c.table_name = 'dim_computations'")

    op.execute("drop view published.dim_consumers")
    op.execute("alter table bars.dim_consumers drop column also_reads")
    op.execute("""
        create view published.dim_consumers as
        select c.consumer, c.description, c.reads
        from bars.dim_consumers as c
    """)
    op.execute("comment on view published.dim_consumers is 'bars.dim_consumers, to be read.'")

    op.execute("drop view published.refresh_state")
    op.execute("delete from features.refresh_state as s where s.verb <> 'refresh_features'")
    op.execute("""
        alter table features.refresh_state
            drop constraint refresh_state_pkey,
            drop column verb,
            add primary key (id)
    """)
    op.execute("""
        create view published.refresh_state as
        select s.id, s.refreshed_at, s.failed_at, s.last_error
        from features.refresh_state as s
    """)
    op.execute("comment on view published.refresh_state is 'features.refresh_state, to be read.'")
