"""features: a refresh of chosen indicators

Only arguments change. The files make the routines anew.
"""

from alembic import op

revision = "20261123_features_selection"
down_revision = "20261123_features_policies"

#: What changes, as it was and as it becomes.
ROUTINES = {
    "functions/features/chosen_indicators.sql": ([], ["function features.chosen_indicators(text[])"]),
    "functions/features/refresh_chosen.sql": (
        [],
        [
            "function features.refresh_chosen(integer[], boolean, jsonb, integer[])",
            "function features._refresh_chosen_of(integer, timestamptz, integer[])",
        ],
    ),
    "functions/features/refresh_indicators.sql": ([], ["function features._counts_money(integer)"]),
    "procedures/features/refresh_features.sql": (
        [
            "procedure public.refresh_features(integer[], text[], boolean, boolean, text)",
            "function features._refresh_and_record(uuid, integer[], boolean, jsonb, text)",
        ],
        [
            "procedure public.refresh_features(integer[], text[], text[], boolean, boolean, text)",
            "function features._refresh_and_record(uuid, integer[], boolean, jsonb, integer[], text)",
        ],
    ),
}


def upgrade() -> None:
    for before, _ in ROUTINES.values():
        for routine in before:
            op.execute(f"drop {routine.replace(' ', ' if exists ', 1)}")


def downgrade() -> None:
    for path, (_, after) in ROUTINES.items():
        for routine in after:
            op.execute(f"drop {routine.replace(' ', ' if exists ', 1)}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
