"""regimes: daily labels of three layers, their transitions, and the numbers and policies behind them

Labels are whole words. A layer's composite is generated from its three words, so that neither can
drift from the other. Numbers are rows: changing one makes every asset due.
"""

from alembic import op

revision = "20261122_regimes_daily"
down_revision = "20261122_features_store"

LAYERS = ("l0", "l1", "l2")
WORDS = {
    "trend": ("Up", "Sideways", "Down"),
    "volatility": ("Low", "Normal", "High"),
    "liquidity": ("Stressed", "Normal", "Easy"),
}
MEANINGS = {
    "trend": "Up, Down, Sideways or Unknown: the last bar of the layer that had closed by then.",
    "volatility": "Low, Normal, High or Unknown.",
    "liquidity": "Stressed, Normal, Easy or Unknown.",
}

#: Name, type, check and meaning.
NUMBERS = [
    ("ema_fast", "integer", "", "Period of the fast EMA, one of dim_ema_periods."),
    ("ema_mid", "integer", "", "Period of the middle EMA."),
    ("ema_slow", "integer", "", "Period of the slow EMA, which the close is compared with."),
    ("adx_period", "integer", "between 2 and 365", "Period of the ADX."),
    ("adx_minimum", "double precision", "between 0 and 100", "An ADX under this makes Sideways."),
    (
        "trend_hold",
        "integer",
        "between 1 and 100",
        "Bars in a row that another trend has to hold before it is the label.",
    ),
    ("atr_period", "integer", "between 1 and 365", "Period of the ATR."),
    (
        "volatility_window",
        "integer",
        "between 2 and 1000",
        "Values of ATR over close that the last one is ranked among, itself included.",
    ),
    ("volatility_low", "double precision", "between 0 and 100", "Percent, under which it is Low."),
    (
        "volatility_high",
        "double precision",
        "between 0 and 100",
        "Percent, under which it is Normal, else High.",
    ),
    ("volatility_hold", "integer", "between 1 and 100", "As trend_hold."),
    (
        "liquidity_window",
        "integer",
        "between 1 and 1000",
        "Bars before, whose median volume is compared with.",
    ),
    (
        "liquidity_stressed",
        "double precision",
        "between 0 and 1000",
        "Ratio of the volume to that median, under which it is Stressed.",
    ),
    (
        "liquidity_easy",
        "double precision",
        "between 0 and 1000",
        "Ratio over which it is Easy, else Normal.",
    ),
    ("liquidity_hold", "integer", "between 1 and 100", "As trend_hold."),
]

POLICIES = """
    ('Up', 'Low', '*', 1.10, 1.25, '{breakout,pullback}', null),
    ('Up', 'Normal', '*', 1.00, 1.50, '{breakout,pullback}', null),
    ('Up', 'High', '*', 0.75, 1.75, '{pullback}', null),
    ('Sideways', 'Low', '*', 0.70, 1.25, '{mean_revert}', null),
    ('Sideways', 'Normal', '*', 0.60, 1.50, '{mean_revert}', null),
    ('Sideways', 'High', '*', 0.40, 2.00, '{}', null),
    ('Down', '*', '*', 0.60, 1.60, '{short}', null),
    ('*', '*', 'Stressed', null, null, null, 0.60)
"""

DIMS = {
    "dim_regime_layers": (
        "The layers of a regime, and all numbers that its labels are made with. A change makes every asset due.",
        {
            "layer": "L2 for days, L1 for weeks, L0 for months.",
            "tf": "The timeframe whose closed bars it looks at.",
            **{name: meaning for name, _, _, meaning in NUMBERS},
        },
    ),
    "dim_regime_policies": (
        "What a regime allows. * stands for any word. The row with most words wins; of as many, the one that"
        " names the trend, then the volatility. A row with size_cap caps the size of every regime that it matches.",
        {
            "trend": "A word, or *.",
            "volatility": "A word, or *.",
            "liquidity": "A word, or *.",
            "size": "Factor on the size of a position; null: the row only caps.",
            "stop": "Factor on the distance of a stop.",
            "setups": "The kinds of entry that are allowed; none: stand down.",
            "size_cap": "The most that the size may be; null: the row caps nothing.",
        },
    ),
}

