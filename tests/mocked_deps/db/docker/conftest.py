"""A machine without Docker, and one with stand-ins for its commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mocked_deps.db.docker.fake_docker import FakeDocker


@pytest.fixture
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """A PATH that is one empty folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return FakeDocker(folder)


@pytest.fixture
def fake(no_docker: FakeDocker) -> FakeDocker:
    """A Docker engine that answers and has nothing, with Debian's docker-compose."""
    no_docker.install("docker", "docker-compose")
    no_docker.answer("docker version", "28.0.0\n")
    no_docker.answer("docker compose", err="docker: unknown command", status=1)
    no_docker.answer("docker info", f"{8 * 1024**3} 4\n")
    no_docker.has()
    return no_docker


@pytest.fixture
def lines() -> list[str]:
    """What was said."""
    return []
