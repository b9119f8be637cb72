"""The tables of ``timemodel``, described for Alembic."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    ForeignKey,
    Identity,
    Integer,
    Table,
    Text,
    Time,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from ta_lab2.db.tables import metadata

dim_sessions = Table(
    "dim_sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("session_name", Text, nullable=False),
    Column("is_24_7", Boolean, nullable=False),
    Column("trading_days_per_week", Integer, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("market_open", Time, nullable=False),
    Column("market_close", Time, nullable=False),
    Column("annualisation_days", Integer, nullable=False),
    Column("calendar", Text),
    Column("calendar_from", Date),
    Column("calendar_to", Date),
    schema="timemodel",
)

session_calendar = Table(
    "session_calendar",
    metadata,
    Column("session_id", Text, ForeignKey(dim_sessions.c.session_id), primary_key=True),
    Column("session_date", Date, primary_key=True),
    Column("session_no", Integer, nullable=False),
    Column("opens_at", TIMESTAMP(timezone=True), nullable=False),
    Column("closes_at", TIMESTAMP(timezone=True), nullable=False),
    Column("is_early_close", Boolean, nullable=False),
    UniqueConstraint("session_id", "session_no", name="session_calendar_no_key", deferrable=True),
    schema="timemodel",
)

dim_timeframe = Table(
    "dim_timeframe",
    metadata,
    Column("tf_id", Integer, Identity(start=200), primary_key=True),
    Column("tf", Text, nullable=False, unique=True),
    Column("label", Text),
    Column("alignment", Text, nullable=False),
    Column("base_unit", Text, nullable=False),
    Column("tf_qty", Integer, nullable=False),
    Column("anchor", Text),
    Column("calendar_scheme", Text),
    Column("tf_days", Integer, nullable=False),
    Column("tf_days_min", Integer, nullable=False),
    Column("tf_days_max", Integer, nullable=False),
    Column("is_canonical", Boolean, nullable=False),
    Column("allow_partial_start", Boolean, nullable=False),
    Column("allow_partial_end", Boolean, nullable=False),
    Column("sort_order", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False),
    UniqueConstraint(
        "alignment",
        "base_unit",
        "tf_qty",
        "anchor",
        "calendar_scheme",
        name="dim_timeframe_meaning_key",
        postgresql_nulls_not_distinct=True,
    ),
    schema="timemodel",
)
