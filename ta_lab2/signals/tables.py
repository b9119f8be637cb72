"""The tables of ``signals``, described for Alembic."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Computed,
    Double,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from ta_lab2.db.tables import metadata

dim_signals = Table(
    "dim_signals",
    metadata,
    Column("signal_id", Integer, Identity(), primary_key=True),
    Column("signal_name", Text, nullable=False, unique=True),
    Column("signal_type", Text, nullable=False),
    Column("params", JSONB, nullable=False),
    Column("signal_version", Integer, nullable=False, server_default="1"),
    Column("is_active", Boolean, nullable=False, server_default="true"),
    Column("description", Text, nullable=False, server_default=""),
    schema="signals",
)

cmc_signal_state = Table(
    "cmc_signal_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("signal_type", Text, primary_key=True),
    Column("signal_id", Integer, ForeignKey(dim_signals.c.signal_id), primary_key=True),
    Column("last_ts", TIMESTAMP(timezone=True)),
    Column("open_entries", ARRAY(TIMESTAMP(timezone=True)), nullable=False),
    Column("last_exit_ts", TIMESTAMP(timezone=True)),
    schema="signals",
)

cmc_signal_segments = Table(
    "cmc_signal_segments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("signal_id", Integer, ForeignKey(dim_signals.c.signal_id), primary_key=True),
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("row_count", Integer, nullable=False),
    Column("last_ts", TIMESTAMP(timezone=True), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    schema="signals",
)


def _events(name: str, *others: Column[str]) -> Table:
    """Describe a table of entries and exits."""
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("signal_id", Integer, ForeignKey(dim_signals.c.signal_id), primary_key=True),
        Column("ts", TIMESTAMP(timezone=True), primary_key=True),
        Column("position_state", Text, primary_key=True),
        Column("direction", Text, nullable=False),
        Column("entry_ts", TIMESTAMP(timezone=True), nullable=False),
        Column("entry_price", Double, nullable=False),
        Column("exit_ts", TIMESTAMP(timezone=True)),
        Column("exit_price", Double),
        Column("pnl_pct", Double),
        Column("available_at", TIMESTAMP(timezone=True), nullable=False),
        Column("feature_snapshot", JSONB, nullable=False),
        Column("signal_version", Integer, nullable=False),
        Column("feature_version_hash", Text, _shown("feature_digest"), nullable=False),
        Column("feature_digest", LargeBinary, nullable=False),
        Column("params_hash", Text, _shown("params_digest"), nullable=False),
        Column("params_digest", LargeBinary, nullable=False),
        *others,
        schema="signals",
    )


def _shown(digest: str) -> Computed:
    """Return the digits of a digest that are shown."""
    return Computed(f"left(encode({digest}, 'hex'), 16)", persisted=True)


cmc_signals_ema_crossover: Final = _events("cmc_signals_ema_crossover")
cmc_signals_rsi_mean_revert: Final = _events("cmc_signals_rsi_mean_revert")
cmc_signals_atr_breakout: Final = _events(
    "cmc_signals_atr_breakout", Column("breakout_type", Text, nullable=False)
)
