"""bars: take the foreign keys from the bars

A check per row and key took twice as long as all the rest: forty thousand rows of one asset name one
asset and 199 timeframes. The refresh reads both in the transaction that writes; a trigger of the
routine lane keeps a timeframe that is in use, and feature_state keeps the asset.
"""

from alembic import op

revision = "20261122_bars_ladder_bulk"
down_revision = "20261122_features_batches"

#: What an older checkout doesn't know.
ROUTINES = {
    "functions/features/refresh_bars.sql": "features.refresh_bars(integer, timestamptz)",
    "functions/features/replace_rows.sql": "features.replace_rows(regclass, integer, integer[], timestamptz[], bytea)",
    "functions/bars/log_new_timeframe.sql": "bars.log_new_timeframe()",
    "functions/bars/refuse_timeframe_loss.sql": "bars.refuse_timeframe_loss()",
    "functions/bars/forming.sql": "bars.forming(integer, text, timestamptz)",
    "functions/bars/ladder.sql": "bars.ladder(integer, integer[], timestamptz, timestamptz, bytea[], timestamptz)",
    "functions/bars/ladder_kernel.sql": "bars.ladder_kernel(integer, integer[], text[], integer[], boolean[], integer, integer, integer, bytea[], bytea[], bytea, bytea, bytea[])",
    "functions/db/packing.sql": "db.packing()",
}


def upgrade() -> None:
    op.execute("""
        alter table bars.cmc_price_bars_multi_tf
            drop constraint cmc_price_bars_multi_tf_id_fkey,
            drop constraint cmc_price_bars_multi_tf_tf_id_fkey
    """)


def downgrade() -> None:
    op.execute("drop function if exists bars._session_of(integer, text, timestamptz)")
    for path, function in ROUTINES.items():
        # Triggers go along.
        op.execute(f"drop function if exists {function} cascade")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute("""
        alter table bars.cmc_price_bars_multi_tf
            add foreign key (id) references bars.dim_assets,
            add foreign key (tf_id) references timemodel.dim_timeframe
    """)
