"""bars: when each candle was stored, and every version that it had before

``price_state`` is the lock and the clock of an asset's candles: a transaction that changes them takes
the asset's row and gets one moment, later than every moment before it. So the versions of a candle never
overlap, whichever of two transactions began first. Candles that are already there count as known from now on:
nobody wrote down when they came.
"""

from alembic import op

revision = "20261122_bars_revisions"
down_revision = "20261122_bars_dirty_ranges"

COMMENTS = {
    "bars.price_state": (
        "When an asset''s candles were first and last written."
        " Who changes candles holds the asset''s row until the end of the transaction.",
        {
            "id": "The asset.",
            "first_recorded_at": "The first moment at which anything was known.",
            "recorded_at": "The moment of the last transaction that wrote candles.",
            "written_by": "That transaction: its xid8.",
        },
    ),
    "bars.price_revisions": (
        "Every version of a candle that was changed or deleted, as it stood from recorded_at"
        " until just before superseded_at.",
        {
            "id": "The asset.",
            "ts": "The candle''s ts.",
            "open": "First price of the session.",
            "high": "Highest price.",
            "low": "Lowest price.",
            "close": "Last price.",
            "volume": "Traded in the session, in US dollars.",
            "market_cap": "Market capitalisation at the close in US dollars.",
            "time_high": "When the highest price was seen.",
            "time_low": "When the lowest price was seen.",
            "recorded_at": "When this version was stored.",
            "superseded_at": "When it was replaced.",
            "replaced_by": "What the statement did to it: changed or deleted.",
        },
    ),
}

TRIGGERS = {
    "functions/bars/log_inserted_prices.sql": "bars.log_inserted_prices()",
    "functions/bars/log_updated_prices.sql": "bars.log_updated_prices()",
    "functions/bars/log_deleted_prices.sql": "bars.log_deleted_prices()",
    "functions/bars/stamp_price.sql": "bars.stamp_price()",
}

CANDLE = (
    "p.id, p.ts, p.open, p.high, p.low, p.close, p.volume, p.market_cap, p.time_high, p.time_low"
)


def upgrade() -> None:
    op.execute("""
        alter table bars.cmc_price_histories7
        add column recorded_at timestamptz not null default now()
    """)
    op.execute(
        "comment on column bars.cmc_price_histories7.recorded_at is"
        " 'When this version of the candle was stored: the begin of its transaction.'"
    )
    op.execute("""
        create table bars.price_state (
            id                integer primary key references bars.dim_assets,
            first_recorded_at timestamptz not null,
            recorded_at       timestamptz not null,
            written_by        text not null,
            constraint clock_is_in_order check (first_recorded_at <= recorded_at)
        )
    """)
    op.execute("""
        create table bars.price_revisions (
            id            integer not null references bars.dim_assets,
            ts            timestamptz not null,
            open          double precision not null,
            high          double precision not null,
            low           double precision not null,
            close         double precision not null,
            volume        double precision,
            market_cap    double precision,
            time_high     timestamptz,
            time_low      timestamptz,
            recorded_at   timestamptz not null,
            superseded_at timestamptz not null,
            replaced_by   text not null,
            primary key (id, ts, superseded_at),
            constraint version_had_its_time check (recorded_at < superseded_at),
            constraint replaced_by_is_known check (replaced_by in ('changed', 'deleted'))
        )
    """)
    for table, (what, columns) in COMMENTS.items():
        op.execute(f"comment on table {table} is '{what}'")
        for column, meaning in columns.items():
            op.execute(f"comment on column {table}.{column} is '{meaning}'")
    op.execute("grant insert, update on bars.price_state to ta_lab2_app")
    op.execute("grant insert on bars.price_revisions to ta_lab2_app")
    op.execute("""
        insert into bars.price_state (id, first_recorded_at, recorded_at, written_by)
        select distinct p.id, p.recorded_at, p.recorded_at, pg_current_xact_id()::text
        from bars.cmc_price_histories7 as p
    """)
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('bars', 'price_state', 'asset'),
               ('bars', 'price_revisions', 'asset')
    """)
    op.execute(f"""
        create or replace view published.cmc_price_histories7 as
        select {CANDLE}, p.recorded_at
        from bars.cmc_price_histories7 as p
    """)
    op.execute("""
        create view published.price_state as
        select c.id, c.first_recorded_at, c.recorded_at
        from bars.price_state as c
    """)
    op.execute(f"""
        create view published.price_revisions as
        select {CANDLE}, p.recorded_at, p.superseded_at, p.replaced_by
        from bars.price_revisions as p
    """)
    for view in ["price_state", "price_revisions"]:
        op.execute(f"comment on view published.{view} is 'bars.{view}, to be read.'")


def downgrade() -> None:
    for path, function in TRIGGERS.items():
        op.execute(f"drop function if exists {function} cascade")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    for name in ["price_revisions", "price_state"]:
        op.execute(f"drop view published.{name}")
        op.execute(f"drop table bars.{name}")
    op.execute("drop view published.cmc_price_histories7")
    op.execute(f"""
        create view published.cmc_price_histories7 as
        select {CANDLE}
        from bars.cmc_price_histories7 as p
    """)
    op.execute(
        "comment on view published.cmc_price_histories7 is 'bars.cmc_price_histories7, to be read.'"
    )
    op.execute("alter table bars.cmc_price_histories7 drop column recorded_at")
    op.execute("""
        delete from ta_meta.table_class as c
        where c.schema_name = 'bars' and c.table_name in ('price_state', 'price_revisions')
    """)
