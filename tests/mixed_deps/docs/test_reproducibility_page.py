"""docs/reproducibility.md: its statements run in order, and each answers what the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ta_lab2 import cli
from ta_lab2.db.slices import SEARCH_PATH
from tests.support.psql import printed

PAGE = Path(__file__).parents[3] / "docs" / "reproducibility.md"
BLOCK = re.compile(r"```sql\n(.*?)```\n(?:```\n(.*?)```\n)?", re.DOTALL)
GSET = re.compile(r"(.*?) \\gset\n", re.DOTALL)


@pytest.fixture
def session(own_db, autocommit):
    """What `ta-lab2 db psql` opens."""
    conn = autocommit(own_db)
    conn.execute("set role ta_lab2_app")
    conn.execute("set timezone = 'UTC'")
    conn.execute(f"set search_path = {', '.join(SEARCH_PATH)}")
    return conn


def answer(conn, block):
    """Run a block as psql does; return what its last statement prints."""
    while gset := GSET.match(block):
        (value,) = conn.execute(gset[1].encode()).fetchone()
        name = gset[1].split()[1].rpartition(".")[2]
        quoted = sql.Literal(str(value)).as_string(conn)
        block = block[gset.end() :].replace(f":'{name}'", quoted)
    *first, last = [text for text in block.split(";\n") if text.strip()]
    for statement in first:
        conn.execute(statement.encode())
    if last.startswith("call "):
        conn.execute(last.encode())
        return None
    return printed(conn, last)


def test_the_worked_example_works(session, own_db, request, means, capsys):
    page = PAGE.read_text()
    for block in BLOCK.finditer(page):
        given = answer(session, block[1])
        if request.config.getoption("--update-golden"):
            if given is not None:
                text = PAGE.read_text()
                PAGE.write_text(
                    text.replace(block[0], f"```sql\n{block[1]}```\n```\n{given}```\n", 1)
                )
        else:
            assert given == block[2], "review it: pytest --update-golden, then git diff docs"

    # What the command line says of the same runs.
    means(own_db)
    for words, status, said in (
        ("compare first again", 0, "candles of it"),
        ("validate first", 2, "its inputs are others now|the inputs of run"),
        ("validate first --as-it-was", 0, "equal"),
    ):
        assert f"ta-lab2 backtest {words}" in page
        capsys.readouterr()
        assert cli.run(["backtest", *words.split()]) == status
        told = capsys.readouterr()
        assert re.search(said, told.out + told.err)


def test_the_page_names_every_level(tx: psycopg.Connection):
    source = tx.execute(
        """
        select string_agg(p.prosrc, '')
        from pg_proc as p
        where p.pronamespace = 'backtest'::regnamespace
          and p.proname in (
              'compare_runs', '_input_differences', '_segment_differences', '_result_differences'
          )
        """
    ).fetchone()[0]
    told = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.M)))
    levels = {"inputs", "machinery", "result", "setting", "routine", "data", "segment", "candle",
              "feature", "signal", "trade", "equity", "metric"}  # fmt: skip
    assert levels <= set(told)
    assert all(f"'{level}'" in source for level in levels)
