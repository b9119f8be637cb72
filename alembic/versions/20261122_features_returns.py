"""features: daily returns, and one row per asset that says how its refresh stands

The columns are named measure_sessions, so that seven and thirty sessions join them.
``refresh_state`` is the lock too: whoever holds an asset's row refreshes that asset.
"""

from alembic import op

revision = "20261122_features_returns"
down_revision = "20261122_bars_prices"

COMMENTS = {
    "features.cmc_returns_daily": (
        "Returns, one row per candle. A return is null when either of its sessions has no candle.",
        {
            "id": "The asset.",
            "ts": "The candle''s ts.",
            "ret_pct_1": "Close over the close one session earlier, minus one: a fraction, 0.01 is 1 %.",
            "ret_log_1": "Natural logarithm of the close over the close one session earlier.",
        },
    ),
    "features.refresh_state": (
        "How each asset''s refresh stands; the row is also the lock of that refresh.",
        {
            "id": "The asset.",
            "refreshed_at": "When the last refresh that succeeded began to read; null: never.",
            "failed_at": "When the last refresh failed; null: it succeeded.",
            "last_error": "SQLSTATE and message of that failure.",
        },
    ),
}


def upgrade() -> None:
    op.execute("""
        create table features.cmc_returns_daily (
            id        integer not null references bars.dim_assets,
            ts        timestamptz not null,
            ret_pct_1 double precision,
            ret_log_1 double precision,
            primary key (id, ts)
        )
    """)
    op.execute("""
        create table features.refresh_state (
            id           integer primary key references bars.dim_assets,
            refreshed_at timestamptz,
            failed_at    timestamptz,
            last_error   text,
            check ((failed_at is null) = (last_error is null))
        )
    """)
    for table, (what, columns) in COMMENTS.items():
        op.execute(f"comment on table {table} is '{what}'")
        for column, meaning in columns.items():
            op.execute(f"comment on column {table}.{column} is '{meaning}'")
    op.execute("grant insert, update, delete on features.cmc_returns_daily to ta_lab2_app")
    op.execute("grant insert, update on features.refresh_state to ta_lab2_app")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('features', 'cmc_returns_daily', 'asset'),
               ('features', 'refresh_state', 'asset')
    """)
    op.execute("""
        create view published.cmc_returns_daily as
        select r.id, r.ts, r.ret_pct_1, r.ret_log_1
        from features.cmc_returns_daily as r
    """)
    op.execute("""
        create view published.refresh_state as
        select s.id, s.refreshed_at, s.failed_at, s.last_error
        from features.refresh_state as s
    """)
    for view in ["cmc_returns_daily", "refresh_state"]:
        op.execute(f"comment on view published.{view} is 'features.{view}, to be read.'")


def downgrade() -> None:
    for name in ["refresh_state", "cmc_returns_daily"]:
        op.execute(f"drop view published.{name}")
        op.execute(f"drop table features.{name}")
    op.execute("delete from ta_meta.table_class as c where c.schema_name = 'features'")
