"""bars: candles, returns and what they stand on go by the asset's own session

No table changes: routines that took no session give way to those that do. The triggers on the
calendar stand in the routine lane.
"""

from alembic import op

revision = "20261122_bars_sessions"
down_revision = "20261122_features_emas"

BEFORE = (
    "bars.load_staged_prices(uuid, text, integer, text, text[], timestamptz,"
    " text, text, boolean, boolean)",
    "bars._switch_source(uuid, integer, text, boolean)",
    "bars._day(text)",
    "bars.asset_summary(integer)",
    "features._sessions(timestamptz, timestamptz)",
)

# What the routine lane has since: the files are applied again after an upgrade.
SINCE = {
    "functions/bars/load_staged_prices.sql": (
        "bars.load_staged_prices(uuid, text, integer, text, text[], timestamptz,"
        " text, text, boolean, boolean, text)",
        "bars._check_calendar(uuid, timemodel.dim_sessions, date)",
        "bars._register_asset(integer, text, text)",
    ),
    "functions/bars/asset_summary.sql": ("bars.asset_summary(integer)",),
    "functions/bars/log_deleted_prices.sql": (
        "bars.log_deleted_prices()",
        "bars._log_replaced(integer, timestamptz, timestamptz, bars.price_revisions[])",
    ),
    "functions/bars/log_updated_prices.sql": ("bars.log_updated_prices()",),
    "functions/bars/log_changed_sessions.sql": ("bars.log_changed_sessions()",),
    "functions/bars/log_moved_sessions.sql": ("bars.log_moved_sessions()",),
    "functions/bars/refuse_to_reclassify.sql": ("bars.refuse_to_reclassify()",),
    "functions/timemodel/session.sql": ("timemodel.session(text)",),
}


def upgrade() -> None:
    for routine in BEFORE:
        op.execute(f"drop function if exists {routine}")
    # Another result.
    op.execute("drop function if exists bars._register_asset(integer, text, text)")


def downgrade() -> None:
    for path, routines in SINCE.items():
        for routine in routines:
            op.execute(f"drop function if exists {routine} cascade")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
