"""docs/sessions.md: what it lets a reader type gives what it shows."""

from __future__ import annotations

import re
from pathlib import Path

from ta_lab2.db.slices import SEARCH_PATH
from ta_lab2.errors import DatabaseRaised
from ta_lab2.timemodel import errors as errors

PAGE = (Path(__file__).parents[3] / "docs" / "sessions.md").read_text()


def test_every_statement_gives_what_is_shown(equity):
    equity.execute("set local timezone = 'UTC'")
    equity.execute(f"set local search_path = {', '.join(SEARCH_PATH)}")
    typed = re.findall(r"```sql\n(.*?)```(?:\n```\n(.*?)```)?", PAGE, re.DOTALL)
    assert len(typed) == 3
    for statement, shown in typed:
        cursor = equity.execute(statement)
        if shown:
            cells = [
                [cell.strip() for cell in line.split("|")]
                for line in shown.splitlines()
                if "|" in line
            ]
            columns = [f"x.{column.name}::text" for column in cursor.description]
            rows = equity.execute(
                f"select {', '.join(columns)} from ({statement.strip().rstrip(';')}) as x"
            ).fetchall()
            assert [[column.name for column in cursor.description], *map(list, rows)] == cells


def test_every_error_of_the_time_model_is_listed():
    listed = set(re.findall(r"^\| `(TA\w+)`", PAGE, re.MULTILINE))
    assert listed == {state for state in DatabaseRaised.by_sqlstate if state.startswith("TA1")}


def test_every_function_is_listed(equity):
    public = {
        name
        for (name,) in equity.execute(
            """
            select p.proname
            from pg_proc as p
            where p.pronamespace = 'timemodel'::regnamespace
              and p.proname !~ '^_'
              and p.prorettype <> 'trigger'::regtype
            """
        )
    }
    asked = set(re.findall(r"`(?:timemodel\.)?(\w+)\(", PAGE))
    assert public - asked == {"is_24_7"}, "add it to docs/sessions.md"
