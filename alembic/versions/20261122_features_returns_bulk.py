"""features: take the foreign key from the returns

Its check of every row was a third of a full refresh: four thousand rows name one asset. The refresh reads
the asset in the transaction that writes, and the key of feature_state, written with them, keeps it.
"""

from alembic import op

revision = "20261122_features_returns_bulk"
down_revision = "20261122_bars_intraday"


def upgrade() -> None:
    op.execute("alter table features.cmc_returns_daily drop constraint cmc_returns_daily_id_fkey")


def downgrade() -> None:
    op.execute(
        "alter table features.cmc_returns_daily add foreign key (id) references bars.dim_assets"
    )
