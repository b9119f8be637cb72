"""bars: four times as many lines in a row of ``price_staging``

A block of lines is staged as one row. Up to what a page holds it now stays in it as it is; before, a row of
more than 2 kB would have been compressed and cut into pieces on its way in.
"""

from alembic import op

revision = "20261123_bars_longer_blocks"
down_revision = "20261123_bars_plain_ladder"


def upgrade() -> None:
    op.execute("alter table bars.price_staging set (toast_tuple_target = 8160)")


def downgrade() -> None:
    op.execute("alter table bars.price_staging reset (toast_tuple_target)")
