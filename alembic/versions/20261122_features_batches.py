"""features: routines of a refresh that works in batches and knows its arithmetic from the start

Only arguments change, and steps give back what they did: the files make the routines anew.
"""

from alembic import op

revision = "20261122_features_batches"
down_revision = "20261122_bars_sources"

#: What changes, as it was and as it becomes.
ROUTINES = {
    "functions/features/take_dirty.sql": (
        "features.take_dirty(integer, text, boolean)",
        "features.take_dirty(integer, text, timestamptz)",
    ),
    "functions/features/record_progress.sql": (
        "features.record_progress(integer, text, timestamptz, bytea)",
        "features.record_progress(integer, text, text, text, timestamptz, bytea)",
    ),
    "functions/features/refresh_returns.sql": (
        "features.refresh_returns(integer, boolean)",
        "features.refresh_returns(integer, timestamptz)",
    ),
    "functions/features/refresh_asset.sql": (
        "features.refresh_asset(integer, boolean)",
        "features.refresh_asset(integer, boolean, jsonb, jsonb)",
    ),
}

#: What an older checkout doesn't know.
NEW = {
    "functions/features/fingerprints.sql": "features.fingerprints()",
    "functions/features/refresh_batches.sql": "features.refresh_batches(integer[], boolean, jsonb)",
    "functions/features/due.sql": "features.due(integer[], boolean, jsonb)",
    "functions/features/record_idle.sql": "features.record_idle(uuid, integer[], timestamptz)",
}

#: What features.due took the place of.
GONE = {"functions/features/due_from.sql": "features.due_from(integer, text, timestamptz, boolean)"}


def upgrade() -> None:
    for path, routine in GONE.items():
        op.execute(f"drop function if exists {routine}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    for before, _ in ROUTINES.values():
        op.execute(f"drop function if exists {before}")


def downgrade() -> None:
    for path, (_, after) in ROUTINES.items():
        op.execute(f"drop function if exists {after}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    for path, routine in NEW.items():
        op.execute(f"drop function if exists {routine}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
