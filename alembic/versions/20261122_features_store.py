"""features: the daily feature store, one row of all features per asset and session

It reads several tables and is told what changed in any of them.
"""

from alembic import op

revision = "20261122_features_store"
down_revision = "20261122_features_indicators"

SPANS = (1, 3, 5, 7, 14, 21, 30, 63, 126, 252)
SCORED = (1, 7, 30)
WINDOWS = (20, 63, 126)
PIVOT = (9, 10, 21, 50, 200)
MEASURES = {
    "parkinson": "Parkinson''s volatility",
    "garman_klass": "Garman and Klass''s volatility",
    "rogers_satchell": "Rogers and Satchell''s volatility",
    "close_to_close": "Close-to-close volatility",
}

RETURNS = "features.cmc_returns_daily has it"
VOL = "features.cmc_vol_daily has it"
INDICATORS = (
    *(f"rsi_{n}" for n in (7, 14, 21)),
    *(
        f"{name}_{periods}"
        for periods in ("12_26_9", "8_17_9")
        for name in ("macd", "macd_signal", "macd_hist")
    ),
    *("stoch_k_14_3", "stoch_d_14_3"),
    *("bb_upper_20_2", "bb_middle_20_2", "bb_lower_20_2", "bb_width_20_2"),
    *("atr_14", "adx_14", "plus_di_14", "minus_di_14"),
)

#: Name, type and meaning of each column, in the order of the table.
COLUMNS = [
    ("id", "integer not null", "The asset."),
    ("ts", "timestamptz not null", "The last millisecond of the session."),
    (
        "available_at",
        "timestamptz not null",
        "When the whole row could first be known: the latest of its sources.",
    ),
    ("asset_class", "text not null", "The asset''s session in dim_sessions, such as CRYPTO."),
    ("is_gap", "boolean not null", "Whether the session has no candle."),
    ("is_filled", "boolean not null", "Whether a source filled values, because it has none."),
    ("open", "double precision", "The candle''s open, US dollars; null: a gap."),
    ("high", "double precision", "The candle''s high, US dollars; null: a gap."),
    ("low", "double precision", "The candle''s low, US dollars; null: a gap."),
    ("close", "double precision", "The candle''s close, US dollars; null: a gap."),
    ("volume", "double precision", "The candle''s volume; null: a gap, or not known."),
    ("market_cap", "double precision", "The candle''s market cap; null: a gap, or not known."),
    *(
        (f"ret_pct_{n}", "double precision", f"Return over {n} sessions, a fraction: {RETURNS}.")
        for n in SPANS
    ),
    *(
        (f"ret_log_{n}", "double precision", f"Log return over {n} sessions: {RETURNS}.")
        for n in SPANS
    ),
    *((f"ret_z_{n}", "double precision", f"z-score of ret_pct_{n}: {RETURNS}.") for n in SCORED),
    ("gap_days", "integer", f"Sessions since the previous candle: {RETURNS}."),
    *(
        (
            f"ret_outlier_{how}_{n}",
            "boolean",
            f"Whether ret_pct_{n} is an outlier: {RETURNS} as outlier_{how}_{n}.",
        )
        for how in ("z", "iqr")
        for n in SCORED
    ),
    (
        "vol_is_filled",
        "boolean",
        "Whether the volatilities repeat those of the last candle before.",
    ),
    *(
        (f"{name}_{n}", "double precision", f"{what} over {n} candles, a fraction: {VOL}.")
        for name, what in MEASURES.items()
        for n in WINDOWS
    ),
    (
        "vol_atr_14",
        "double precision",
        f"Average true range over 14 candles, US dollars, forward-filled: {VOL} as atr_14.",
    ),
    *((f"z_{name}_20", "double precision", f"z-score of {name}_20: {VOL}.") for name in MEASURES),
    *(
        (
            f"outlier_{how}_{name}_20",
            "boolean",
            f"Whether {name}_20 is an outlier: {VOL}.",
        )
        for how in ("z", "iqr")
        for name in MEASURES
    ),
    ("ta_is_filled", "boolean", "Whether the indicators are filled by their null policy."),
    *(
        (
            name,
            "double precision",
            "Technical indicator: features.cmc_ta_daily has it, dim_indicators its parameters.",
        )
        for name in INDICATORS
    ),
    *(
        (
            f"ema_{n}",
            "double precision",
            f"EMA over {n} bars of the timeframe 1D, US dollars: never filled, null in a gap.",
        )
        for n in PIVOT
    ),
    ("extra", "jsonb", "Indicators that were added, by column name; null: none."),
]

