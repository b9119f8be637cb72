"""A Docker engine, the image built from Debian's packages, and containers that run it.

An engine that answers already is used and left alone. Without one, an engine of the tests' own
is installed and started only with CI=true or TA_LAB2_TEST_DOCKER=1 (`make test DOCKER=1`), on a
socket and a folder of its own, and both are gone afterwards.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest

from ta_lab2.db.runtime import docker_engine as engine
from ta_lab2.db.runtime import docker_image, server
from ta_lab2.errors import Refused

DOCKER = Path(__file__).parents[3] / "docker"
# A name of the tests' own: `ta-lab2 db up` takes an image that it finds under its own name.
IMAGE = "ta-lab2-postgres:test"
CI = os.environ.get("CI") == "true"
WANTED = CI or os.environ.get("TA_LAB2_TEST_DOCKER") == "1"
READY = ["pg_isready", "-q", "-h", "127.0.0.1"]
COMMAND = [
    "postgres",
    *("-c", "listen_addresses=*"),
    *("-c", "hba_file=/etc/ta-lab2/pg_hba.conf"),
    *("-c", "ident_file=/etc/ta-lab2/pg_ident.conf"),
    *(
        word
        for name, value in server.settings(
            memory=2 * server.GIB, cores=2, cron_database="ta_lab2"
        ).items()
        for word in ("-c", f"{name}={value}")
    ),
]


def cannot(reason: str) -> NoReturn:
    """Skip, but never on CI: nothing is skipped there."""
    if CI:
        pytest.fail(reason)
    pytest.skip(reason)


def docker(*arguments: str, stdin: str | None = None) -> str:
    """Run a docker command, however long it takes, and return what it printed."""
    return engine.run(*arguments, stdin=stdin, seconds=1200)


def in_volume(image: str, volume: str, script: str) -> str:
    """Run a script in the root of a volume and return what it printed."""
    mount = f"--volume={volume}:/home/postgres/pgdata"
    where = "--workdir=/home/postgres/pgdata"
    return docker("run", "--rm", mount, where, "--entrypoint=sh", image, "-c", script)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[None]:
    """A Docker engine and Compose."""
    # No image of testcontainers' own reaper can be pulled where no registry answers.
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    # Published ports are on this machine's own address, also when it is a container itself.
    os.environ["TESTCONTAINERS_CONNECTION_MODE"] = "docker_host"
    if engine.engine_answers():
        _install_missing("docker-compose")
        yield
        return
    if not WANTED:
        cannot("no Docker engine answers; `make test DOCKER=1` starts one")
    if os.geteuid() != 0:
        cannot("no Docker engine answers, and only root can start one")
    _install_missing("docker.io", "docker-compose")
    with _own_engine():
        yield


def _install_missing(*packages: str) -> None:
    missing = [package for package in packages if not _is_there(package)]
    if not missing:
        return
    if not WANTED or os.geteuid() != 0:
        cannot(f"not installed: {', '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(
            ["apt-get", "-q", *words], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            cannot(f"apt-get {words[0]} failed: {done.stderr.strip()[-500:]}")
    for service in ("docker.service", "docker.socket"):
        # The package starts its own; the tests' engine is another one, on another socket.
        if Path("/run/systemd/system").is_dir():
            subprocess.run(["systemctl", "stop", service], capture_output=True)


def _is_there(package: str) -> bool:
    if package == "docker-compose":
        try:
            return bool(engine.compose_command())
        except Refused:
            return False
    command = {"docker.io": "dockerd", "uidmap": "newuidmap"}.get(package, package)
    return shutil.which(command) is not None


@contextmanager
def _own_engine() -> Iterator[None]:
    folder = Path(tempfile.mkdtemp(prefix="ta-lab2-dockerd-", dir="/var/tmp"))
    had_bridge = Path("/sys/class/net/docker0").exists()
    before = os.environ.get("DOCKER_HOST")
    address = f"unix://{folder}/docker.sock"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                "dockerd",
                f"--host={address}",
                f"--data-root={folder}/data",
                f"--exec-root={folder}/exec",
                f"--pidfile={folder}/pid",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    os.environ["DOCKER_HOST"] = address
    try:
        _wait_for_engine(process, folder / "log")
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if before is None:
            del os.environ["DOCKER_HOST"]
        else:
            os.environ["DOCKER_HOST"] = before
        shutil.rmtree(folder, ignore_errors=True)
        if not had_bridge and shutil.which("ip"):
            subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True)


def _wait_for_engine(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not engine.engine_answers():
        if process.poll() is not None or time.monotonic() > deadline:
            cannot(f"the tests' own Docker engine does not start: {log.read_text()[-2000:]}")
        time.sleep(0.3)


@pytest.fixture(scope="session")
def base_image(docker_engine: None) -> str:
    """``debian:trixie-slim``: the engine's, else pulled, else made by ``docker/base.sh``."""
    base = docker_image.DEBIAN_BASE
    if not docker_image.is_present(base):
        try:
            docker("pull", "--quiet", base)
        except engine.CommandFailed:
            _install_missing("mmdebstrap", "uidmap")
            done = subprocess.run(["sh", DOCKER / "base.sh"], capture_output=True, text=True)
            if done.returncode:
                cannot(f"docker/base.sh failed: {done.stderr[-2000:]}")
    return base


