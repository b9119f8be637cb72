"""The README's query gives the README's answer, and its commands and links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from ta_lab2.cli import app
from ta_lab2.ops import market

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
PAGES = [
    path for path in [*ROOT.glob("*.md"), *ROOT.glob("d*/**/*.md")] if ".venv" not in path.parts
]


@pytest.fixture
def synthetic_db(own_db, autocommit):
    conn = autocommit(own_db)
    market.load_synthetic(conn, revised=True)
    conn.execute("call refresh_features()")
    return conn


def test_the_query_gives_the_answer_that_is_shown(synthetic_db):
    block = re.search(r"```\n\$ \S+ db psql.*?\n(.*?)```", README, re.DOTALL)
    assert block
    typed = re.findall(r"^ta_lab2_demo[=-]# (.*)$", block[1], re.MULTILINE)
    shown = [
        [cell.strip() for cell in line.split("|")]
        for line in block[1].splitlines()
        if "|" in line and "#" not in line
    ]
    cursor = synthetic_db.execute("\n".join(typed))
    got = [[str(cell) for cell in row] for row in cursor.fetchall()]
    assert [[column.name for column in cursor.description or []], *got] == shown


def commands(group, prefix=""):
    for name, command in group.commands.items():
        yield f"{prefix}{name}"
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(page):
    known = set(commands(get_command(app)))
    for words in re.findall(r"ta-lab2((?: [a-z]+)+)", page.read_text()):
        named = words.split()
        assert named[0] in known, f"{page.name}: ta-lab2{words}"
        if named[0] == "db" and len(named) > 1:
            assert f"db {named[1]}" in known, f"{page.name}: ta-lab2{words}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_target_that_the_readme_names_is_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"`?make ([a-z-]+)", page.read_text()):
            if re.search(rf"[`\n] *make {target}", page.read_text()):
                assert target in targets, f"{page.name}: make {target}"
