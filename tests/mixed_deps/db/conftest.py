"""A server for the doctor's tests, which break it and mend it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import places
from tests.support.private_server import PrivateServer


@pytest.fixture(scope="session")
def doctor_server(rootfs: Path) -> Iterator[PrivateServer]:
    """A bare server: nothing is set, nothing installed, no role made."""
    with places.in_memory("ta-lab2-doctor-") as home:
        server = PrivateServer(rootfs, home)
        try:
            server.initialise()
            yield server
        finally:
            server.end()
