"""bars: who computes from the candles, and which of them changed since

A row of ``dirty_range`` is one statement's change of one asset for one consumer. The triggers that write
it are behaviour and stand in ``sql/functions/bars``; taking the tables away takes them along.
"""

from alembic import op

revision = "20261122_bars_dirty_ranges"
down_revision = "20261122_observability_records"

COMMENTS = {
    "bars.dim_consumers": (
        "Who computes from the daily candles and is told what changed. A new one is an insert.",
        {
            "consumer": "The name that dirty_range uses.",
            "description": "What it computes.",
        },
    ),
    "bars.dirty_range": (
        "Candles that changed and that a consumer has not computed from yet."
        " It deletes its rows, then reads the candles, in that order.",
        {
            "id": "The asset.",
            "consumer": "Whose turn it is.",
            "range_id": "Tells apart what several statements changed.",
            "from_ts": "The first candle that was written, changed or removed.",
            "to_ts": "The last one.",
            "logged_at": "When the transaction began that changed them.",
        },
    ),
}

# What the routine lane made on top of these tables: the files are applied again after an upgrade.
TRIGGERS = {
    "functions/bars/log_inserted_prices.sql": "bars.log_inserted_prices()",
    "functions/bars/log_updated_prices.sql": "bars.log_updated_prices()",
    "functions/bars/log_deleted_prices.sql": "bars.log_deleted_prices()",
    "functions/bars/refuse_to_truncate_prices.sql": "bars.refuse_to_truncate_prices()",
}


def upgrade() -> None:
    op.execute("""
        create table bars.dim_consumers (
            consumer    text primary key,
            description text not null
        )
    """)
    op.execute("""
        create table bars.dirty_range (
            id        integer not null references bars.dim_assets,
            consumer  text not null references bars.dim_consumers,
            range_id  uuid not null default gen_random_uuid(),
            from_ts   timestamptz not null,
            to_ts     timestamptz not null,
            logged_at timestamptz not null default now(),
            primary key (id, consumer, range_id),
            constraint range_is_in_order check (from_ts <= to_ts)
        )
    """)
    for table, (what, columns) in COMMENTS.items():
        op.execute(f"comment on table {table} is '{what}'")
        for column, meaning in columns.items():
            op.execute(f"comment on column {table}.{column} is '{meaning}'")
    op.execute("grant insert, delete on bars.dirty_range to ta_lab2_app")
    op.execute("grant select on bars.dim_consumers to ta_lab2_research")
    op.execute("""
        insert into bars.dim_consumers (consumer, description)
        values ('bars', 'Bars of every timeframe.'),
               ('returns', 'Daily returns.')
    """)
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('bars', 'dim_consumers', 'dim'),
               ('bars', 'dirty_range', 'asset')
    """)
    op.execute("""
        create view published.dim_consumers as
        select c.consumer, c.description
        from bars.dim_consumers as c
    """)
    op.execute("""
        create view published.dirty_range as
        select d.id, d.consumer, d.range_id, d.from_ts, d.to_ts, d.logged_at
        from bars.dirty_range as d
    """)
    for view in ["dim_consumers", "dirty_range"]:
        op.execute(f"comment on view published.{view} is 'bars.{view}, to be read.'")


def downgrade() -> None:
    for path, function in TRIGGERS.items():
        op.execute(f"drop function if exists {function} cascade")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    for name in ["dirty_range", "dim_consumers"]:
        op.execute(f"drop view published.{name}")
        op.execute(f"drop table bars.{name}")
    op.execute("""
        delete from ta_meta.table_class as c
        where c.schema_name = 'bars' and c.table_name in ('dim_consumers', 'dirty_range')
    """)
