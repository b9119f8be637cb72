"""A database with assets to refresh, a copy for each test."""

from __future__ import annotations

import psycopg
import pytest

from tests.support import servers
from tests.support.recorded import digest, load, refresh


@pytest.fixture(scope="module")
def original(server_url, template):
    """A database with the assets that each test has a copy of."""
    with servers.filled(server_url, template, load) as name:
        yield name


@pytest.fixture
def conn(own_db, autocommit):
    """A connection to the copy."""
    return autocommit(own_db)


@pytest.fixture(scope="module")
def undisturbed(server_url, original):
    """What a refresh of the same assets ends in that nobody disturbs."""
    with (
        servers.copy(server_url, "undisturbed", template=original) as conninfo,
        psycopg.connect(conninfo, autocommit=True) as conn,
    ):
        refresh(conn)
        return digest(conn)
