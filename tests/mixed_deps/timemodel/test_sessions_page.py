"""docs/sessions.md and docs/time-model.md: what they let a reader type gives what they show."""

from __future__ import annotations

import io
import re
import runpy
from pathlib import Path

import pytest

from ta_lab2.db.slices import SEARCH_PATH
from ta_lab2.errors import DatabaseRaised
from ta_lab2.timemodel import errors as errors

DOCS = Path(__file__).parents[3] / "docs"
PAGES = {name: (DOCS / name).read_text() for name in ("sessions.md", "time-model.md")}
ALL = "\n".join(PAGES.values())


@pytest.mark.parametrize(("page", "statements"), [("sessions.md", 3), ("time-model.md", 2)])
def test_every_statement_gives_what_is_shown(equity, page, statements):
    equity.execute("set local timezone = 'UTC'")
    equity.execute(f"set local search_path = {', '.join(SEARCH_PATH)}")
    typed = re.findall(r"```sql\n(.*?)```(?:\n```\n(.*?)```)?", PAGES[page], re.DOTALL)
    assert len(typed) == statements
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
    listed = set(re.findall(r"^\| `(TA\w+)`", ALL, re.MULTILINE))
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
    asked = set(re.findall(r"`(?:timemodel\.)?(\w+)\(", ALL))
    assert public - asked == {"is_24_7"}, "add it to docs/sessions.md or docs/time-model.md"


def test_the_picture_is_drawn_from_the_windows(equity):
    image = pytest.importorskip("PIL.Image", reason="charts need the extra `charts`")
    source = DOCS / "draw_time_model.py"
    drawn = runpy.run_path(str(source))["draw"](equity)
    with image.open(io.BytesIO(drawn)) as new, image.open(DOCS / "time-model.png") as standing:
        assert new.size == standing.size
        pair = [picture.convert("L").resize((160, 104)).tobytes() for picture in (new, standing)]
    # Another version of matplotlib sets letters a little otherwise.
    assert sum(abs(a - b) > 40 for a, b in zip(*pair, strict=True)) < 160
