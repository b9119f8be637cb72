"""The metadata that every slice's ``tables.py`` adds to, and the tables of ``ta_meta``."""

from __future__ import annotations

from sqlalchemy import Column, Interval, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP

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
    schema="ta_meta",
)
