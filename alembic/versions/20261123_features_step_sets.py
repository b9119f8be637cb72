"""features: steps that bring volatility, indicators and the store of a whole batch up to date at once

Only arguments change. The files make the routines anew, and what the steps of a set need beside them.
"""

from alembic import op

revision = "20261123_features_step_sets"
down_revision = "20261123_features_selection"

#: What changes, as it was and as it becomes.
ROUTINES = {
    "functions/features/refresh_assets.sql": (
        ["features._step_of(text, integer, timestamptz)"],
        [],
    ),
    "functions/features/refresh_bars.sql": (
        ["features.refresh_bars(integer, timestamptz)"],
        ["features._bars_of(integer, timestamptz)"],
    ),
    "functions/features/refresh_emas.sql": (
        ["features.refresh_emas(integer, timestamptz)"],
        [
            "features.refresh_emas(integer[], timestamptz[])",
            "features._emas_of(integer, timestamptz)",
        ],
    ),
    "functions/features/replace_rows.sql": (
        ["features.replace_rows(regclass, integer, integer[], timestamptz[], bytea)"],
        ["features.replace_rows(regclass, integer[], integer[], timestamptz[], bytea)"],
    ),
    "functions/features/refresh_indicators.sql": (
        ["features.refresh_indicators(integer, timestamptz)"],
        [
            "features.refresh_indicators(integer[], timestamptz[])",
            "features._indicators_due(integer[], timestamptz[], text[], integer[], text[])",
        ],
    ),
    "functions/features/indicators_kernel.sql": (
        [
            "features.indicators_kernel(integer, text[], jsonb, text, bytea, bytea, bytea, bytea, bytea,"
            " bytea, bytea, bytea, bytea, bytea, text[], bytea, bytea[], bytea[])"
        ],
        [
            "features.indicators_kernel(integer[], text[], jsonb, text, integer[], bytea[], bytea[],"
            " bytea[], bytea[], bytea[], bytea[], bytea[], bytea, bytea, bytea[], text[], bytea[],"
            " bytea[], bytea[])"
        ],
    ),
    "functions/features/refresh_vol.sql": (
        ["features.refresh_vol(integer, timestamptz)"],
        ["features.refresh_vol(integer[], timestamptz[])"],
    ),
    "functions/features/vol_kernel.sql": (
        [
            "features.vol_kernel(integer, integer, bytea, bytea, bytea, bytea, bytea, bytea, boolean,"
            " bytea, double precision, bytea[], text, integer, double precision, double precision)"
        ],
        [
            "features.vol_kernel(integer[], integer[], integer[], bytea[], bytea[], bytea[], bytea[],"
            " bytea[], bytea[], boolean[], bytea, double precision[], bytea[], text, integer,"
            " double precision, double precision)"
        ],
    ),
    "functions/features/refresh_store.sql": (
        [
            "features.refresh_store(integer, timestamptz)",
            "features._sources_processed(integer)",
        ],
        [
            "features.refresh_store(integer[], timestamptz[])",
            "features._joined_rows(integer[], timestamptz, integer[], timestamptz[], text[],"
            " integer, integer[], text[])",
            "features._sources_processed(integer[])",
        ],
    ),
    "functions/features/daily_features.sql": (
        [],
        [
            "features._daily_row(integer, timestamptz, text, integer[], text[],"
            " bars.cmc_price_histories7, features.cmc_returns_daily, features.cmc_vol_daily,"
            " features.cmc_ta_daily, features.cmc_ema_multi_tf)",
            "features._daily_layout()",
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
