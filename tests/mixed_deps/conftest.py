"""Databases whose EQUITY session has the calendar of the New York Stock Exchange."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import psycopg
import pytest

from ta_lab2.timemodel import exchange, queries
from tests.support import servers


@pytest.fixture(scope="session")
def new_york() -> exchange.Schedule:
    """The sessions of the New York Stock Exchange as `ta-lab2 calendar refresh` asks for them."""
    return exchange.schedule("XNYS", date.today())


@pytest.fixture(scope="session")
def equity_db(server_url: str, template: str, new_york: exchange.Schedule) -> Iterator[str]:
    """A migrated database with that calendar, as a superuser's conninfo."""
    with servers.copy(server_url, "equity", template=template) as conninfo:
        with psycopg.connect(conninfo) as conn:
            queries.load_calendar(conn, "EQUITY", new_york)
        yield conninfo


@pytest.fixture
def equity(equity_db: str) -> Iterator[psycopg.Connection]:
    """A connection to it, rolled back at the end; New York's time, to see that none matters."""
    with psycopg.connect(equity_db, options="-c timezone=America/New_York") as conn:
        yield conn
        conn.rollback()
