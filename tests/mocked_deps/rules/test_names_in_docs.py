"""What the docs name in backticks is there: files, routines, tables and their columns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
GOLDEN = ROOT / "tests" / "golden"

ROUTINES = set(
    re.findall(
        r"^(?:function|procedure|aggregate) ([\w.]+)\(",
        (GOLDEN / "routines.txt").read_text(),
        re.M,
    )
)
#: What is below each table or view in the listing, by its name with the schema.
RELATIONS = {
    name: {line.split()[0] for line in lines.splitlines()}
    for name, lines in re.findall(
        r"^(?:table|view) ([\w.]+).*\n((?:    .*\n?)*)", (GOLDEN / "schema.txt").read_text(), re.M
    )
}
SCHEMAS = {name.partition(".")[0] for name in ROUTINES | set(RELATIONS)}
#: Names that look like ours and are PostgreSQL's, an extension's or pandas'.
FOREIGN = {
    "drop_chunks", "ewm", "lag", "now", "rolling", "timescaledb_post_restore",
    "timescaledb_pre_restore", "timestamptz_send",
}  # fmt: skip

PATH = re.compile(r"[\w./<>-]+\.(?:sql|py|md|toml|lock|ini|sh|j2|css)|(?:[\w.<>-]+/){2,}")
QUALIFIED = re.compile(r"([a-z]\w*)\.(_?[a-z]\w*)(?:\(.*\))?")
CALL = re.compile(r"(?:call )?([a-z_]\w*)\(.*\)", re.IGNORECASE)


def files() -> set[str]:
    """Return every file of ours, and every folder with a slash at its end."""
    found = set()
    for top in ("alembic", "benchmarks", "docker", "docs", "sql", "ta_lab2", "tests"):
        for each in (ROOT / top).rglob("*"):
            found.add(str(each.relative_to(ROOT)) + ("/" if each.is_dir() else ""))
    return found | {each.name for each in ROOT.iterdir()}


FILES = files()


def words(page: Path) -> list[str]:
    """Return what stands in backticks, blocks of code left out."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


def is_missing(word: str) -> bool:
    """Return whether a word names something of ours that is not there."""
    if PATH.fullmatch(word):
        # A part of a path will do, as in `formats/moments.py`; <name> stands for any name.
        wanted = re.compile(r"(?:.*/)?" + re.sub(r"<\w+>", r"\\w+", re.escape(word)))
        return not any(wanted.fullmatch(file) for file in FILES)
    if found := QUALIFIED.fullmatch(word):
        place, name = found.groups()
        columns = [each for full, each in RELATIONS.items() if full.rpartition(".")[2] == place]
        if columns:
            return not any(name in each for each in columns)
        return place in SCHEMAS and f"{place}.{name}" not in ROUTINES | set(RELATIONS)
    if found := CALL.fullmatch(word):
        ours = {each.rpartition(".")[2] for each in ROUTINES}
        return found[1] not in ours | FOREIGN
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_in_backticks_is_there(page):
    missing = sorted({word for word in words(page) if is_missing(word)})
    assert not missing, f"{page.name} names what is not there: correct it, or make it"


@pytest.mark.parametrize(
    "word",
    [
        "sql/functions/features/nothing.sql", "ta_lab2/<slice>/nothing.py", "no/such/folder/",
        "features.nothing", "backtest.nothing(run)", "dim_features.nothing", "refresh_nothing()",
        "CALL refresh_nothing()",
    ],
)  # fmt: skip
def test_a_name_that_is_nowhere_is_seen(word):
    assert is_missing(word)
