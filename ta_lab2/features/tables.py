"""The tables of ``features``, described for Alembic."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Integer, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from ta_lab2.bars.tables import dim_assets
from ta_lab2.db.tables import metadata

cmc_returns_daily = Table(
    "cmc_returns_daily",
    metadata,
    Column("id", Integer, ForeignKey(dim_assets.c.id), primary_key=True, autoincrement=False),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("ret_pct_1", Double),
    Column("ret_log_1", Double),
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
