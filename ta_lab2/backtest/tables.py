"""The tables of ``backtest``, described for Alembic."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Interval,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from ta_lab2.db.tables import metadata

_STAMP: Final = TIMESTAMP(timezone=True)

cost_models = Table(
    "cost_models",
    metadata,
    Column("cost_model", Text, primary_key=True),
    *(Column(name, Double, nullable=False) for name in ("fee_bps", "slippage_bps", "funding_bps")),
    Column("description", Text, nullable=False),
    schema="backtest",
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", Uuid, primary_key=True),
    Column("created_at", _STAMP, nullable=False),
    Column("label", Text),
    Column("signal_id", Integer, nullable=False),
    Column("signal_name", Text, nullable=False),
    Column("signal_type", Text, nullable=False),
    Column("signal_version", Integer, nullable=False),
    Column("params", JSONB, nullable=False),
    Column("params_digest", LargeBinary, nullable=False),
    Column("asset_ids", ARRAY(Integer), nullable=False),
    Column("from_ts", _STAMP),
    Column("to_ts", _STAMP),
    Column("first_ts", _STAMP, nullable=False),
    Column("last_ts", _STAMP, nullable=False),
    Column("known_at", _STAMP),
    Column("data_at", _STAMP, nullable=False),
    Column("cost_model", Text, nullable=False),
    *(
        Column(name, Double, nullable=False)
        for name in ("fee_bps", "slippage_bps", "funding_bps", "capital")
    ),
    Column("sizing", Text, nullable=False),
    Column("fraction", Double, nullable=False),
    Column("vol_target", Double, nullable=False),
    Column("fill", Text, nullable=False),
    Column("capital_limit", Double, nullable=False),
    Column("annualisation_days", Integer, nullable=False),
    Column("status", Text, nullable=False),
    *(
        Column(f"{name}_digest", LargeBinary, nullable=False)
        for name in ("inputs", "machinery", "result")
    ),
    Column("machinery", JSONB, nullable=False),
    Column("bars", Integer, nullable=False),
    Column("duration", Interval, nullable=False),
    Index("runs_label_created_at_idx", "label", "created_at"),
    Index("runs_signal_id_created_at_idx", "signal_id", "created_at"),
    schema="backtest",
)


def _run() -> Column[object]:
    key = ForeignKey(runs.c.run_id, ondelete="CASCADE", deferrable=True, initially="DEFERRED")
    return Column("run_id", Uuid, key, primary_key=True)


trades = Table(
    "trades",
    metadata,
    _run(),
    Column("trade_no", Integer, primary_key=True, autoincrement=False),
    Column("id", Integer, nullable=False),
    Column("direction", Text, nullable=False),
    Column("entry_signal_ts", _STAMP, nullable=False),
    Column("entry_ts", _STAMP, nullable=False),
    *(
        Column(name, Double, nullable=False)
        for name in ("entry_price", "units", "entry_fee", "entry_slippage")
    ),
    Column("exit_signal_ts", _STAMP),
    Column("exit_ts", _STAMP),
    *(Column(f"exit_{name}", Double) for name in ("price", "fee", "slippage")),
    *(
        Column(name, Double, nullable=False)
        for name in ("funding", "loss_cut", "gross_pnl", "net_pnl", "return_pct")
    ),
    Column("bars_held", Integer, nullable=False),
    Column("exit_reason", Text),
    Column("feature_snapshot", JSONB, nullable=False),
    Column("feature_version_hash", Text, nullable=False),
    schema="backtest",
)

equity = Table(
    "equity",
    metadata,
    Column("run_id", Uuid, primary_key=True),
    Column("ts", _STAMP, primary_key=True),
    *(
        Column(name, Double, nullable=False)
        for name in (
            *("cash", "positions", "equity", "daily_return"),
            *("drawdown", "exposure", "benchmark"),
        )
    ),
    schema="backtest",
)

dim_metrics = Table(
    "dim_metrics",
    metadata,
    Column("metric", Text, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("formula", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("place", Integer, nullable=False),
    UniqueConstraint("place"),
    schema="backtest",
)

metrics = Table(
    "metrics",
    metadata,
    _run(),
    Column("metric", Text, ForeignKey(dim_metrics.c.metric), primary_key=True),
    Column("value", Double),
    schema="backtest",
)

run_segments = Table(
    "run_segments",
    metadata,
    _run(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("row_count", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    schema="backtest",
)
