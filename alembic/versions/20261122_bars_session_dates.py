"""bars: a load may write into its staged lines which session they mean

A moment in the file of an exchange's asset becomes the date of its session once, for all that
follows. ``bars._day`` takes the text alone and gives the date.
"""

from alembic import op

revision = "20261122_bars_session_dates"
down_revision = "20261122_features_ema_view"


def upgrade() -> None:
    # Another result, and another argument in between.
    op.execute("drop function if exists bars._day(text)")
    op.execute("drop function if exists bars._day(text, timemodel.dim_sessions)")
    op.execute("drop function if exists bars._exchange_date(timestamptz, text, text)")
    op.execute("grant update (day) on bars.price_staging to ta_lab2_app")


def downgrade() -> None:
    op.execute("revoke update (day) on bars.price_staging from ta_lab2_app")
    op.execute("drop function if exists bars._name_sessions(uuid, timemodel.dim_sessions)")
    op.execute("drop function if exists bars._day(text)")
    op.execute(
        "delete from ta_meta.routine_file as f"
        " where f.path = 'functions/bars/load_staged_prices.sql'"
    )
