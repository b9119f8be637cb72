"""docs/emas.md: what it lets a reader type gives what it shows."""

from __future__ import annotations

import re
from pathlib import Path

from ta_lab2.db.slices import SEARCH_PATH
from tests.support import contract

PAGE = (Path(__file__).parents[3] / "docs" / "emas.md").read_text()


def test_every_statement_gives_what_is_shown(own_db, autocommit):
    conn = autocommit(own_db)
    contract.only(conn, ["1D", "1W_CAL_ISO"])
    contract.put(conn, 1, {n: 100.0 + n for n in range(200)}, 0)
    contract.put(conn, 2, dict.fromkeys(range(200), 50.0), 0)
    contract.refresh(conn)
    conn.execute("set timezone = 'UTC'")
    conn.execute(f"set search_path = {', '.join(SEARCH_PATH)}")
    typed = re.findall(r"```sql\n(.*?)```(?:\n```\n(.*?)```)?", PAGE, re.DOTALL)
    assert len(typed) == 8
    for statement, shown in typed:
        cursor = conn.execute(statement)
        if shown:
            lines = [line for line in shown.splitlines() if "|" in line]
            cells = [[cell.strip() for cell in line.split("|")] for line in lines]
            rows = [["" if x is None else str(x) for x in row] for row in cursor]
            assert [[column.name for column in cursor.description], *rows] == cells


def test_every_column_of_the_view_is_described(tx):
    columns = {column.name for column in tx.execute("table cmc_ema_multi_tf_u").description}
    assert columns - set(re.findall(r"`(\w+)`", PAGE)) == {"id"}
