"""docs/volatility.md: what it lets a reader type gives what it shows; no column is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ta_lab2.features.tables import cmc_vol_daily
from ta_lab2.ops import market

PAGE = (Path(__file__).parents[3] / "docs" / "volatility.md").read_text()


@pytest.fixture
def synthetic(own_db, autocommit):
    """A database with the demo's market, refreshed."""
    conn = autocommit(own_db)
    market.load_synthetic(conn, revised=True)
    conn.execute("call refresh_features()")
    return conn


def test_every_statement_gives_what_is_shown(synthetic):
    synthetic.execute("set timezone = 'UTC'")
    typed = re.findall(r"```sql\n(.*?)```\n```\n(.*?)```", PAGE, re.DOTALL)
    assert len(typed) == 2
    for statement, shown in typed:
        cells = [
            [cell.strip() for cell in line.split("|")] for line in shown.splitlines() if "|" in line
        ]
        cursor = synthetic.execute(statement)
        rows = [["" if cell is None else str(cell) for cell in row] for row in cursor]
        assert [[column.name for column in cursor.description], *rows] == cells


def test_every_column_is_explained():
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert {column.name for column in cmc_vol_daily.columns} <= named