#: What changes its arguments: steps are chosen by name. As it was and as it becomes.
CHANGED = {
    "procedures/features/refresh_features.sql": [
        (
            "public.refresh_features(integer[], boolean, boolean, text)",
            "public.refresh_features(integer[], text[], boolean, boolean, text)",
        ),
        (
            "features._announce_candidates(integer[], boolean, text)",
            "features._announce_candidates(integer[], text[], boolean, text)",
        ),
    ],
    "functions/features/refresh_candidates.sql": [
        (
            "features.refresh_candidates(integer[], boolean, text)",
            "features.refresh_candidates(integer[], boolean, text[], text)",
        ),
    ],
}

#: What an older checkout doesn't know.
ROUTINES = {
    "functions/features/of_steps.sql": ["features.of_steps(jsonb, text[])"],
    "functions/features/unpacked.sql": ["features.unpacked(regclass, bytea)"],
    "functions/features/as_of.sql": [
        "features.as_of(integer[], timestamptz, timestamptz)",
        "features._as_known(integer, timestamptz)",
    ],
    "functions/features/refresh_store.sql": [
        "features.refresh_store(integer, timestamptz)",
        "features._sources_processed(integer)",
    ],
    "functions/features/daily_features.sql": [
        "features.daily_features(integer, timestamptz[], bars.cmc_price_histories7[],"
        " features.cmc_returns_daily[], features.cmc_vol_daily[],"
        " features.cmc_ta_daily[], features.cmc_ema_multi_tf[])"
    ],
}


def upgrade() -> None:
    for routines in CHANGED.values():
        for before, _ in routines:
            op.execute(f"drop routine if exists {before}")
    lines = ", ".join(f"{name} {kind}" for name, kind, _ in COLUMNS)
    op.execute(f"create table features.cmc_daily_features ({lines}, primary key (id, ts))")
    op.execute(
        "comment on table features.cmc_daily_features is 'All daily features, one row per scheduled session from the"
        " asset''s first candle to its last. What a source has no row of is null.'"
    )
    for name, _, meaning in COLUMNS:
        op.execute(f"comment on column features.cmc_daily_features.{name} is '{meaning}'")
    op.execute("grant insert, update, delete on features.cmc_daily_features to ta_lab2_app")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('features', 'cmc_daily_features', 'asset')
    """)

    op.execute("""
        insert into bars.dim_consumers (consumer, description, also_reads)
        values (
            'store', 'The daily feature store.',
            '{cmc_returns_daily,cmc_vol_daily,cmc_ta_daily,cmc_ema_multi_tf}'
        )
    """)
    names = ", ".join(f"f.{name}" for name, _, _ in COLUMNS)
    op.execute(
        "create view published.cmc_daily_features as"
        f" select {names} from features.cmc_daily_features as f"
    )
    op.execute(
        "comment on view published.cmc_daily_features is 'features.cmc_daily_features, to be read.'"
    )


def downgrade() -> None:
    for path, changed in CHANGED.items():
        for _, after in changed:
            op.execute(f"drop routine if exists {after}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    for path, routines in ROUTINES.items():
        for routine in routines:
            op.execute(f"drop function if exists {routine} cascade")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute("delete from features.feature_state as s where s.feature_type = 'store'")
    op.execute("delete from bars.dirty_range as d where d.consumer = 'store'")
    op.execute("delete from bars.dim_consumers as c where c.consumer = 'store'")
    op.execute("drop view published.cmc_daily_features")
    op.execute("drop table features.cmc_daily_features")
    op.execute("""
        delete from ta_meta.table_class as c
        where c.schema_name = 'features' and c.table_name = 'cmc_daily_features'
    """)
    # Their texts read what goes.
    for path in ("bars/log_dirty_range", "features/refresh_assets", "features/computations"):
        op.execute(f"delete from ta_meta.routine_file as f where f.path = 'functions/{path}.sql'")
