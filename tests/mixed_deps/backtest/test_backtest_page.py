"""docs/backtest.md: what it lets a reader type gives what it shows; no metric is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ta_lab2.backtest import errors
from ta_lab2.errors import DatabaseRaised
from ta_lab2.ops import market

PAGE = (Path(__file__).parents[3] / "docs" / "backtest.md").read_text()


@pytest.fixture
def synthetic(own_db, autocommit):
    """A database with the demo's market, refreshed."""
    conn = autocommit(own_db)
    market.load_synthetic(conn, revised=True)
    for verb in ("features", "regimes", "signals"):
        conn.execute(f"call refresh_{verb}()")
    return conn


def test_every_statement_gives_what_is_shown(synthetic):
    synthetic.execute("set timezone = 'UTC'")
    typed = re.findall(r"```sql\n(.*?)```\n(?:```\n(.*?)```)?", PAGE, re.DOTALL)
    assert len(typed) == 3
    for statements, shown in typed:
        for statement in statements.split(";\n")[:-1]:
            cursor = synthetic.execute(statement)
        if not shown:
            continue
        cells = [
            [cell.strip() for cell in line.split("|")] for line in shown.splitlines() if "|" in line
        ]
        rows = [["" if cell is None else str(cell) for cell in row] for row in cursor]
        assert [[column.name for column in cursor.description], *rows] == cells


def test_every_metric_is_explained_as_the_table_has_it(tx):
    section = PAGE.split("## Metrics")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", section, re.M)
    kept = tx.execute(
        "select d.metric, d.formula, d.description from backtest.dim_metrics as d order by d.place"
    ).fetchall()
    assert [(name, formula.replace("&#124;", "|"), what) for name, formula, what in listed] == kept


def test_every_error_is_listed():
    named = set(re.findall(r"`(TA6\w\w)`", PAGE))
    ours = {
        code
        for code, each in DatabaseRaised.by_sqlstate.items()
        if each.__module__ == errors.__name__ and code < "TA612"
    }
    assert ours <= named
