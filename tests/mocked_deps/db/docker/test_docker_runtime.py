"""The Docker runtime's decisions and command lines, through stand-ins for Docker's commands."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from ta_lab2.db.runtime import databases, docker, server
from ta_lab2.db.runtime.docker import DockerRuntime
from ta_lab2.db.runtime.docker_image import COMMUNITY, DEBIAN
from ta_lab2.db.runtime.ports import any_free
from ta_lab2.db.runtime.project import Project, Record
from ta_lab2.errors import Refused, TaLabError
from ta_lab2.settings import Settings
from tests.mocked_deps.db.docker.fake_docker import Call, FakeDocker

Make = Callable[..., DockerRuntime]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project("0a1b2c3d", "/where/it/is", tmp_path / "a state", tmp_path / "cache", "ta_lab2")


@pytest.fixture
def make(fake: FakeDocker, project: Project, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return what makes a runtime on an engine that has the Debian image; servers just answer."""
    fake.has(DEBIAN)
    fake.answer("docker-compose")
    fake.answer("docker inspect --format {{.State.Status}} {{.RestartCount}}", "running 0\n")
    monkeypatch.setattr(databases, "create", lambda server, name: False)

    def make(**values: object) -> DockerRuntime:
        return DockerRuntime(project, Settings.model_validate(values))

    return make


def record_of(runtime: DockerRuntime) -> Record:
    record = runtime.project.record()
    assert record is not None
    return record


def compose_up(fake: FakeDocker) -> Call:
    return fake.calls("docker-compose --project-name")[-1]


