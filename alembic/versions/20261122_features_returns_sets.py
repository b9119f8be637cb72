"""features: routines that bring the returns of a whole batch up to date at once

Only arguments change. The files make the routines anew, and what the steps of a set need beside them.
"""

from alembic import op

revision = "20261122_features_returns_sets"
down_revision = "20261122_regimes_daily"

#: What changes, as it was and as it becomes.
ROUTINES = {
    "functions/features/refresh_returns.sql": (
        [
            "features.refresh_returns(integer, timestamptz)",
        ],
        [
            "features.refresh_returns(integer[], timestamptz[])",
        ],
    ),
    "functions/features/returns_kernel.sql": (
        ["features.returns_kernel(integer, bytea, bytea, bytea, boolean, bytea, bytea[])"],
        [
            "features.returns_kernel(integer[], integer[], bytea[], bytea[], bytea[], boolean[], bytea, bytea[])"
        ],
    ),
    "functions/features/sessions_between.sql": (
        [],
        ["features.sessions_between(text, timestamptz, timestamptz)"],
    ),
    "functions/features/replace_rows.sql": (
        [],
        ["features.replace_rows(regclass, integer[], timestamptz[], bytea)"],
    ),
    "functions/features/refresh_bars.sql": (
        [],
        [
            "features.refresh_bars(integer[], timestamptz[])",
            "features._bars_state(timestamptz, integer[])",
        ],
    ),
}


def upgrade() -> None:
    for before, _ in ROUTINES.values():
        for routine in before:
            op.execute(f"drop function if exists {routine}")


def downgrade() -> None:
    for path, (_, after) in ROUTINES.items():
        for routine in after:
            op.execute(f"drop function if exists {routine}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