#: What an older checkout doesn't know.
ROUTINES = {
    "procedures/regimes/refresh_regimes.sql": [
        "public.refresh_regimes(integer[], boolean, boolean)"
    ],
    "functions/regimes/as_of.sql": ["regimes.as_of(integer[], timestamptz)"],
    "functions/regimes/policy.sql": ["regimes.policy(text[])"],
    "functions/regimes/refresh_transitions.sql": [
        "regimes.refresh_transitions(integer, timestamptz)"
    ],
    "functions/regimes/refresh_daily.sql": ["regimes.refresh_daily(integer, timestamptz)"],
    "functions/regimes/regimes_kernel.sql": [
        "regimes.regimes_kernel(integer, jsonb, bytea, bytea, bytea, bytea, bytea, bytea, bytea,"
        " bytea, bytea, bytea, bytea, bytea, bytea, bytea[])"
    ],
    "functions/regimes/configuration.sql": ["regimes.configuration()"],
    "functions/regimes/log_changed_unit.sql": ["regimes.log_changed_unit()"],
    "functions/regimes/refuse_unknown_period.sql": ["regimes.refuse_unknown_period()"],
}


def comment(table: str, what: str, columns: dict[str, str]) -> None:
    op.execute(f"comment on table regimes.{table} is '{what}'")
    for column, meaning in columns.items():
        op.execute(f"comment on column regimes.{table}.{column} is '{meaning}'")


def publish(table: str, columns: list[str]) -> None:
    names = ", ".join(f"r.{name}" for name in columns)
    op.execute(f"create view published.{table} as select {names} from regimes.{table} as r")
    op.execute(f"comment on view published.{table} is 'regimes.{table}, to be read.'")


def make_dims() -> None:
    numbers = ", ".join(
        f"{name} {kind} not null" + (f" check ({name} {check})" if check else "")
        for name, kind, check, _ in NUMBERS
    )
    op.execute(f"""
        create table regimes.dim_regime_layers (
            layer text primary key check (layer in ('L0', 'L1', 'L2')),
            tf    text not null references timemodel.dim_timeframe (tf),
            {numbers},
            constraint periods_ascend check (ema_fast < ema_mid and ema_mid < ema_slow),
            constraint volatilities_ascend check (volatility_low < volatility_high),
            constraint liquidities_ascend check (liquidity_stressed < liquidity_easy)
        )
    """)
    shared = "14, 20, 2, 14, {}, 33, 67, 1, 60, 0.5, 2, 1"
    op.execute(f"""
        insert into regimes.dim_regime_layers
        values ('L2', '1D', 20, 50, 100, {shared.format(250)}),
               ('L1', '1W_CAL_ISO', 20, 50, 200, {shared.format(100)}),
               ('L0', '1M_CAL', 12, 26, 52, {shared.format(60)})
    """)
    op.execute("grant insert, update, delete on regimes.dim_regime_layers to ta_lab2_app")

    known = ", ".join(
        f"{name} text not null check ({name} in ('*', "
        + ", ".join(f"'{word}'" for word in words)
        + "))"
        for name, words in WORDS.items()
    )
    op.execute(f"""
        create table regimes.dim_regime_policies (
            {known},
            size     double precision check (size between 0 and 10),
            stop     double precision check (stop between 0.01 and 100),
            setups   text[] check (setups <@ '{{breakout,pullback,mean_revert,short}}'::text[]),
            size_cap double precision check (size_cap between 0 and 10),
            primary key (trend, volatility, liquidity),
            constraint a_policy_is_whole check (num_nulls(size, stop, setups) in (0, 3)),
            constraint a_row_says_something check (num_nonnulls(size, size_cap) > 0)
        )
    """)
    op.execute(f"insert into regimes.dim_regime_policies values {POLICIES}")
    op.execute("grant insert, update, delete on regimes.dim_regime_policies to ta_lab2_app")
    for table, (what, columns) in DIMS.items():
        comment(table, what, columns)
        op.execute(f"grant select on regimes.{table} to ta_lab2_research")
        publish(table, list(columns))


