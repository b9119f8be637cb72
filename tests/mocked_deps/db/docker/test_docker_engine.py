"""The Docker engine and Compose, through stand-ins for their commands."""

from __future__ import annotations

import os
import sys

import pytest

from ta_lab2.db.runtime import docker_engine as engine
from ta_lab2.db.runtime.docker import engine_answers
from ta_lab2.errors import Refused
from tests.mocked_deps.db.docker.fake_docker import FakeDocker


def test_no_engine_answers_where_docker_is_not_installed(no_docker: FakeDocker) -> None:
    assert not engine_answers()


def test_an_engine_that_is_stopped_does_not_answer(fake: FakeDocker) -> None:
    assert engine_answers()
    fake.answer("docker version", err="Cannot connect to the Docker daemon", status=1)
    assert not engine_answers()


def test_an_engine_that_hangs_does_not_answer(
    no_docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = no_docker.folder / "docker"
    script.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(engine, "_QUICK_SECONDS", 0.2)
    assert not engine_answers()


def test_a_missing_docker_names_the_packages_and_the_other_way(no_docker: FakeDocker) -> None:
    with pytest.raises(Refused, match="not installed") as caught:
        engine.require_engine()
    assert "docker.io docker-compose" in caught.value.hint
    assert "--runtime embedded" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "what", "hint"),
    [
        ("dial unix docker.sock: permission denied", "may not talk", "usermod -aG docker"),
        ("Cannot connect to the Docker daemon", "Cannot connect", "systemctl start docker"),
    ],
)
def test_an_engine_that_refuses_says_what_to_do(
    fake: FakeDocker, said: str, what: str, hint: str
) -> None:
    fake.answer("docker version", err=said, status=1)
    with pytest.raises(Refused, match=what) as caught:
        engine.require_engine()
    assert hint in caught.value.hint


def test_the_compose_plugin_goes_before_the_older_command(fake: FakeDocker) -> None:
    assert engine.compose_command() == ["docker-compose"]
    fake.answer("docker compose version", "Docker Compose version v2\n")
    assert engine.compose_command() == ["docker", "compose"]


def test_a_missing_compose_names_the_package(fake: FakeDocker) -> None:
    (fake.folder / "docker-compose").unlink()
    with pytest.raises(Refused, match="Compose is not installed") as caught:
        engine.compose_command()
    assert "apt-get install docker-compose" in caught.value.hint


def test_progress_is_shortened_and_every_step_is_shown(lines: list[str]) -> None:
    script = "print('DEPRECATED: The legacy builder is'); print('Step 1/2 : FROM x')\n"
    script += "print('Get:1 ' + 'y' * 300)\nfor i in range(500): print('Unpacking', i)\n"
    script += "print('Step 2/2 : CMD z')"
    engine.stream([sys.executable, "-c", script], lines.append)
    assert lines[0] == "  Step 1/2 : FROM x"
    assert lines[-1] == "  Step 2/2 : CMD z"
    assert len(lines) < 10
    assert max(map(len, lines)) <= 102


def test_a_failed_command_shows_its_last_lines(lines: list[str]) -> None:
    script = "import sys\nfor i in range(50): print('line', i)\nprint('E: no disk'); sys.exit(3)"
    with pytest.raises(engine.CommandFailed, match="`docker build` failed: E: no disk") as caught:
        engine.stream([sys.executable, "-c", script], lines.append, name="docker build")
    assert "line 49" in caught.value.hint
    assert "line 1\n" not in caught.value.hint


def test_an_interruption_ends_the_command_too() -> None:
    started: list[str] = []

    def interrupt(line: str) -> None:
        started.append(line)
        raise KeyboardInterrupt

    script = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        engine.stream([sys.executable, "-c", script], interrupt)
    # Ended and waited for: the number is nobody's any more.
    with pytest.raises(ProcessLookupError):
        os.kill(int(started[0]), 0)
