"""The metadata that every slice's ``tables.py`` adds to; the tables of ``ta_meta`` and ``db``."""

from __future__ import annotations

from sqlalchemy import Column, Index, Interval, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

metadata = MetaData()

routine_file = Table(
    "routine_file",
    metadata,
    Column("path", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("applied_at", TIMESTAMP(timezone=True), nullable=False),
    schema="ta_meta",
)

table_class = Table(
    "table_class",
    metadata,
    Column("schema_name", Text, primary_key=True),
    Column("table_name", Text, primary_key=True),
    Column("class", Text, nullable=False),
    Column("time_column", Text),
    Column("chunk_interval", Interval),
    Column("history_from", TIMESTAMP(timezone=True)),
    schema="ta_meta",
)

row_versions = Table(
    "row_versions",
    metadata,
    Column("schema_name", Text, primary_key=True),
    Column("table_name", Text, primary_key=True),
    Column("key", JSONB, primary_key=True),
    Column("valid_from", TIMESTAMP(timezone=True), primary_key=True),
    Column("valid_to", TIMESTAMP(timezone=True)),
    Column("content", JSONB, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("written_by", Text, nullable=False),
    schema="db",
)
Index(
    "one_version_is_open",
    row_versions.c.schema_name,
    row_versions.c.table_name,
    row_versions.c.key,
    unique=True,
    postgresql_where=text("valid_to IS NULL"),
)
