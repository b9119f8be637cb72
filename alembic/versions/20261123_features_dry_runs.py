"""features: a slice above says which assets lack what was configured since

A dry run tells how many candles a refresh will work on. Of a new signal that is all of them, which only its
own slice can see: ``dim_computations.lacking`` names who to ask.
"""

from alembic import op

revision = "20261123_features_dry_runs"
down_revision = "20261123_bars_longer_blocks"

COLUMNS = "c.feature_type, c.verb, c.place, c.feature_name, c.kernel, c.step, c.configuration"

#: What an older checkout doesn't know.
ROUTINES = {
    "functions/features/refresh_candidates.sql": "features._lacking(text, integer[])",
    "functions/signals/lacking.sql": "signals.lacking(text, integer[])",
}


def upgrade() -> None:
    op.execute(r"""
        alter table features.dim_computations
            add column lacking text,
            add constraint lacking_is_qualified check (lacking ~ '^[a-z_]+\.[a-z_]+$')
    """)
    op.execute(
        "comment on column features.dim_computations.lacking is"
        " 'The routine that names the assets which lack rows of what was configured since; null: the configuration tells.'"
    )
    op.execute("""
        update features.dim_computations as c
        set lacking = 'signals.lacking'
        where c.verb = 'refresh_signals'
    """)
    op.execute(
        f"create or replace view published.dim_computations as"
        f" select {COLUMNS}, c.lacking from features.dim_computations as c"
    )


def downgrade() -> None:
    for path, routine in ROUTINES.items():
        op.execute(f"drop function if exists {routine}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute("drop view published.dim_computations")
    op.execute("alter table features.dim_computations drop column lacking")
    op.execute(
        f"create view published.dim_computations as select {COLUMNS} from features.dim_computations as c"
    )
    op.execute(
        "comment on view published.dim_computations is 'features.dim_computations, to be read.'"
    )
