"""The tables of ``observability``, described for Alembic."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from ta_lab2.db.tables import metadata

_NEW_ID = text("gen_random_uuid()")
_NOW = text("clock_timestamp()")
_EMPTY = text("'{}'::jsonb")

metrics = Table(
    "metrics",
    metadata,
    Column("metric_id", Uuid, primary_key=True, server_default=_NEW_ID),
    Column("correlation_id", Text, nullable=False),
    Column("metric_name", Text, nullable=False),
    Column("value", Double, nullable=False),
    Column("tags", JSONB, nullable=False, server_default=_EMPTY),
    Column("recorded_at", TIMESTAMP(timezone=True), primary_key=True, server_default=_NOW),
    Index("metrics_metric_name_recorded_at", "metric_name", "recorded_at"),
    Index("metrics_correlation_id", "correlation_id"),
    schema="observability",
)

traces = Table(
    "traces",
    metadata,
    Column("trace_id", Uuid, primary_key=True, server_default=_NEW_ID),
    Column("correlation_id", Text, nullable=False),
    Column("parent_id", Uuid),
    Column("operation", Text, nullable=False),
    Column("start_time", TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    Column("end_time", TIMESTAMP(timezone=True)),
    Column("status", Text, nullable=False, server_default="running"),
    Column("metadata", JSONB, nullable=False, server_default=_EMPTY),
    UniqueConstraint("correlation_id", "trace_id"),
    ForeignKeyConstraint(
        ["correlation_id", "parent_id"],
        ["observability.traces.correlation_id", "observability.traces.trace_id"],
        ondelete="cascade",
    ),
    Index("traces_correlation_id_parent_id", "correlation_id", "parent_id"),
    Index("traces_operation_start_time", "operation", "start_time"),
    schema="observability",
)

alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", Uuid, primary_key=True, server_default=_NEW_ID),
    Column("correlation_id", Text, nullable=False),
    Column("alert_type", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("problem", Text),
    Column("occurrences", Integer, nullable=False, server_default=text("1")),
    Column("metadata", JSONB, nullable=False, server_default=_EMPTY),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    Column("last_raised_at", TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    Column("resolved_at", TIMESTAMP(timezone=True)),
    Index(
        "alerts_one_open_per_problem",
        "problem",
        unique=True,
        postgresql_where=text("resolved_at is null"),
    ),
    Index("alerts_created_at", "created_at"),
    Index("alerts_correlation_id", "correlation_id"),
    schema="observability",
)

workflow_state = Table(
    "workflow_state",
    metadata,
    Column("workflow_id", Uuid, primary_key=True, server_default=_NEW_ID),
    Column("correlation_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="running"),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    Column("updated_at", TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    Column("metadata", JSONB, nullable=False, server_default=_EMPTY),
    Index("workflow_state_type_created_at", "type", "created_at"),
    Index("workflow_state_correlation_id", "correlation_id"),
    Index("workflow_state_running", "type", postgresql_where=text("status = 'running'")),
    schema="observability",
)
