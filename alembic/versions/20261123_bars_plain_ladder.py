"""bars: the bars in a plain table; bars and EMAs of a whole batch at once

Measured with 42,000 bars of one asset: as a hypertable of a chunk a year they took half as much processor
time again to write, because only a superuser may COPY a server's file into one: the rows went
through a temporary table, and from there one by one into the index of each chunk. Who reads them
names an asset. The rows stay; EMAs stand like that already.
"""

from alembic import op

revision = "20261123_bars_plain_ladder"
down_revision = "20261123_backtest_sets"

#: It returns a row of the table, whose type goes with the old one; the routine lane makes it anew.
AS_KNOWN = "features._ladder_as_known(integer, integer[], timestamptz)"

#: What changes, as it was and as it becomes.
ROUTINES = {
    "functions/bars/ladder_kernel.sql": (
        [
            "bars.ladder_kernel(integer, integer[], text[], integer[], boolean[], integer, integer,"
            " integer, bytea[], bytea[], bytea, bytea, bytea[])"
        ],
        [
            "bars.ladder_kernel(integer[], integer[], text[], integer[], boolean[], integer[],"
            " integer[], integer[], integer[], bytea[], bytea[], bytea, bytea, bytea[])"
        ],
    ),
    "functions/bars/ladder.sql": (
        [
            "bars.ladder(integer, integer[], timestamptz, timestamptz, bytea[], timestamptz,"
            " timestamptz)"
        ],
        [
            "bars.ladder(integer[], integer[], timestamptz[], timestamptz[], bytea[], timestamptz,"
            " timestamptz)",
            "bars._reach_of(integer, text, timestamptz, timestamptz, integer)",
            "bars._sessions_of(integer, text, integer, timestamptz, integer)",
        ],
    ),
    "functions/features/refresh_bars.sql": (["features._bars_of(integer, timestamptz)"], []),
    "functions/features/ema_kernel.sql": (
        [
            "features.ema_kernel(integer, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea,"
            " bytea, bytea[])"
        ],
        [
            "features.ema_kernel(integer[], bytea, integer[], bytea[], bytea[], bytea[], bytea,"
            " bytea, bytea, bytea, bytea, bytea, bytea[])"
        ],
    ),
    "functions/features/refresh_emas.sql": (["features._emas_of(integer, timestamptz)"], []),
}

CLASS = """
    update ta_meta.table_class
    set time_column = {},
        chunk_interval = {}
    where schema_name = 'bars'
      and table_name = 'cmc_price_bars_multi_tf'
"""


def upgrade() -> None:
    for before, _ in ROUTINES.values():
        for routine in before:
            op.execute(f"drop function if exists {routine}")
    op.execute(f"drop function if exists {AS_KNOWN}")
    op.execute(
        "delete from ta_meta.routine_file as f where f.path = 'functions/features/ema_as_of.sql'"
    )
    op.execute("alter table bars.cmc_price_bars_multi_tf rename to bars_in_chunks")
    op.execute(
        "create table bars.cmc_price_bars_multi_tf (like bars.bars_in_chunks including comments)"
    )
    op.execute("""
        insert into bars.cmc_price_bars_multi_tf
        select b.*
        from bars.bars_in_chunks as b
        order by b.id, b.tf_id, b.time_close
    """)
    op.execute("""
        create or replace view published.cmc_price_bars_multi_tf as
        select
            b.id, b.tf_id, b.time_close, b.time_open, b.bar_seq, b.open, b.high, b.low, b.close,
            b.volume, b.market_cap, b.time_high, b.time_low, b.is_partial_start, b.is_partial_end,
            b.count_days, b.count_missing_days
        from bars.cmc_price_bars_multi_tf as b
    """)
    op.execute("drop table bars.bars_in_chunks")
    op.execute("""
        alter table bars.cmc_price_bars_multi_tf add primary key (id, tf_id, time_close)
    """)
    op.execute("comment on table bars.cmc_price_bars_multi_tf is 'Closed bars of every timeframe.'")
    op.execute("grant insert, update, delete on bars.cmc_price_bars_multi_tf to ta_lab2_app")
    op.execute(CLASS.format("null", "null"))


def downgrade() -> None:
    for path, (_, after) in ROUTINES.items():
        for routine in after:
            op.execute(f"drop function if exists {routine}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    # The older checkout's migration partitions it again.
    op.execute(CLASS.format("'time_close'", "'365 days'"))
