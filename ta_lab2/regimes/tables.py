"""The tables of ``regimes``, described for Alembic."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Computed, Double, ForeignKey, Integer, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from ta_lab2.db.tables import metadata
from ta_lab2.timemodel.tables import dim_timeframe

_LAYERS: Final = ("l0", "l1", "l2")
_DIMENSIONS: Final = ("trend", "volatility", "liquidity")

dim_regime_layers = Table(
    "dim_regime_layers",
    metadata,
    Column("layer", Text, primary_key=True),
    Column("tf", Text, ForeignKey(dim_timeframe.c.tf), nullable=False),
    Column("ema_fast", Integer, nullable=False),
    Column("ema_mid", Integer, nullable=False),
    Column("ema_slow", Integer, nullable=False),
    Column("adx_period", Integer, nullable=False),
    Column("adx_minimum", Double, nullable=False),
    Column("trend_hold", Integer, nullable=False),
    Column("atr_period", Integer, nullable=False),
    Column("volatility_window", Integer, nullable=False),
    Column("volatility_low", Double, nullable=False),
    Column("volatility_high", Double, nullable=False),
    Column("volatility_hold", Integer, nullable=False),
    Column("liquidity_window", Integer, nullable=False),
    Column("liquidity_stressed", Double, nullable=False),
    Column("liquidity_easy", Double, nullable=False),
    Column("liquidity_hold", Integer, nullable=False),
    schema="regimes",
)

dim_regime_policies = Table(
    "dim_regime_policies",
    metadata,
    *(Column(name, Text, primary_key=True) for name in _DIMENSIONS),
    Column("size", Double),
    Column("stop", Double),
    Column("setups", ARRAY(Text)),
    Column("size_cap", Double),
    schema="regimes",
)

cmc_regimes_daily = Table(
    "cmc_regimes_daily",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("available_at", TIMESTAMP(timezone=True), nullable=False),
    Column("is_gap", Boolean, nullable=False),
    *(Column(f"{layer}_{name}", Text, nullable=False) for layer in _LAYERS for name in _DIMENSIONS),
    *(
        Column(
            f"{layer}_key",
            Text,
            Computed(" || '-' || ".join(f"{layer}_{name}" for name in _DIMENSIONS), persisted=True),
            nullable=False,
        )
        for layer in _LAYERS
    ),
    schema="regimes",
)

cmc_regime_transitions = Table(
    "cmc_regime_transitions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("ts", TIMESTAMP(timezone=True), primary_key=True),
    Column("layer", Text, primary_key=True),
    Column("dimension", Text, primary_key=True),
    Column("available_at", TIMESTAMP(timezone=True), nullable=False),
    Column("from_label", Text, nullable=False),
    Column("to_label", Text, nullable=False),
    schema="regimes",
)
