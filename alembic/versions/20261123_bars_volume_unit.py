"""bars: what the volumes of an asset count is asked in one place

Indicators asked whether it is money, regimes whether it is units of the asset.
"""

from alembic import op

revision = "20261123_bars_volume_unit"
down_revision = "20261123_regimes_units"


def upgrade() -> None:
    op.execute("drop function if exists features._counts_money(integer)")


def downgrade() -> None:
    op.execute(
        "delete from ta_meta.routine_file as f where f.path = 'functions/features/as_of.sql'"
    )
