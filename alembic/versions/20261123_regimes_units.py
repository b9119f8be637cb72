"""regimes: the trigger on the units of sources is that of features, with another argument"""

from alembic import op

revision = "20261123_regimes_units"
down_revision = "20261123_signals_today"


def upgrade() -> None:
    op.execute("drop function if exists regimes.log_changed_volumes() cascade")
    op.execute(
        "delete from ta_meta.routine_file as f where f.path = 'functions/regimes/log_changed_volumes.sql'"
    )


def downgrade() -> None:
    op.execute("drop trigger if exists log_changed_volumes on bars.dim_sources")
