"""The Docker runtime from beginning to end, through Compose."""

from __future__ import annotations

import secrets
import socket
import stat
import time
from collections.abc import Callable, Iterator

import pytest

from ta_lab2.db.runtime import databases, docker_engine
from ta_lab2.db.runtime.docker import DockerRuntime, engine_answers
from ta_lab2.db.runtime.project import Project
from ta_lab2.errors import Refused, TaLabError
from ta_lab2.settings import Settings
from tests.real_deps.docker.conftest import docker

pytestmark = pytest.mark.docker

Make = Callable[..., DockerRuntime]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def make(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Return what makes a runtime, in a folder with spaces; what it started is removed."""
    folder = tmp_path_factory.mktemp("runtime")
    made: list[DockerRuntime] = []

    def make(**values: object) -> DockerRuntime:
        key = f"test-{secrets.token_hex(4)}"
        state = folder / "state of mine"
        project = Project(key, str(folder), state, folder / "cache", "ta_lab2")
        settings = Settings.model_validate({"image": image, **values})
        made.append(DockerRuntime(project, settings))
        return made[-1]

    yield make
    for runtime in made:
        if leftovers(runtime):
            runtime.destroy(lambda _: None)


@pytest.fixture(scope="module")
def running(make: Make) -> DockerRuntime:
    """A runtime that is up, for tests that leave it so."""
    runtime = make()
    runtime.up(lambda _: None)
    return runtime


def container_of(runtime: DockerRuntime) -> str:
    return docker("ps", "--quiet", "--filter", f"name={runtime.compose_project}")


def leftovers(runtime: DockerRuntime) -> list[str]:
    mark = f"label=com.docker.compose.project={runtime.compose_project}"
    return [
        *docker("ps", "--all", "--quiet", "--filter", mark).split(),
        *docker("volume", "ls", "--quiet", "--filter", mark).split(),
        *docker("network", "ls", "--quiet", "--filter", mark).split(),
    ]


def test_a_database_is_made_used_stopped_started_and_destroyed(
    make: Make, lines: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert engine_answers()
    runtime = make()
    runtime.up(lines.append)
    assert runtime.is_up()
    assert runtime.compose_project == f"ta-lab2-{runtime.project.key}"
    assert any("starting PostgreSQL" in line for line in lines)

    admin = runtime.endpoint("admin")
    with databases.connect(admin) as conn:
        conn.execute("create table kept as select 42 as answer")
        assert conn.execute("select current_database()").fetchone() == ("ta_lab2",)

    capfd.readouterr()
    assert runtime.psql(admin, ["-XAtc", "select answer from kept"]) == 0
    assert capfd.readouterr().out == "42\n"
    assert runtime.psql(admin, ["-Xqc", "select nonsense"]) == 1
    assert runtime.client("pg_dump", admin, ["--table=kept"]) == 0
    assert "COPY public.kept" in capfd.readouterr().out

    runtime.down(lines.append)
    assert not runtime.is_up()
    assert docker("volume", "ls", "--quiet", "--filter", f"name={runtime.volume}")
    runtime.down(lines.append)
    assert lines[-1] == "the server is not running"
    with pytest.raises(Refused, match="not running"):
        runtime.psql(admin, [])

    runtime.up(lines.append)
    assert runtime.endpoint("admin") == admin
    with databases.connect(admin) as conn:
        assert conn.execute("select answer from kept").fetchone() == (42,)

    runtime.destroy(lines.append)
    assert leftovers(runtime) == []
    assert not runtime.project.home.exists()


def test_a_second_up_changes_nothing(running: DockerRuntime, lines: list[str]) -> None:
    before = docker("ps", "--quiet", "--no-trunc")
    running.up(lines.append)
    assert docker("ps", "--quiet", "--no-trunc") == before


def test_the_container_becomes_healthy(running: DockerRuntime) -> None:
    container = container_of(running)
    deadline = time.monotonic() + 60
    while docker("inspect", "--format", "{{.State.Health.Status}}", container) != "healthy":
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_the_password_is_in_a_private_folder_and_nowhere_else(
    running: DockerRuntime, lines: list[str]
) -> None:
    password = running.endpoint("admin").password
    assert password
    container = container_of(running)
    assert password not in docker("inspect", container)
    assert password not in docker("exec", container, "cat", "/proc/1/environ", "/proc/1/cmdline")
    assert not any(password in line for line in lines)
    holding = {
        path.relative_to(running.project.home).as_posix()
        for path in running.project.home.rglob("*")
        if path.is_file() and password in path.read_text()
    }
    assert holding == {"pg_service.conf", "docker/postgres_password"}
    assert stat.S_IMODE(running.project.service_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((running.project.home / "docker").stat().st_mode) == 0o700


def test_it_listens_on_this_machine_only_and_within_limits(
    running: DockerRuntime, lines: list[str]
) -> None:
    container = container_of(running)
    port = running.endpoint("admin").port
    assert docker("port", container) == f"5432/tcp -> 127.0.0.1:{port}"
    limits = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.CapDrop}}"
    memory, pids, dropped = docker("inspect", "--format", limits, container).split()
    assert 0 < int(memory) < docker_engine.machine()[0]
    assert int(pids) > 0
    assert dropped == "[ALL]"


def test_lost_passwords_are_set_anew(running: DockerRuntime, lines: list[str]) -> None:
    before = running.endpoint("admin")
    running.project.service_file.unlink()
    running.up(lines.append)
    after = running.endpoint("admin")
    assert after.password != before.password
    with databases.connect(after) as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    with pytest.raises(Refused, match="refuses the password"):
        databases.connect(before)


def test_a_remembered_port_that_is_taken_is_named_and_kept(
    running: DockerRuntime, lines: list[str]
) -> None:
    port = running.endpoint("admin").port
    running.down(lines.append)
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(Refused, match=f"port {port} .* is taken by process"):
            running.up(lines.append)
        assert running.endpoint("admin").port == port
    running.up(lines.append)
    assert running.endpoint("admin").port == port


def test_a_port_that_a_container_has_is_named_by_the_container(
    make: Make, running: DockerRuntime, lines: list[str]
) -> None:
    port = running.endpoint("admin").port
    second = make(port=port)
    with pytest.raises(Refused, match=f"taken by the container {running.compose_project}"):
        second.up(lines.append)


def test_two_projects_do_not_touch_each_other(
    make: Make, running: DockerRuntime, lines: list[str]
) -> None:
    first, second = running, make()
    second.up(lines.append)
    assert first.endpoint("admin").port != second.endpoint("admin").port
    with databases.connect(first.endpoint("admin")) as conn:
        conn.execute("create table kept as select 42 as answer")
    second.destroy(lines.append)
    assert leftovers(second) == []
    with databases.connect(first.endpoint("admin")) as conn:
        assert conn.execute("select answer from kept").fetchone() == (42,)


def test_a_server_that_does_not_start_is_stopped_and_its_last_words_shown(
    make: Make, lines: list[str]
) -> None:
    runtime = make()
    runtime.up(lines.append)
    container = container_of(runtime)
    docker("exec", container, "sh", "-c", "echo 15 >$PGDATA/PG_VERSION")
    runtime.down(lines.append)
    with pytest.raises(TaLabError, match="ended right after its start") as caught:
        runtime.up(lines.append)
    assert "are PostgreSQL 15's; this is 17" in caught.value.hint
    assert container_of(runtime) == ""


def test_a_moved_checkout_keeps_its_compose_project(make: Make, lines: list[str]) -> None:
    old = make()
    old.up(lines.append)
    with databases.connect(old.endpoint("admin")) as conn:
        conn.execute("create table kept as select 42 as answer")
    old.down(lines.append)
    new = make()
    old.project.home.rename(new.project.home)
    new.up(lines.append)
    assert new.compose_project == f"ta-lab2-{old.project.key}"
    with databases.connect(new.endpoint("admin")) as conn:
        assert conn.execute("select answer from kept").fetchone() == (42,)
    new.destroy(lines.append)
    assert leftovers(new) == []
