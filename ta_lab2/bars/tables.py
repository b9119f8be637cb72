"""The tables of ``bars``, described for Alembic."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Double,
    ForeignKey,
    Index,
    Integer,
    Interval,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from ta_lab2.db.tables import metadata
from ta_lab2.timemodel.tables import dim_sessions

dim_assets = Table(
    "dim_assets",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("symbol", Text, nullable=False),
    Column("slug", Text, nullable=False, unique=True),
    Column("session_id", Text, ForeignKey(dim_sessions.c.session_id), nullable=False),
    schema="bars",
)

cmc_price_histories7 = Table(
    "cmc_price_histories7",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("open", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("close", Double, nullable=False),
    Column("volume", Double),
    Column("market_cap", Double),
    Column("time_high", TIMESTAMP(timezone=True)),
    Column("time_low", TIMESTAMP(timezone=True)),
    Column("recorded_at", TIMESTAMP(timezone=True), nullable=False),
    schema="bars",
)

price_staging = Table(
    "price_staging",
    metadata,
    Column("load", Uuid, primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("raw", Text, nullable=False),
    Column("fault", Text),
    Column("day", Text),
    Column("ticker", Text),
    Column("quote", Text),
    Column("open", Text),
    Column("high", Text),
    Column("low", Text),
    Column("close", Text),
    Column("volume", Text),
    Column("market_cap", Text),
    Column("time_high", Text),
    Column("time_low", Text),
    Column("header", ARRAY(Text)),
    Column("delimiter", Text),
    schema="bars",
    prefixes=["unlogged"],
)

price_rejects = Table(
    "price_rejects",
    metadata,
    Column("file", Text, primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("raw", Text, nullable=False),
    Column("raw_md5", Text, Computed("md5(raw)", persisted=True), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("rejected_at", TIMESTAMP(timezone=True), nullable=False),
    Column("load", Uuid, ForeignKey("bars.loads.load")),
    schema="bars",
)

dim_consumers = Table(
    "dim_consumers",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("reads", Text, nullable=False),
    Column("also_reads", ARRAY(Text), nullable=False),
    schema="bars",
)

dirty_range = Table(
    "dirty_range",
    metadata,
    Column("id", Integer, ForeignKey(dim_assets.c.id), primary_key=True, autoincrement=False),
    Column("consumer", Text, ForeignKey(dim_consumers.c.consumer), primary_key=True),
    Column("range_id", Uuid, primary_key=True),
    Column("from_ts", TIMESTAMP(timezone=True), nullable=False),
    Column("to_ts", TIMESTAMP(timezone=True), nullable=False),
    Column("logged_at", TIMESTAMP(timezone=True), nullable=False),
    schema="bars",
)

price_state = Table(
    "price_state",
    metadata,
    Column("id", Integer, ForeignKey(dim_assets.c.id), primary_key=True, autoincrement=False),
    Column("first_recorded_at", TIMESTAMP(timezone=True), nullable=False),
    Column("recorded_at", TIMESTAMP(timezone=True), nullable=False),
    Column("written_by", Text, nullable=False),
    Column("source", Text, ForeignKey("bars.dim_sources.source")),
    schema="bars",
)

price_revisions = Table(
    "price_revisions",
    metadata,
    Column("id", Integer, ForeignKey(dim_assets.c.id), primary_key=True, autoincrement=False),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("open", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("close", Double, nullable=False),
    Column("volume", Double),
    Column("market_cap", Double),
    Column("time_high", TIMESTAMP(timezone=True)),
    Column("time_low", TIMESTAMP(timezone=True)),
    Column("recorded_at", TIMESTAMP(timezone=True), nullable=False),
    Column("superseded_at", TIMESTAMP(timezone=True), primary_key=True),
    Column("replaced_by", Text, nullable=False),
    schema="bars",
)

dim_sources = Table(
    "dim_sources",
    metadata,
    Column("source", Text, primary_key=True),
    Column("volume_unit", Text, nullable=False),
    Column("description", Text, nullable=False),
    schema="bars",
)

loads = Table(
    "loads",
    metadata,
    Column("load", Uuid, primary_key=True),
    Column("file", Text, nullable=False),
    Column("sha256", Text),
    Column("source", Text, ForeignKey(dim_sources.c.source), nullable=False),
    Column("id", Integer, ForeignKey(dim_assets.c.id), nullable=False),
    Column("started_at", TIMESTAMP(timezone=True), nullable=False),
    Column("finished_at", TIMESTAMP(timezone=True)),
    Column("recorded_at", TIMESTAMP(timezone=True)),
    Column("source_before", Text, ForeignKey(dim_sources.c.source)),
    Column("loaded", BigInteger, nullable=False),
    Column("unchanged", BigInteger, nullable=False),
    Column("revised", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("forming", BigInteger, nullable=False),
    Column("other_source", BigInteger, nullable=False),
    Column("other_differing", BigInteger, nullable=False),
    Column("other_new", BigInteger, nullable=False),
    Column("undone_at", TIMESTAMP(timezone=True)),
    Column("resolution", Interval),
    Index("loads_by_asset", "id", "recorded_at"),
    schema="bars",
)

cmc_price_bars_multi_tf = Table(
    "cmc_price_bars_multi_tf",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("tf_id", Integer, primary_key=True, autoincrement=False),
    Column("time_close", TIMESTAMP(timezone=True), primary_key=True),
    Column("time_open", TIMESTAMP(timezone=True), nullable=False),
    Column("bar_seq", Integer, nullable=False),
    Column("open", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("close", Double, nullable=False),
    Column("volume", Double),
    Column("market_cap", Double),
    Column("time_high", TIMESTAMP(timezone=True), nullable=False),
    Column("time_low", TIMESTAMP(timezone=True), nullable=False),
    Column("is_partial_start", Boolean, nullable=False),
    Column("is_partial_end", Boolean, nullable=False),
    Column("count_days", Integer, nullable=False),
    Column("count_missing_days", Integer, nullable=False),
    schema="bars",
)

intraday_candles = Table(
    "intraday_candles",
    metadata,
    Column("id", Integer, ForeignKey(dim_assets.c.id), primary_key=True, autoincrement=False),
    Column("resolution", Interval, primary_key=True),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("open", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("close", Double, nullable=False),
    Column("volume", Double),
    Column("recorded_at", TIMESTAMP(timezone=True), nullable=False),
    schema="bars",
)

intraday_state = Table(
    "intraday_state",
    metadata,
    Column("id", Integer, ForeignKey(dim_assets.c.id), primary_key=True, autoincrement=False),
    Column("resolution", Interval, primary_key=True),
    Column("source", Text, ForeignKey(dim_sources.c.source)),
    schema="bars",
)

intraday_rollups = Table(
    "intraday_rollups",
    metadata,
    Column("id", Integer, ForeignKey(dim_assets.c.id), primary_key=True, autoincrement=False),
    Column("bucket", Interval, primary_key=True),
    Column("resolution", Interval, primary_key=True),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("open", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("close", Double, nullable=False),
    Column("volume", Double),
    Column("candles", BigInteger, nullable=False),
    Column("last_ts", TIMESTAMP(timezone=True), nullable=False),
    schema="bars",
)
