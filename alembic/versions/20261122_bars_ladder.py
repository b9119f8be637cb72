"""bars: the closed bars of every timeframe, and which table each consumer of changes reads

``reads`` lets a computation be told what another one changed: EMAs read bars, not candles.
"""

from alembic import op

revision = "20261122_bars_ladder"
down_revision = "20261122_timemodel_timeframes"

COLUMNS = {
    "id": "The asset.",
    "tf_id": "The timeframe.",
    "time_close": "The last millisecond of its last scheduled session: when it could first be known.",
    "time_open": "The opening of its first scheduled session, also where the asset began later.",
    "bar_seq": "The window''s number from the asset''s first window, 1; windows without a candle leave a hole.",
    "open": "Open of its first candle, US dollars.",
    "high": "Highest high.",
    "low": "Lowest low.",
    "close": "Close of its last candle.",
    "volume": "Sum of the volumes that are known; null: none is.",
    "market_cap": "That of its last candle.",
    "time_high": "When the highest price was seen: the earliest candle with it, its own stamp or else its ts.",
    "time_low": "When the lowest price was seen, likewise.",
    "is_partial_start": "Whether its window began before the asset''s first candle.",
    "is_partial_end": "Whether it is unfinished: false in this table.",
    "count_days": "Candles in it.",
    "count_missing_days": "Scheduled sessions of its window, from the asset''s first candle on, that have no candle.",
}


def upgrade() -> None:
    op.execute("""
        create table bars.cmc_price_bars_multi_tf (
            id                 integer not null references bars.dim_assets,
            tf_id              integer not null references timemodel.dim_timeframe,
            time_close         timestamptz not null,
            time_open          timestamptz not null,
            bar_seq            integer not null,
            open               double precision not null,
            high               double precision not null,
            low                double precision not null,
            close              double precision not null,
            volume             double precision,
            market_cap         double precision,
            time_high          timestamptz not null,
            time_low           timestamptz not null,
            is_partial_start   boolean not null,
            is_partial_end     boolean not null,
            count_days         integer not null,
            count_missing_days integer not null,
            primary key (id, tf_id, time_close)
        )
    """)
    op.execute("comment on table bars.cmc_price_bars_multi_tf is 'Closed bars of every timeframe.'")
    for column, meaning in COLUMNS.items():
        op.execute(f"comment on column bars.cmc_price_bars_multi_tf.{column} is '{meaning}'")
    op.execute("grant insert, update, delete on bars.cmc_price_bars_multi_tf to ta_lab2_app")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class, time_column, chunk_interval)
        values ('bars', 'cmc_price_bars_multi_tf', 'asset', 'time_close', '365 days')
    """)
    names = ", ".join(f"b.{column}" for column in COLUMNS)
    op.execute(
        "create view published.cmc_price_bars_multi_tf as"
        f" select {names} from bars.cmc_price_bars_multi_tf as b"
    )
    op.execute(
        "comment on view published.cmc_price_bars_multi_tf is"
        " 'bars.cmc_price_bars_multi_tf, to be read.'"
    )
    op.execute("drop function if exists bars.log_dirty_range(integer, timestamptz, timestamptz)")
    op.execute("""
        alter table bars.dim_consumers
            add column reads text not null default 'cmc_price_histories7'
    """)
    op.execute(
        "comment on column bars.dim_consumers.reads is 'The table whose changes it is told.'"
    )
    op.execute("""
        create or replace view published.dim_consumers as
        select c.consumer, c.description, c.reads
        from bars.dim_consumers as c
    """)


def downgrade() -> None:
    op.execute(
        "drop function if exists bars.log_dirty_range(integer, timestamptz, timestamptz, text)"
    )
    op.execute(
        "delete from ta_meta.routine_file as f where f.path = 'functions/bars/log_dirty_range.sql'"
    )
    op.execute("drop view published.dim_consumers")
    op.execute("""
        create view published.dim_consumers as
        select c.consumer, c.description
        from bars.dim_consumers as c
    """)
    op.execute("comment on view published.dim_consumers is 'bars.dim_consumers, to be read.'")
    op.execute("alter table bars.dim_consumers drop column reads")
    op.execute("drop view published.cmc_price_bars_multi_tf")
    op.execute("drop table bars.cmc_price_bars_multi_tf")
    op.execute(
        "delete from ta_meta.table_class as c where c.table_name = 'cmc_price_bars_multi_tf'"
    )
