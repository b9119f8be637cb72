"""features: daily volatilities, with their scores and flags

One row per scheduled session, in the order that the kernel writes. The ATR's value is the state of
its recurrence, so the row of a candle is all that the next one needs.
"""

from alembic import op

revision = "20261122_features_vol"
down_revision = "20261122_features_returns_bulk"

WINDOWS = (20, 63, 126)
MEASURES = {
    "parkinson": "Parkinson''s volatility, from high and low",
    "garman_klass": "Garman and Klass''s volatility, from open, high, low and close",
    "rogers_satchell": "Rogers and Satchell''s volatility, which a trend leaves alone",
    "close_to_close": "Sample deviation of the logarithms of close over previous candle''s close",
}

#: Name, type and meaning of each column, in the order of the table.
COLUMNS = [
    ("id", "integer not null", "The asset."),
    ("ts", "timestamptz not null", "The last millisecond of the session."),
    (
        "available_at",
        "timestamptz not null",
        "When the row could first be known: its session''s end.",
    ),
    *(
        (
            f"{name}_{n}",
            "double precision",
            f"{what}, over the last {n} candles: a fraction of a year, 0.8 is 80 %.",
        )
        for name, what in MEASURES.items()
        for n in WINDOWS
    ),
    (
        "atr_14",
        "double precision",
        "Average true range over 14 candles, Wilder''s: US dollars a session. Null before the 15th candle.",
    ),
    *(
        (
            f"z_{name}_20",
            "double precision",
            f"{name}_20 less the mean of its last 252 values, over their sample deviation; null before there are 252.",
        )
        for name in MEASURES
    ),
    ("is_gap", "boolean not null", "Whether the session has no candle."),
    (
        "is_filled",
        "boolean not null",
        "Whether the values repeat those of the last candle before, because the session has none.",
    ),
    *(
        (
            f"outlier_z_{name}_20",
            "boolean",
            f"Whether {name}_20 lies over 4 sample deviations from the mean of the 252 values before it; null before there are 252.",
        )
        for name in MEASURES
    ),
    *(
        (
            f"outlier_iqr_{name}_20",
            "boolean",
            f"Whether {name}_20 lies over 1.5 interquartile ranges outside the quartiles of the 252 values before it; null before there are 252.",
        )
        for name in MEASURES
    ),
]

#: What an older checkout doesn't know.
ROUTINES = {
    "functions/features/refresh_vol.sql": "features.refresh_vol(integer, timestamptz)",
    "functions/features/vol_kernel.sql": (
        "features.vol_kernel(integer, integer, bytea, bytea, bytea, bytea, bytea, bytea,"
        " boolean, bytea, double precision, bytea[])"
    ),
    "functions/features/daily.sql": "features.daily()",
    "functions/features/sessions_between.sql": (
        "features.sessions_between(integer, timestamptz, timestamptz)"
    ),
    "functions/indicators/series.sql": "indicators.series()",
    "functions/bars/log_changed_year.sql": "bars.log_changed_year()",
}


def upgrade() -> None:
    lines = ", ".join(f"{name} {kind}" for name, kind, _ in COLUMNS)
    op.execute(f"create table features.cmc_vol_daily ({lines}, primary key (id, ts))")
    op.execute(
        "comment on table features.cmc_vol_daily is 'Volatilities, one row per scheduled session from the asset''s first"
        " candle to its last. They run over candles; a session without one repeats the last row before it.'"
    )
    for name, _, meaning in COLUMNS:
        op.execute(f"comment on column features.cmc_vol_daily.{name} is '{meaning}'")
    op.execute("grant insert, update, delete on features.cmc_vol_daily to ta_lab2_app")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('features', 'cmc_vol_daily', 'asset')
    """)
    op.execute("""
        insert into bars.dim_consumers (consumer, description)
        values ('volatility', 'Daily volatilities.')
    """)
    names = ", ".join(f"v.{name}" for name, _, _ in COLUMNS)
    op.execute(
        f"create view published.cmc_vol_daily as select {names} from features.cmc_vol_daily as v"
    )
    op.execute("comment on view published.cmc_vol_daily is 'features.cmc_vol_daily, to be read.'")


def downgrade() -> None:
    for path, routine in ROUTINES.items():
        op.execute(f"drop function if exists {routine} cascade")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute("delete from features.feature_state as s where s.feature_type = 'volatility'")
    op.execute("delete from bars.dirty_range as d where d.consumer = 'volatility'")
    op.execute("delete from bars.dim_consumers as c where c.consumer = 'volatility'")
    op.execute("drop view published.cmc_vol_daily")
    op.execute("drop table features.cmc_vol_daily")
    op.execute("""
        delete from ta_meta.table_class as c
        where c.schema_name = 'features' and c.table_name = 'cmc_vol_daily'
    """)
