"""The tables of every slice, described for Alembic, whose ``check`` holds them to the database."""

from ta_lab2.backtest import tables as backtest
from ta_lab2.bars import tables as bars
from ta_lab2.db.tables import metadata
from ta_lab2.features import tables as features
from ta_lab2.observability import tables as observability
from ta_lab2.regimes import tables as regimes
from ta_lab2.signals import tables as signals
from ta_lab2.timemodel import tables as timemodel

__all__ = [
    "backtest",
    "bars",
    "features",
    "metadata",
    "observability",
    "regimes",
    "signals",
    "timemodel",
]
