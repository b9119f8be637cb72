"""A database for bars of intraday candles, on whichever edition of TimescaleDB the server has."""

from __future__ import annotations

import pytest

from tests.support.intraday import can_roll_up


@pytest.fixture
def connect(own_db, autocommit):
    return lambda: autocommit(own_db)


@pytest.fixture
def conn(connect):
    return connect()


@pytest.fixture
def kept(conn):
    """A connection to a server that keeps the bars in a table."""
    if can_roll_up(conn):
        pytest.skip("this TimescaleDB is the community edition: its bars are its own")
    return conn


@pytest.fixture
def continuous(conn):
    """A connection to a server whose bars are continuous aggregates."""
    if not can_roll_up(conn):
        pytest.skip("this TimescaleDB is not the community edition")
    return conn
