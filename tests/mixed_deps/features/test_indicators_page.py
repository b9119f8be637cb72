"""docs/indicators.md: what it lets a reader type works and shows; no column is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ta_lab2.features.tables import cmc_ta_daily
from ta_lab2.ops import market
from tests.support import contract

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "indicators.md").read_text()
MORE = (DOCS / "indicators-more.md").read_text()


@pytest.fixture
def synthetic(own_db, autocommit):
    """A database with the demo's market, refreshed without bars."""
    conn = autocommit(own_db)
    market.load_synthetic(conn, revised=True)
    contract.only(conn, ())
    conn.execute("call refresh_features()")
    conn.execute("set timezone = 'UTC'")
    return conn


def test_every_statement_works_and_gives_what_is_shown(synthetic):
    typed = re.findall(r"```sql\n(.*?)```(?:\n```\n(.*?)```)?", PAGE, re.DOTALL)
    assert [bool(shown) for _, shown in typed] == [True, False, False]
    for statements, shown in typed:
        for statement in filter(str.strip, statements.split(";")):
            cursor = synthetic.execute(statement)
            if shown:
                cells = [
                    [cell.strip() for cell in line.split("|")]
                    for line in shown.splitlines()
                    if "|" in line
                ]
                rows = [[str(cell) for cell in row] for row in cursor]
                assert [[column.name for column in cursor.description], *rows] == cells


def test_every_column_is_explained():
    named = set(re.findall(r"`(\w+)`", PAGE)) | {"id", "ts"}
    named |= {name.replace("12_26", "8_17") for name in named}
    assert {column.name for column in cmc_ta_daily.columns} <= named


def test_every_kind_has_its_row(tx):
    kinds = tx.execute("select k.kind from indicators.kinds() as k").fetchall()
    rows = re.findall(r"^\| `(\w+)` \|", PAGE + MORE, re.MULTILINE)
    assert {kind for (kind,) in kinds} <= set(rows)
