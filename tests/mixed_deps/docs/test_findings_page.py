"""docs/findings.md: what it shows is what comes back, and its rules are those that there are."""

from __future__ import annotations

import re
from pathlib import Path

from ta_lab2.db.slices import SEARCH_PATH
from ta_lab2.ops import market
from tests.support import contract
from tests.support.psql import printed

PAGE = (Path(__file__).parents[3] / "docs" / "findings.md").read_text()


def test_the_query_gives_what_is_shown_and_the_statements_work(own_db, autocommit):
    conn = autocommit(own_db)
    contract.only(conn, ["1D"])
    market.load_synthetic(conn, revised=True)
    conn.execute("call refresh_features()")
    conn.execute(f"set search_path = {', '.join(SEARCH_PATH)}")
    conn.execute("set role ta_lab2_app")
    query, update, insert = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    (shown,) = re.findall(r"```\n( severity.*?)```", PAGE, re.DOTALL)
    assert printed(conn, query) == shown
    conn.execute(update)
    conn.execute(insert)


def test_the_table_of_rules_is_the_rules(tx):
    rules = tx.execute(
        "select rule, severity from features.dim_finding_rules order by 1"
    ).fetchall()
    assert sorted(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE)) == rules
