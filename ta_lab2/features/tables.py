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
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from ta_lab2.bars.tables import dim_assets
from ta_lab2.db.tables import metadata

_SPANS: Final = (1, 3, 5, 7, 14, 21, 30, 63, 126, 252)
_SCORED: Final = (1, 7, 30)
_WINDOWS: Final = (20, 63, 126)
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
    Column("ema", ARRAY(Double), nullable=False),
    schema="features",
)