def make_tables() -> None:
    words = ", ".join(f"{layer}_{name} text not null" for layer in LAYERS for name in WORDS)
    keys = ", ".join(
        f"{layer}_key text not null generated always as"
        f" ({layer}_trend || '-' || {layer}_volatility || '-' || {layer}_liquidity) stored"
        for layer in LAYERS
    )
    op.execute(f"""
        create table regimes.cmc_regimes_daily (
            id           integer not null,
            ts           timestamptz not null,
            available_at timestamptz not null,
            is_gap       boolean not null,
            {words},
            {keys},
            primary key (id, ts)
        )
    """)
    columns = {
        "id": "The asset.",
        "ts": "The last millisecond of the session.",
        "available_at": "When the row could first be known: its session''s end.",
        "is_gap": "Whether the session has no candle; the labels of the last bars stand on.",
        **{
            f"{layer}_{name}": f"{layer.upper()}: {meaning}"
            for layer in LAYERS
            for name, meaning in MEANINGS.items()
        },
        **{
            f"{layer}_key": f"{layer.upper()}: trend-volatility-liquidity, such as Up-High-Normal."
            for layer in LAYERS
        },
    }
    comment(
        "cmc_regimes_daily",
        "Regimes of each layer, one row per scheduled session from the asset''s first candle to its last.",
        columns,
    )
    publish("cmc_regimes_daily", list(columns))

    op.execute("""
        create table regimes.cmc_regime_transitions (
            id           integer not null,
            ts           timestamptz not null,
            layer        text not null,
            dimension    text not null,
            available_at timestamptz not null,
            from_label   text not null,
            to_label     text not null,
            primary key (id, ts, layer, dimension),
            constraint something_changed check (from_label <> to_label)
        )
    """)
    columns = {
        "id": "The asset.",
        "ts": "The session since which the new label stands.",
        "layer": "L0, L1 or L2.",
        "dimension": "trend, volatility or liquidity.",
        "available_at": "When it could first be known.",
        "from_label": "The label of the session before.",
        "to_label": "The new one.",
    }
    comment(
        "cmc_regime_transitions",
        "Every change of a label in cmc_regimes_daily: from what to what, and when.",
        columns,
    )
    publish("cmc_regime_transitions", list(columns))
    for table in ("cmc_regimes_daily", "cmc_regime_transitions"):
        op.execute(f"grant insert, update, delete on regimes.{table} to ta_lab2_app")


def upgrade() -> None:
    make_dims()
    make_tables()
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('regimes', 'dim_regime_layers', 'dim'),
               ('regimes', 'dim_regime_policies', 'dim'),
               ('regimes', 'cmc_regimes_daily', 'asset'),
               ('regimes', 'cmc_regime_transitions', 'asset')
    """)
    op.execute("""
        insert into bars.dim_consumers (consumer, description, reads, also_reads)
        values ('regimes', 'Regimes of each layer, day by day.', 'cmc_price_bars_multi_tf',
                   '{cmc_ema_multi_tf,cmc_returns_daily}'),
               ('regime_transitions', 'Changes of regimes.', 'cmc_regimes_daily', '{}')
    """)
    op.execute("""
        insert into features.dim_computations (
            feature_type, verb, place, feature_name, kernel, step, configuration
        )
        values ('regimes', 'refresh_regimes', 1, 'cmc_regimes_daily',
                   'regimes.regimes_kernel', 'regimes.refresh_daily', 'regimes.configuration'),
               ('regime_transitions', 'refresh_regimes', 2, 'cmc_regime_transitions',
                   'regimes.refresh_transitions', 'regimes.refresh_transitions', null)
    """)


def downgrade() -> None:
    for path, routines in ROUTINES.items():
        for routine in routines:
            op.execute(f"drop routine if exists {routine} cascade")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute("delete from features.refresh_state as s where s.verb = 'refresh_regimes'")
    for consumer in ("regime_transitions", "regimes"):
        op.execute(f"delete from features.feature_state as s where s.feature_type = '{consumer}'")
        op.execute(
            f"delete from features.dim_computations as c where c.feature_type = '{consumer}'"
        )
        op.execute(f"delete from bars.dirty_range as d where d.consumer = '{consumer}'")
        op.execute(f"delete from bars.dim_consumers as c where c.consumer = '{consumer}'")
    for table in (
        "cmc_regime_transitions",
        "cmc_regimes_daily",
        "dim_regime_policies",
        "dim_regime_layers",
    ):
        op.execute(f"drop view published.{table}")
        op.execute(f"drop table regimes.{table}")
    op.execute("delete from ta_meta.table_class as c where c.schema_name = 'regimes'")
