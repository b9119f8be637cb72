"""The tables of ``features``, described for Alembic."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from ta_lab2.bars.tables import dim_assets, dim_consumers
from ta_lab2.db.tables import metadata

_SPANS: Final = (1, 3, 5, 7, 14, 21, 30, 63, 126, 252)
_SCORED: Final = (1, 7, 30)
_WINDOWS: Final = (20, 63, 126)
_PIVOT: Final = (9, 10, 21, 50, 200)
_INDICATORS: Final = (
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
_MEASURES: Final = ("parkinson", "garman_klass", "rogers_satchell", "close_to_close")

cmc_returns_daily = Table(
    "cmc_returns_daily",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("available_at", TIMESTAMP(timezone=True), nullable=False),
    *(Column(f"ret_pct_{n}", Double) for n in _SPANS),
    *(Column(f"ret_log_{n}", Double) for n in _SPANS),
    *(Column(f"ret_z_{n}", Double) for n in _SCORED),
    Column("gap_days", Integer),
    Column("is_gap", Boolean, nullable=False),
    *(Column(f"outlier_z_{n}", Boolean) for n in _SCORED),
    *(Column(f"outlier_iqr_{n}", Boolean) for n in _SCORED),
    schema="features",
)

cmc_vol_daily = Table(
    "cmc_vol_daily",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("available_at", TIMESTAMP(timezone=True), nullable=False),
    *(Column(f"{name}_{n}", Double) for name in _MEASURES for n in _WINDOWS),
    Column("atr_14", Double),
    *(Column(f"z_{name}_20", Double) for name in _MEASURES),
    Column("is_gap", Boolean, nullable=False),
    Column("is_filled", Boolean, nullable=False),
    *(Column(f"outlier_z_{name}_20", Boolean) for name in _MEASURES),
    *(Column(f"outlier_iqr_{name}_20", Boolean) for name in _MEASURES),
    schema="features",
)

dim_indicators = Table(
    "dim_indicators",
    metadata,
    Column("indicator_id", Integer, Identity(start=10), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("params", JSONB, nullable=False, server_default="{}"),
    Column("columns", ARRAY(Text), nullable=False, server_default="{}"),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    UniqueConstraint("kind", "params"),
    schema="features",
)

dim_features = Table(
    "dim_features",
    metadata,
    Column("feature_type", Text, ForeignKey(dim_consumers.c.consumer), primary_key=True),
    Column("null_policy", Text, nullable=False),
    Column("outlier_sigmas", Double),
    Column("outlier_fence", Double),
    Column("look_back", Integer),
    schema="features",
)

#: Rows of dim_indicators add columns after these.
cmc_ta_daily = Table(
    "cmc_ta_daily",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("available_at", TIMESTAMP(timezone=True), nullable=False),
    Column("is_gap", Boolean, nullable=False),
    Column("is_filled", Boolean, nullable=False),
    *(Column(name, Double) for name in _INDICATORS),
    schema="features",
)

cmc_daily_features = Table(
    "cmc_daily_features",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("available_at", TIMESTAMP(timezone=True), nullable=False),
    Column("asset_class", Text, nullable=False),
    Column("is_gap", Boolean, nullable=False),
    Column("is_filled", Boolean, nullable=False),
    *(Column(name, Double) for name in ("open", "high", "low", "close", "volume", "market_cap")),
    *(Column(f"ret_pct_{n}", Double) for n in _SPANS),
    *(Column(f"ret_log_{n}", Double) for n in _SPANS),
    *(Column(f"ret_z_{n}", Double) for n in _SCORED),
    Column("gap_days", Integer),
    *(Column(f"ret_outlier_z_{n}", Boolean) for n in _SCORED),
    *(Column(f"ret_outlier_iqr_{n}", Boolean) for n in _SCORED),
    Column("vol_is_filled", Boolean),
    *(Column(f"{name}_{n}", Double) for name in _MEASURES for n in _WINDOWS),
    Column("vol_atr_14", Double),
    *(Column(f"z_{name}_20", Double) for name in _MEASURES),
    *(Column(f"outlier_z_{name}_20", Boolean) for name in _MEASURES),
    *(Column(f"outlier_iqr_{name}_20", Boolean) for name in _MEASURES),
    Column("ta_is_filled", Boolean),
    *(Column(name, Double) for name in _INDICATORS),
    *(Column(f"ema_{n}", Double) for n in _PIVOT),
    Column("extra", JSONB),
    schema="features",
)

feature_state = Table(
    "feature_state",
    metadata,
    Column("id", Integer, ForeignKey(dim_assets.c.id), primary_key=True, autoincrement=False),
    Column("feature_type", Text, primary_key=True),
    Column("feature_name", Text, primary_key=True),
    Column("last_processed_ts", TIMESTAMP(timezone=True)),
    Column("state", LargeBinary),
    Column("fingerprint", Text, nullable=False),
    schema="features",
)

refresh_state = Table(
    "refresh_state",
    metadata,
    Column("id", Integer, ForeignKey(dim_assets.c.id), primary_key=True, autoincrement=False),
    Column("verb", Text, primary_key=True),
    Column("refreshed_at", TIMESTAMP(timezone=True)),
    Column("failed_at", TIMESTAMP(timezone=True)),
    Column("last_error", Text),
    schema="features",
)

refresh_events = Table(
    "refresh_events",
    metadata,
    Column("id", Integer, ForeignKey(dim_assets.c.id), primary_key=True, autoincrement=False),
    Column("run_id", Uuid, primary_key=True),
    Column("started_at", TIMESTAMP(timezone=True), nullable=False),
    Column("ended_at", TIMESTAMP(timezone=True), nullable=False),
    Column("rows_read", BigInteger),
    Column("rows_written", BigInteger),
    Column("rows_unchanged", BigInteger),
    Column("error_code", Text),
    Column("error_message", Text),
    schema="features",
)

dim_ema_periods = Table(
    "dim_ema_periods",
    metadata,
    Column("slot", Integer, Identity(start=18), primary_key=True),
    Column("period", Integer, nullable=False, unique=True),
    schema="features",
)

cmc_ema_multi_tf = Table(
    "cmc_ema_multi_tf",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("tf_id", Integer, primary_key=True, autoincrement=False),
    Column("time_close", TIMESTAMP(timezone=True), primary_key=True),
    Column("close", Double, nullable=False),
    Column("close_before", Double),
    Column("bar_no", Integer, nullable=False),
    Column("ema", ARRAY(Double), nullable=False),
    schema="features",
)

dim_finding_rules = Table(
    "dim_finding_rules",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("consumer", Text, ForeignKey("bars.dim_consumers.consumer"), nullable=False),
    Column("severity", Text, nullable=False),
    Column("threshold", Double),
    Column("is_active", Boolean, nullable=False),
    schema="features",
)

findings = Table(
    "findings",
    metadata,
    Column("id", Integer, ForeignKey(dim_assets.c.id), primary_key=True, autoincrement=False),
    Column("rule", Text, ForeignKey(dim_finding_rules.c.rule), primary_key=True),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("value", Double),
    Column("severity", Text, nullable=False),
    Column("found_at", TIMESTAMP(timezone=True), nullable=False),
    schema="features",
)

dim_computations = Table(
    "dim_computations",
    metadata,
    Column("feature_type", Text, ForeignKey(dim_consumers.c.consumer), primary_key=True),
    Column("verb", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("feature_name", Text, nullable=False),
    Column("kernel", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("configuration", Text),
    Column("lacking", Text),
    UniqueConstraint("verb", "place"),
    schema="features",
)
