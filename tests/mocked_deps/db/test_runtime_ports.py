"""Ports: free ones, taken ones, and by whom."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ta_lab2.db.runtime import ports
from ta_lab2.errors import Refused


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_with_a_listener_is_taken_and_its_holder_named(listener: int) -> None:
    assert not ports.is_free(listener)
    assert ports.holder(listener).startswith(f"process {os.getpid()} (")


def test_a_hidden_holder_is_named_by_its_user(
    listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = psutil.net_connections

    def hidden(kind: str) -> list[object]:
        return [connection._replace(pid=None) for connection in real(kind)]

    monkeypatch.setattr(psutil, "net_connections", hidden)
    assert f"(uid {os.geteuid()})" in ports.holder(listener)


def test_a_port_that_nobody_shows_is_another_programs(tmp_path: Path) -> None:
    assert ports._owner(1, tmp_path) == "another program"


def test_promised_and_taken_ports_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: port != ports.FIRST + 1)
    assert ports.first_free({ports.FIRST}) == ports.FIRST + 2
    monkeypatch.setattr(ports, "is_free", lambda port: False)
    with pytest.raises(Refused, match="no port from 15432"):
        ports.first_free(())


def test_any_free_port_is_free() -> None:
    assert ports.is_free(ports.any_free())