def test_compose_is_called_with_this_projects_name_and_our_file(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    make().up(lines.append)
    words = compose_up(fake).words
    assert words[1:3] == ["--project-name", "ta-lab2-0a1b2c3d"]
    assert words[4].endswith("docker/compose.yaml")
    assert words[5:] == ["up", "--detach", "db"]


def test_the_server_gets_the_shared_settings_for_the_engines_machine(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    make().up(lines.append)
    (line,) = [
        line
        for line in compose_up(fake).environment.splitlines()
        if line.startswith("export TA_LAB2_DB_COMMAND=")
    ]
    command = shlex.split(shlex.split(line)[1].partition("=")[2])
    limit = 8 * server.GIB * 3 // 4
    expected = server.settings(memory=limit, cores=4, cron_database="ta_lab2")
    assert command[0] == "postgres"
    assert {f"{name}={value}" for name, value in expected.items()} <= set(command)
    assert f"export TA_LAB2_DB_MEMORY='{limit // server.MIB}m'" in compose_up(fake).environment


def test_no_password_is_in_an_argument_or_a_variable(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    runtime.up(lines.append)
    fake.answer("docker ps --quiet", "c0ffee\n")
    runtime.psql(runtime.endpoint("app"), ["-c", "select 1"])
    runtime.client("pg_dump", runtime.endpoint("admin"), [])
    passwords = runtime.project.passwords().values()
    assert fake.calls("docker exec")
    for call in fake.calls():
        for password in passwords:
            assert password not in call.line
            assert password not in call.environment
    assert not any(password in line for line in lines for password in passwords)


def test_psql_runs_inside_the_container_as_the_login(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    runtime.up(lines.append)
    fake.answer("docker ps --quiet", "c0ffee\n")
    fake.answer("docker exec", status=3)
    assert runtime.psql(runtime.endpoint("reader", dbname="other"), ["-c", "select 1"]) == 3
    assert fake.calls("docker exec")[-1].words[2:] == [
        *("-i", "c0ffee", "psql", "--username", "ta_lab2_reader", "--dbname", "other"),
        *("-c", "select 1"),
    ]


def test_what_was_chosen_is_written_down_before_the_volume_is_made(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    fake.answer("docker-compose --project-name", err="ERROR: no space left on device", status=1)
    with pytest.raises(TaLabError, match="`docker-compose up` failed: ERROR: no space"):
        runtime.up(lines.append)
    record = record_of(runtime)
    assert record.runtime == "docker"
    assert record.image == DEBIAN
    assert record.compose_project == "ta-lab2-0a1b2c3d"


def test_a_new_port_that_somebody_else_was_quicker_to_take_is_not_remembered(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    fake.answer(
        "docker-compose --project-name",
        err="ERROR: for db  bind: address already in use\n"
        "Encountered errors while bringing up the project.\n",
        status=1,
    )
    with pytest.raises(TaLabError, match=r"address already in use$"):
        runtime.up(lines.append)
    assert record_of(runtime).ports == {}
    fake.answer("docker-compose --project-name")
    runtime.up(lines.append)
    port = record_of(runtime).ports["docker"]
    fake.answer("docker-compose --project-name", err="ERROR: no space", status=1)
    with pytest.raises(TaLabError, match="no space"):
        runtime.up(lines.append)
    assert record_of(runtime).ports == {"docker": port}


def test_a_remembered_edition_stays_when_another_appears(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    runtime.up(lines.append)
    fake.has(DEBIAN, COMMUNITY)
    runtime.up(lines.append)
    assert record_of(runtime).image == DEBIAN
    assert f"TA_LAB2_DB_IMAGE='{DEBIAN}'" in compose_up(fake).environment


def test_an_image_that_is_set_goes_before_the_remembered_one_and_is_said(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    make().up(lines.append)
    fake.has(DEBIAN, "other:1")
    runtime = make(image="other:1")
    runtime.up(lines.append)
    assert record_of(runtime).image == "other:1"
    assert f"image: moving from {DEBIAN} to other:1, as TA_LAB2_IMAGE says" in lines


def test_an_adopted_record_keeps_its_compose_project(
    make: Make, fake: FakeDocker, project: Project, lines: list[str]
) -> None:
    project.save(Record("/old", "docker", {"docker": any_free()}, "ta-lab2-old", DEBIAN))
    runtime = make()
    runtime.up(lines.append)
    assert runtime.volume == "ta-lab2-old_pgdata"
    assert compose_up(fake).words[2] == "ta-lab2-old"


def test_the_port_that_is_set_is_taken_and_remembered(make: Make, lines: list[str]) -> None:
    port = any_free()
    make(port=port).up(lines.append)
    again = make()
    again.up(lines.append)
    assert again.endpoint("admin").port == port
    assert f"port={port}\n" in again.project.service_file.read_text()


def test_a_port_promised_to_another_project_is_not_taken(
    make: Make, project: Project, lines: list[str]
) -> None:
    make().up(lines.append)
    mine = make().endpoint("admin").port
    other = Project("ffffffff", "/other", project.state, project.cache, "ta_lab2")
    runtime = DockerRuntime(other, Settings.model_validate({}))
    runtime.up(lines.append)
    assert runtime.endpoint("admin").port != mine


def test_a_remembered_port_that_is_taken_is_kept_and_the_holder_named(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    runtime.up(lines.append)
    port = runtime.endpoint("admin").port
    before = len(fake.calls("docker-compose --project-name"))
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(Refused, match=f"port {port} .* taken by process"):
            runtime.up(lines.append)
        fake.answer(f"docker ps --filter publish={port}", "someone-else\n")
        with pytest.raises(Refused, match="taken by the container someone-else"):
            runtime.up(lines.append)
    assert record_of(runtime).ports == {"docker": port}
    assert len(fake.calls("docker-compose --project-name")) == before


def test_a_running_container_keeps_its_port(make: Make, fake: FakeDocker, lines: list[str]) -> None:
    fake.answer("docker ps --quiet", "c0ffee\n")
    fake.answer("docker port", "127.0.0.1:23456\n")
    runtime = make(port=34567)
    runtime.up(lines.append)
    assert runtime.endpoint("admin").port == 23456
    assert lines[-1] == "it moves to port 34567 after `ta-lab2 db down`"


def test_down_keeps_the_volume_and_destroy_removes_only_ours(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    runtime.up(lines.append)
    fake.answer("docker ps --quiet", "c0ffee\n")
    runtime.down(lines.append)
    assert compose_up(fake).words[5:] == ["down"]
    runtime.destroy(lines.append)
    last = compose_up(fake).words
    assert last[2] == "ta-lab2-0a1b2c3d"
    assert last[5:] == ["down", "--volumes"]
    assert not fake.calls("volume rm")
    assert not fake.calls("prune")
    assert not runtime.project.home.exists()


def test_destroy_without_an_engine_forgets_nothing(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    runtime.up(lines.append)
    fake.answer("docker version", err="Cannot connect to the Docker daemon", status=1)
    with pytest.raises(Refused, match="no Docker engine answers"):
        runtime.destroy(lines.append)
    assert record_of(runtime).image == DEBIAN


def test_a_server_that_ends_is_stopped_and_its_last_words_are_shown(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    fake.answer("docker inspect --format {{.State.Status}} {{.RestartCount}}", "exited 0\n")
    fake.answer("docker logs", "FATAL:  could not open the file\n")
    with pytest.raises(TaLabError, match="ended right after its start") as caught:
        runtime.up(lines.append)
    assert "could not open the file" in caught.value.hint
    assert compose_up(fake).words[5:] == ["stop", "db"]


def test_a_server_that_never_answers_is_given_up(
    make: Make, fake: FakeDocker, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "ANSWERS_WITHIN_SECONDS", 0)
    runtime = make()
    fake.answer("pg_isready", status=2)
    with pytest.raises(TaLabError, match="does not answer after"):
        runtime.up(lines.append)
    assert compose_up(fake).words[5:] == ["stop", "db"]


def test_passwords_that_no_server_knows_yet_are_set_through_standard_input(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    runtime.up(lines.append)
    setting = "psql -XqAt -v ON_ERROR_STOP=1"
    assert len(fake.calls(setting)) == 1
    runtime.up(lines.append)
    assert len(fake.calls(setting)) == 1
    runtime.project.service_file.unlink()
    runtime.up(lines.append)
    assert len(fake.calls(setting)) == 2


def test_an_upgrade_builds_the_same_edition_again(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    with pytest.raises(Refused, match="no database yet"):
        runtime.upgrade(lines.append)
    runtime.up(lines.append)
    fake.has(DEBIAN, COMMUNITY, "debian:trixie-slim")
    runtime.upgrade(lines.append)
    (build,) = fake.calls("docker build")
    assert f"--tag {DEBIAN}" in build.line
    assert "--no-cache" in build.line


def test_it_describes_itself_without_an_engine_too(
    make: Make, fake: FakeDocker, lines: list[str]
) -> None:
    runtime = make()
    assert runtime.describe()["image"] == "none yet"
    runtime.up(lines.append)
    fake.answer("docker ps --quiet", "c0ffee\n")
    fake.answer("docker inspect --format {{.Name}}", "/ta-lab2-0a1b2c3d_db_1 (running)\n")
    assert runtime.describe() == {
        "image": DEBIAN,
        "container": "ta-lab2-0a1b2c3d_db_1 (running)",
        "volume": "ta-lab2-0a1b2c3d_pgdata",
        "compose project": "ta-lab2-0a1b2c3d",
    }
    fake.answer("docker version", status=1)
    assert runtime.describe()["container"] == "no engine answers"


def test_a_server_on_another_machine_is_not_used(
    make: Make, fake: FakeDocker, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(server: object, name: str) -> bool:
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(databases, "create", refused)
    with pytest.raises(TaLabError, match=r"not on 127\.0\.0\.1") as caught:
        make().up(lines.append)
    assert "DOCKER_HOST" in caught.value.hint
