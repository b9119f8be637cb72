"""features: returns over one to 252 sessions with scores and flags, and how far each computation came

The table is made anew, in the order that its kernel writes: its rows are derived, and the next refresh
finds no state and works them out. Routines whose arguments changed go, their files make the new ones.
"""

from alembic import op

revision = "20261122_features_state"
down_revision = "20261122_bars_loads"

SPANS = (1, 3, 5, 7, 14, 21, 30, 63, 126, 252)
SCORED = (1, 7, 30)

#: Name, type and meaning of each column, in the order of the table.
RETURNS = [
    ("id", "integer not null references bars.dim_assets", "The asset."),
    ("ts", "timestamptz not null", "The last millisecond of the session."),
    (
        "available_at",
        "timestamptz not null",
        "When the row could first be known: its session''s end.",
    ),
    *(
        (
            f"ret_pct_{n}",
            "double precision",
            f"Close over the close {n} sessions earlier, minus one: a fraction, 0.01 is 1 %.",
        )
        for n in SPANS
    ),
    *(
        (
            f"ret_log_{n}",
            "double precision",
            f"Natural logarithm of the close over the close {n} sessions earlier.",
        )
        for n in SPANS
    ),
    *(
        (
            f"ret_z_{n}",
            "double precision",
            f"ret_pct_{n} less the mean of its last 252 values, over their sample deviation; null before there are 252.",
        )
        for n in SCORED
    ),
    (
        "gap_days",
        "integer",
        "Sessions since the previous candle, 1: none is missing; null: no candle, or the first one.",
    ),
    ("is_gap", "boolean not null", "Whether the session has no candle; its returns are null then."),
    *(
        (
            f"outlier_z_{n}",
            "boolean",
            f"Whether ret_pct_{n} lies over 4 sample deviations from the mean of the 252 values before it; null before there are 252.",
        )
        for n in SCORED
    ),
    *(
        (
            f"outlier_iqr_{n}",
            "boolean",
            f"Whether ret_pct_{n} lies over 1.5 interquartile ranges outside the quartiles of the 252 values before it; null before there are 252.",
        )
        for n in SCORED
    ),
]

STATE = [
    ("id", "The asset."),
    ("feature_type", "The computation, as in features.computations() and dim_consumers."),
    ("feature_name", "The table that it fills."),
    ("last_processed_ts", "The last candle that it was given; null: the asset had none."),
    ("state", "Its recurrence right after that candle; null: it has none, as returns."),
    ("fingerprint", "features.fingerprint() of its kernel when the rows were written."),
]

#: What an older checkout doesn't know, or knows with other arguments: its files make its own.
ROUTINES = {
    "procedures/features/refresh_features.sql": [
        "public.refresh_features(integer[], boolean, boolean)",
        "features._announce_candidates(integer[], boolean)",
    ],
    "functions/features/refresh_candidates.sql": [
        "features.refresh_candidates(integer[], boolean)"
    ],
    "functions/features/refresh_asset.sql": ["features.refresh_asset(integer, boolean)"],
    "functions/features/refresh_returns.sql": [
        "features.refresh_returns(integer, boolean)",
        "features._sessions(timestamptz, timestamptz)",
    ],
    "functions/features/record_progress.sql": [
        "features.record_progress(integer, text, timestamptz, bytea)"
    ],
    "functions/features/replace_rows.sql": [
        "features.replace_rows(regclass, integer, timestamptz[], bytea)"
    ],
    "functions/features/take_dirty.sql": ["features.take_dirty(integer, text, boolean)"],
    "functions/features/due_from.sql": ["features.due_from(integer, text, timestamptz, boolean)"],
    "functions/features/computations.sql": ["features.computations()"],
    "functions/features/fingerprint.sql": ["features.fingerprint(regproc)"],
    "functions/features/copy_in.sql": ["features.copy_in(regclass, bytea)"],
    "functions/features/returns_kernel.sql": [
        "features.returns_kernel(integer, bytea, bytea, bytea, boolean, bytea, bytea[])"
    ],
    "functions/features/assets_to_refresh.sql": [
        "features.assets_to_refresh(integer[])",
        "features._known_assets(integer[])",
    ],
}


def make_returns(columns: list[tuple[str, str, str]], what: str) -> None:
    op.execute("drop view published.cmc_returns_daily")
    op.execute("drop table features.cmc_returns_daily")
    lines = ", ".join(f"{name} {kind}" for name, kind, _ in columns)
    op.execute(f"create table features.cmc_returns_daily ({lines}, primary key (id, ts))")
    op.execute(f"comment on table features.cmc_returns_daily is '{what}'")
    for name, _, meaning in columns:
        op.execute(f"comment on column features.cmc_returns_daily.{name} is '{meaning}'")
    op.execute("grant insert, update, delete on features.cmc_returns_daily to ta_lab2_app")
    names = ", ".join(f"r.{name}" for name, _, _ in columns)
    op.execute(
        f"create view published.cmc_returns_daily as select {names} from features.cmc_returns_daily as r"
    )
    op.execute(
        "comment on view published.cmc_returns_daily is 'features.cmc_returns_daily, to be read.'"
    )


def upgrade() -> None:
    op.execute("drop procedure if exists public.refresh_features(integer[])")
    op.execute("drop function if exists features.refresh_asset(integer)")
    op.execute("drop function if exists features._refresh_returns(integer)")
    make_returns(
        RETURNS,
        "Returns, one row per scheduled session from the asset''s first candle to its last."
        " A return is null when either of its sessions has no candle.",
    )
    op.execute("""
        create table features.feature_state (
            id                integer not null references bars.dim_assets,
            feature_type      text not null,
            feature_name      text not null,
            last_processed_ts timestamptz,
            state             bytea,
            fingerprint       text not null,
            primary key (id, feature_type, feature_name)
        )
    """)
    op.execute(
        "comment on table features.feature_state is 'How far each computation came for each asset. Without its row, or with another fingerprint, all is worked out anew.'"
    )
    for name, meaning in STATE:
        op.execute(f"comment on column features.feature_state.{name} is '{meaning}'")
    op.execute("grant insert, update, delete on features.feature_state to ta_lab2_app")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('features', 'feature_state', 'asset')
    """)
    op.execute("""
        create view published.feature_state as
        select s.id, s.feature_type, s.feature_name, s.last_processed_ts, s.state, s.fingerprint
        from features.feature_state as s
    """)
    op.execute("comment on view published.feature_state is 'features.feature_state, to be read.'")


def downgrade() -> None:
    for path, routines in ROUTINES.items():
        for routine in routines:
            op.execute(f"drop routine if exists {routine}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute("drop view published.feature_state")
    op.execute("drop table features.feature_state")
    op.execute("""
        delete from ta_meta.table_class as c
        where c.schema_name = 'features' and c.table_name = 'feature_state'
    """)
    kept = ("id", "ts", "ret_pct_1", "ret_log_1")
    make_returns(
        [column for column in RETURNS if column[0] in kept],
        "Returns, one row per candle. A return is null when either of its sessions has no candle.",
    )
