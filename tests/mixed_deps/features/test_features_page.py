"""docs/features.md: what it lets a reader type gives what it shows; no column is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ta_lab2.features.tables import cmc_daily_features
from ta_lab2.ops import market
from tests.support import contract

PAGE = (Path(__file__).parents[3] / "docs" / "features.md").read_text()


@pytest.fixture
def synthetic(own_db, autocommit):
    """A database with the demo's market, loaded as first published and then revised, refreshed."""
    conn = autocommit(own_db)
    contract.only(conn)
    market.load_synthetic(conn, revised=False)
    market.load_synthetic(conn, revised=True)
    contract.refresh(conn)
    return conn


def test_every_statement_gives_what_is_shown(synthetic):
    synthetic.execute("set timezone = 'UTC'")
    typed = re.findall(r"```sql\n(.*?)```\n```\n(.*?)```", PAGE, re.DOTALL)
    assert len(typed) == 4
    for statement, shown in typed:
        cells = [
            [cell.strip() for cell in line.split("|")] for line in shown.splitlines() if "|" in line
        ]
        cursor = synthetic.execute(statement)
        flags = {True: "t", False: "f", None: ""}
        rows = [
            ["" if c is None else flags[c] if isinstance(c, bool) else str(c) for c in row]
            for row in cursor
        ]
        assert [[column.name for column in cursor.description], *rows] == cells


def test_what_pandas_is_given_runs(synthetic):
    (query,) = re.findall(r'query = "(.*?)"\n', PAGE)
    (columns,) = re.findall(r"frame\[\[(.*?)\]\]", PAGE)
    cursor = synthetic.execute(query, {"id": 900001})
    names = [column.name for column in cursor.description]
    assert cursor.rowcount == 1096
    assert {name.strip(' "') for name in columns.split(",")} < set(names)


def test_every_column_is_explained():
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert {column.name for column in cmc_daily_features.columns} <= named