@pytest.fixture(scope="session")
def image(base_image: str) -> str:
    """The image of ``Dockerfile.debian``; the engine's cache makes a second build quick."""
    docker(
        "build",
        "--quiet",
        f"--tag={IMAGE}",
        f"--file={DOCKER / 'postgres' / 'Dockerfile.debian'}",
        str(DOCKER / "postgres"),
    )
    return IMAGE


@dataclass(frozen=True, slots=True)
class Served:
    """A container that serves, and what is needed to log in."""

    id: str
    port: int
    password: str

    def connect(self, dbname: str = "ta_lab2") -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=self.password,
            dbname=dbname,
            autocommit=True,
            connect_timeout=10,
        )


Serve = Callable[..., AbstractContextManager[Served]]


@pytest.fixture(scope="session")
def serve(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Return what starts a container of an image and stops it at the end, by testcontainers."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import ExecWaitStrategy

    @contextmanager
    def serve(
        image: str, volume: str | None = None, password: str | None = None
    ) -> Iterator[Served]:
        password = password or secrets.token_urlsafe(24)
        file = tmp_path_factory.mktemp("secret") / "postgres_password"
        file.write_text(password)
        file.chmod(0o644)
        container = (
            DockerContainer(image)
            .with_command(COMMAND)
            .with_env("POSTGRES_PASSWORD_FILE", "/run/secrets/postgres_password")
            .with_env("POSTGRES_DB", "ta_lab2")
            .with_volume_mapping(file, "/run/secrets/postgres_password", "ro")
            .with_exposed_ports(5432)
            .with_kwargs(shm_size="256m", cap_drop=["ALL"])
            .waiting_for(ExecWaitStrategy(READY).with_startup_timeout(120))
        )
        if volume:
            container = container.with_volume_mapping(volume, "/home/postgres/pgdata", "rw")
        with container as started:
            port = int(started.get_exposed_port(5432))
            yield Served(started.get_container_id(), port, password)

    return serve


@pytest.fixture(scope="module")
def served(serve: Serve, image: str) -> Iterator[Served]:
    """A container of the Debian image, with the extensions made in ta_lab2."""
    with serve(image) as started:
        with started.connect() as conn:
            for extension in ("timescaledb", "pg_cron", "vector", "plpython3u"):
                conn.execute(f"create extension {extension}")
        yield started


@pytest.fixture
def volume(docker_engine: None) -> Iterator[str]:
    """An empty volume, removed afterwards with whatever still uses it."""
    name = f"ta-lab2-test-{secrets.token_hex(4)}"
    docker("volume", "create", name)
    yield name
    left = docker("ps", "--all", "--quiet", "--filter", f"volume={name}").split()
    if left:
        docker("rm", "--force", *left)
    docker("volume", "rm", name)
