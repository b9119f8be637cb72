"""A market that is made once for all of these tests, each of which takes back what it did."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.support import markets, servers


@pytest.fixture(scope="package")
def market_db(server_url: str, template: str) -> Iterator[str]:
    """A database with candles, features and signals, as a superuser's conninfo."""
    with servers.copy(server_url, "market", template=template) as conninfo:
        markets.make(conninfo)
        yield conninfo


@pytest.fixture
def market(market_db: str) -> Iterator[psycopg.Connection]:
    """A connection to it in a transaction that is rolled back."""
    with psycopg.connect(market_db) as conn:
        yield conn
        conn.rollback()
