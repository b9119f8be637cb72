"""docs/cookbook.md: a query gives what the page shows; ``--update-golden`` writes that anew."""

from __future__ import annotations

import contextlib
import io
import os
import re
from datetime import date
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from ta_lab2.backtest import runs
from ta_lab2.cli import demo
from ta_lab2.db.slices import SEARCH_PATH
from ta_lab2.ops import market
from ta_lab2.timemodel import exchange, queries
from tests.support import servers
from tests.support.psql import printed

PAGE = Path(__file__).parents[3] / "docs" / "cookbook.md"
TEXT = PAGE.read_text()

SECTION = re.compile(r"^### (.+?)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(TEXT))
QUERIES = [title for title, body in SECTIONS.items() if "```sql" in body]
ANSWER = re.compile(r"(```(\w+)\n(.*?)```\n)(?:```\n(.*?)```\n)?", re.DOTALL)


@pytest.fixture(scope="module")
def market_db(server_url, template):
    """The database that `make demo` makes, and the calendar of New York, as a conninfo."""
    with servers.copy(server_url, "cookbook", template=template) as conninfo:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            for revised, label in ((False, demo.BEFORE), (True, demo.LABEL)):
                market.load_synthetic(conn, revised=revised)
                for verb in ("features", "regimes", "signals"):
                    conn.execute(f"call refresh_{verb}()")
                for signal in runs.signals(conn):
                    runs.once(
                        conn, signal, label=label, sizing="fixed_fraction", fraction=demo.SHARE
                    )
            queries.load_calendar(conn, "EQUITY", exchange.schedule("XNYS", date.today()))
        yield conninfo


@pytest.fixture
def conn(market_db):
    """What `ta-lab2 db psql` opens: the app's rights and search path, times in UTC."""
    with psycopg.connect(market_db) as conn:
        conn.execute("set role ta_lab2_app")
        conn.execute("set timezone = 'UTC'")
        conn.execute(f"set search_path = {', '.join(SEARCH_PATH)}")
        yield conn
        conn.rollback()


@pytest.fixture
def reader(market_db, monkeypatch):
    """Let DATABASE_URL be what a program of the reader's has."""
    parts = conninfo_to_dict(market_db)
    user, password = parts["user"], parts.get("password", "")
    place = f"{parts['host']}:{parts['port']}/{parts['dbname']}"
    options = "options=-csearch_path%3Dpublished -ctimezone%3DUTC -crole%3Dta_lab2_reader"
    url = f"postgresql://{user}:{password}@{place}?{options.replace(' ', '%20')}"
    monkeypatch.setenv("DATABASE_URL", url)
    return url


def answered(title: str, answer: str, request: pytest.FixtureRequest) -> None:
    """Compare an answer with the one that the page shows, or write it there."""
    body = SECTIONS[title]
    found = ANSWER.search(body)
    assert found
    if request.config.getoption("--update-golden"):
        new = body.replace(found[0], f"{found[1]}```\n{answer}```\n")
        PAGE.write_text(PAGE.read_text().replace(f"### {title}\n{body}", f"### {title}\n{new}"))
        return
    assert found[4] == answer, "review it: pytest --update-golden, then git diff docs"


def block(title: str) -> str:
    """The program or query of a section."""
    found = ANSWER.search(SECTIONS[title])
    assert found
    return found[3]


def test_the_page_has_its_fifty_queries():
    assert len(QUERIES) >= 50
    assert len(set(QUERIES)) == len(QUERIES)


@pytest.mark.parametrize("title", QUERIES)
def test_a_query_gives_what_is_shown(title, conn, request):
    answered(title, printed(conn, block(title)), request)


@pytest.mark.parametrize("title", ["pandas", "polars"])
def test_a_program_prints_what_is_shown(title, reader, request):
    code = block(title)
    assert len(list(filter(None, code.splitlines()))) == 4
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, title, "exec"), {})
    answered(title, "".join(f"{line.rstrip()}\n" for line in said.getvalue().splitlines()), request)


def test_the_r_program_names_columns_that_its_query_has(reader):
    code = block("R")
    (query,) = re.findall(r'dbGetQuery\(con, "(.*?)"\)', code)
    with psycopg.connect(reader) as conn:
        cursor = conn.execute(query)
        names = [column.name for column in cursor.description]
        assert set(re.findall(r"prices\$(\w+)", code)) <= set(names)
        assert len(cursor.fetchall()) == 1096
    # RPostgres hands these to libpq under the same names.
    given = dict(re.findall(r'(\w+) = "?([\w.]+)"?[,)]', code))
    assert set(given) == {"host", "port", "user", "dbname"}
    assert given["user"] == "ta_lab2_reader"


def test_the_panel_of_grafana_gives_a_series(reader):
    (query,) = re.findall(r"```\n(select \$__time.*?)```", SECTIONS["Grafana"], re.DOTALL)
    for macro, expanded in (
        (
            r"\$__timeFilter\(([\w.]+)\)",
            r"\1 between '2024-01-01T00:00:00Z' and '2024-12-31T23:59:59.999Z'",
        ),
        (r"\$__time\(([\w.]+)\)", r'\1 as "time"'),
        (r"\$\{symbol:raw\}", "SYN-RISE"),
        (r"\$\{symbol:sqlstring\}", "'SYN-RISE'"),
    ):
        query, times = re.subn(macro, expanded, query)
        assert times == 1, macro
    assert "$" not in query
    with psycopg.connect(reader) as conn:
        cursor = conn.execute(query)
        assert [column.name for column in cursor.description] == ["time", "SYN-RISE"]
        assert len(cursor.fetchall()) == 366


def test_the_contents_name_every_section():
    linked = re.findall(r"\(#([\w-]+)\)", TEXT)
    titles = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in SECTIONS]
    assert linked == titles


def test_the_environment_of_this_test_is_the_readers(reader):
    with psycopg.connect(os.environ["DATABASE_URL"]) as conn:
        assert conn.execute("select current_user").fetchone() == ("ta_lab2_reader",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select * from bars.dim_assets")
