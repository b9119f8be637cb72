"""features: routines of a refresh that works a batch out together

Only arguments change: what was called for each asset takes arrays. The files make the routines anew.
"""

from alembic import op

revision = "20261122_features_sets"
down_revision = "20261122_db_row_versions"

#: What changes, as it was and as it becomes.
ROUTINES = {
    "functions/features/take_dirty.sql": (
        ["features.take_dirty(integer, text, timestamptz)"],
        ["features.take_dirty(integer[], text)"],
    ),
    "functions/features/record_progress.sql": (
        ["features.record_progress(integer, text, text, text, timestamptz, bytea)"],
        ["features.record_progress(integer[], text, text, text, timestamptz[], bytea[])"],
    ),
    "functions/features/record_refresh_event.sql": (
        [
            "features.record_refresh_event(uuid, integer, timestamptz, bigint, bigint, bigint, text, text)"
        ],
        [
            "features.record_refresh_event(uuid, integer[], timestamptz, bigint[], bigint[], bigint[])",
            "features.record_refresh_event(uuid, integer, timestamptz, text, text)",
        ],
    ),
    "functions/features/refresh_asset.sql": (
        ["features.refresh_asset(integer, boolean, jsonb, jsonb)"],
        ["features.refresh_asset(integer, boolean)"],
    ),
    "functions/features/close_refresh.sql": ([], ["features._events_of(uuid)"]),
    "procedures/features/refresh_features.sql": (
        [],
        ["features._refresh_and_record(uuid, integer[], boolean, jsonb)"],
    ),
}

#: What an older checkout doesn't know.
NEW = {
    "functions/features/refresh_assets.sql": [
        "features.refresh_assets(integer[], boolean, jsonb)",
        "features._tell_of_rebuilds(text, text, integer[], timestamptz[])",
        "features._step_of(text, integer[], timestamptz[])",
        "features._step_of(text, integer, timestamptz)",
    ]
}

#: What features.refresh_assets took the place of.
GONE = {
    "functions/features/record_idle.sql": ["features.record_idle(uuid, integer[], timestamptz)"]
}


def drop(routines: list[str]) -> None:
    for routine in routines:
        op.execute(f"drop function if exists {routine}")


def forget(path: str) -> None:
    op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")


def upgrade() -> None:
    for path, routines in GONE.items():
        drop(routines)
        forget(path)
    for before, _ in ROUTINES.values():
        drop(before)


def downgrade() -> None:
    for path, (_, after) in ROUTINES.items():
        drop(after)
        forget(path)
    for path, routines in NEW.items():
        drop(routines)
        forget(path)
