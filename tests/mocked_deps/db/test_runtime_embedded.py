"""How the embedded runtime chooses its port, without any server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ta_lab2.db.runtime import ports
from ta_lab2.db.runtime.cluster import Cluster
from ta_lab2.db.runtime.embedded import EmbeddedRuntime
from ta_lab2.db.runtime.project import Project, Record
from ta_lab2.errors import Refused, TaLabError
from ta_lab2.settings import Settings


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The ports that other programs have."""
    found: set[int] = set()
    monkeypatch.setattr(ports, "is_free", lambda port: port not in found)
    monkeypatch.setattr(ports, "holder", lambda port: "process 7 (thief)")
    return found


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, taken: set[int]) -> list[int]:
    """The ports on which starting was tried; the first is lost to another program."""
    tried: list[int] = []

    def start(self: Cluster, rootfs: Path, port: int, settings: Mapping[str, str]) -> None:
        tried.append(port)
        if len(tried) == 1:
            taken.add(port)
            raise TaLabError("could not create any TCP/IP sockets")

    monkeypatch.setattr(Cluster, "start", start)
    return tried


def _runtime(tmp_path: Path, **given: object) -> EmbeddedRuntime:
    settings = Settings(_env_file=None, state_dir=tmp_path, project="mine", **given)
    return EmbeddedRuntime(Project.of(settings), settings)


def test_a_new_port_that_is_lost_to_another_program_is_given_up(
    tmp_path: Path, started: list[int]
) -> None:
    runtime = _runtime(tmp_path)
    record = Record("mine", "embedded")
    runtime._start_on_port(tmp_path, record, lambda _: None)
    assert started == [15432, 15433]
    assert runtime.project.record() == record
    assert record.ports == {"embedded": 15433}
    assert "port=15433" in runtime.project.service_file.read_text()


def test_a_remembered_port_is_never_given_up(tmp_path: Path, started: list[int]) -> None:
    runtime = _runtime(tmp_path)
    record = Record("mine", "embedded", {"embedded": 15500})
    with pytest.raises(TaLabError, match="could not create"):
        runtime._start_on_port(tmp_path, record, lambda _: None)
    with pytest.raises(Refused, match="taken by process 7"):
        runtime._start_on_port(tmp_path, record, lambda _: None)
    assert record.ports == {"embedded": 15500}


def test_a_port_that_is_set_goes_before_the_remembered_one(
    tmp_path: Path, taken: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "start", lambda *_: None)
    runtime = _runtime(tmp_path, port=15600)
    record = Record("mine", "embedded", {"embedded": 15500})
    runtime._start_on_port(tmp_path, record, lambda _: None)
    assert record.ports == {"embedded": 15600}
