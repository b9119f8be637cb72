"""The slices: each is a Postgres schema, a folder under ``sql/`` and a package of the same name."""

from __future__ import annotations

from typing import Final

SLICES: Final = (
    "timemodel",
    "bars",
    "indicators",
    "features",
    "regimes",
    "signals",
    "backtest",
    "observability",
    "spend",
    "orchestrator",
    "memory",
    "research",
    "ops",
    "db",
)

#: So that ``select * from cmc_returns_daily`` works unqualified in psql.
SEARCH_PATH: Final = ("public", *SLICES)

OWNER: Final = "ta_lab2_owner"
APP: Final = "ta_lab2_app"
RESEARCH: Final = "ta_lab2_research"
READER: Final = "ta_lab2_reader"
