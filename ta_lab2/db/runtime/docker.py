"""The Docker runtime: PostgreSQL in a container, run by Compose."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import psycopg
from psycopg import sql

from ta_lab2 import paths
from ta_lab2.db.runtime import databases, docker_image, ports, server
from ta_lab2.db.runtime import docker_engine as engine
from ta_lab2.db.runtime.docker_engine import engine_answers as engine_answers
from ta_lab2.db.runtime.project import LOGINS, Endpoint, Login, Project, Record, Say, write_aside
from ta_lab2.errors import Refused, TaLabError
from ta_lab2.settings import Settings

ANSWERS_WITHIN_SECONDS = 180
_TOLD_EVERY_SECONDS = 10
_LOG_LINES = 15
_HEALTH_CHECK = ("pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres", "-d", "postgres")


class DockerRuntime:
    """A project's server, in a container of its own with a volume of its own."""

    name = "docker"

    def __init__(self, project: Project, settings: Settings) -> None:
        self.project = project
        self.settings = settings

    def up(self, say: Say) -> None:
        """Make the server if there is none and start it; return when it answers."""
        engine.require_engine()
        record = self.project.record() or Record(self.project.root, "docker")
        record.runtime = "docker"
        record.compose_project = self.compose_project
        record.image = self._choose_image(record, say)
        is_new = "docker" not in record.ports
        record.ports["docker"] = self._choose_port()
        # Written down before the volume is made: the edition of its data never changes by itself.
        self.project.save(record)
        try:
            self._start(record, say)
        except engine.CommandFailed:
            if is_new:  # somebody may have been quicker; nobody was told this number yet
                del record.ports["docker"]
                self.project.save(record)
            raise
        if self.settings.port not in (None, record.ports["docker"]):
            say(f"it moves to port {self.settings.port} after `ta-lab2 db down`")

    def down(self, say: Say) -> None:
        """Stop the server cleanly; the volume stays. A stopped server is not an error."""
        engine.require_engine()
        if not self._container(running=False):
            say("the server is not running")
            return
        say("stopping the server")
        self._compose("down", say=say)

    def is_up(self) -> bool:
        """Say whether the server answers."""
        try:
            databases.connect(self._maintenance()).close()
        except (Refused, psycopg.Error):
            return False
        return True

    def endpoint(self, login: Login, *, dbname: str | None = None) -> Endpoint:
        """Return where the server answers for a login."""
        return self.project.endpoint(login, dbname=dbname)

    def describe(self) -> dict[str, str]:
        """Return the image, the container, the volume and the Compose project."""
        record = self.project.record()
        container = "no engine answers"
        if engine_answers():
            found = self._container(running=False)
            container = (
                engine.run("inspect", "--format", "{{.Name}} ({{.State.Status}})", found)[1:]
                if found
                else "none"
            )
        return {
            "image": (record.image if record else "") or "none yet",
            "container": container,
            "volume": self.volume,
            "compose project": self.compose_project,
        }

    def psql(self, endpoint: Endpoint, arguments: Sequence[str]) -> int:
        """Run the container's psql and return its exit status."""
        return self.client("psql", endpoint, arguments)

    def client(self, program: str, endpoint: Endpoint, arguments: Sequence[str]) -> int:
        """Run psql, pg_dump or another client program inside the container.

        It needs no password there: pg_ident.conf lets the container's only user be any login.
        """
        engine.require_engine()
        container = self._container(running=True)
        if not container:
            raise Refused("the server is not running", "Run `ta-lab2 db up`.")
        terminal = ["-t", "-e", "TERM"] if sys.stdin.isatty() and sys.stdout.isatty() else []
        login = ["--username", endpoint.user, "--dbname", endpoint.dbname]
        return subprocess.run(
            ["docker", "exec", "-i", *terminal, container, program, *login, *arguments]
        ).returncode

    def upgrade(self, say: Say) -> None:
        """Build or pull the image again with the newest packages, and restart on it."""
        engine.require_engine()
        record = self.project.record()
        if record is None or not record.image:
            raise Refused("this project has no database yet", "Run `ta-lab2 db up`.")
        before = docker_image.image_id(record.image)
        docker_image.renew(record.image, say, mirror=self.settings.mirror)
        if self._container(running=True):
            self._start(record, say)
            for name in databases.names(self._maintenance()):
                changed = databases.update_extensions(self.endpoint("admin", dbname=name))
                if changed:
                    say(f"updated in {name}: {', '.join(changed)}")
        if before and before != docker_image.image_id(record.image):
            # Another project's container may still run on it; then the engine refuses.
            with suppress(engine.CommandFailed):
                engine.run("image", "rm", before)

    def destroy(self, say: Say) -> None:
        """Stop the server and remove its volume for ever; the caller has asked."""
        engine.require_engine()
        say(f"removing the volume {self.volume}")
        self._compose("down", "--volumes", say=say)
        self.project.forget("docker")
        self._password_file.unlink(missing_ok=True)

    @property
    def compose_project(self) -> str:
        """The name that all containers and volumes of this project begin with."""
        record = self.project.record()
        return (record.compose_project if record else "") or f"ta-lab2-{self.project.key}"

    @property
    def volume(self) -> str:
        """The volume with the data."""
        return f"{self.compose_project}_pgdata"

    def _choose_port(self) -> int:
        """Return the running container's port, else the set, the remembered or a free one."""
        running = self._container(running=True)
        if running:
            return int(engine.run("port", running, "5432/tcp").splitlines()[0].rsplit(":", 1)[1])
        record = self.project.record()
        port = self.settings.port or (record.ports.get("docker") if record else None)
        if port is None:
            return ports.first_free(self.project.promised_ports())
        if not ports.is_free(port):
            raise Refused(
                f"port {port} of this project's server is taken by {_holder(port)}",
                "Stop that, or move this project with `TA_LAB2_PORT=<port> ta-lab2 db up`.",
            )
        return port

    def _choose_image(self, record: Record, say: Say) -> str:
        """Return the image that is set, else the remembered one, else what can be had."""
        mirror = self.settings.mirror
        wanted = self.settings.image or record.image
        if not wanted:
            return docker_image.choose(say, mirror=mirror)
        if record.image and wanted != record.image:
            say(f"image: moving from {record.image} to {wanted}, as TA_LAB2_IMAGE says")
        docker_image.fetch(wanted, say, mirror=mirror)
        return wanted

    def _start(self, record: Record, say: Say) -> None:
        unconfirmed = self._passwords_are_unconfirmed()
        passwords = self.project.passwords()
        self._write_password_file(passwords["admin"])
        port = record.ports["docker"]
        say(f"starting PostgreSQL on 127.0.0.1:{port} ({record.image})")
        self._compose("up", "--detach", "db", say=say)
        self._wait(say)
        if unconfirmed:
            self._set_passwords(passwords)
        try:
            if databases.create(self._maintenance(), self.project.database):
                say(f"made the database {self.project.database}")
        except psycopg.OperationalError as error:
            raise TaLabError(
                f"the server answers in its container, but not on 127.0.0.1:{port}: {error}",
                "Is the engine on another machine (DOCKER_HOST, `docker context ls`)? It must be"
                " on this one.",
            ) from error
        self.project.write_service_file(port=port, passwords=passwords)

    def _passwords_are_unconfirmed(self) -> bool:
        """Say whether no server has accepted the passwords yet: a new file, or a lost one."""
        try:
            return "port=0\n" in self.project.service_file.read_text()
        except FileNotFoundError:
            return True

    def _set_passwords(self, passwords: dict[Login, str]) -> None:
        """Give the logins that exist their passwords, from inside the container."""
        # Only logins that exist: the other two are made by `ta-lab2 db migrate`.
        statement = sql.SQL(
            "select format('alter role %I password %L', rolname, {}) from pg_roles"
            " where rolname = {} \\gexec\n"
        )
        statements = "".join(
            statement.format(passwords[login], user).as_string() for login, user in LOGINS.items()
        )
        words = ("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres")
        engine.run("exec", "-i", self._container(running=True), *words, stdin=statements)

    def _wait(self, say: Say) -> None:
        """Return when the server answers; else stop the container and show what it said last."""
        container = self._container(running=False)
        began = time.monotonic()
        told = began
        restarts_before: int | None = None
        while True:
            what = "{{.State.Status}} {{.RestartCount}}"
            status, restarts = engine.run("inspect", "--format", what, container).split()
            if restarts_before is None:
                restarts_before = int(restarts)
            if status in {"exited", "dead"} or int(restarts) > restarts_before:
                self._give_up(container, "the server ended right after its start", say)
            # The health check's own command, asked now and not at its next turn.
            with suppress(engine.CommandFailed):
                engine.run("exec", container, *_HEALTH_CHECK)
                return
            now = time.monotonic()
            if now - began > ANSWERS_WITHIN_SECONDS:
                self._give_up(
                    container, f"the server does not answer after {now - began:.0f} s", say
                )
            if now - told > _TOLD_EVERY_SECONDS:
                told = now
                say(f"  waiting for the server, {now - began:.0f} s so far")
            time.sleep(0.3)

    def _give_up(self, container: str, what: str, say: Say) -> NoReturn:
        said = engine.logs(container, lines=_LOG_LINES)
        with suppress(engine.CommandFailed):  # else it would be restarted for ever
            self._compose("stop", "db", say=say)
        raise TaLabError(what, "Its last words:\n    " + "\n    ".join(said))

    def _compose(self, *arguments: str, say: Say) -> None:
        file = paths.shipped("docker") / "compose.yaml"
        words = engine.compose_command()
        engine.stream(
            [*words, "--project-name", self.compose_project, "--file", str(file), *arguments],
            say,
            name=f"{' '.join(words)} {arguments[0]}",
            env={**os.environ, **self._variables()},
        )

    def _variables(self) -> dict[str, str]:
        """Return what compose.yaml asks for; nothing in it is secret."""
        record = self.project.record()
        memory, cores = engine.machine()
        limit = memory * 3 // 4
        ours = {
            "listen_addresses": "*",
            "hba_file": "/etc/ta-lab2/pg_hba.conf",
            "ident_file": "/etc/ta-lab2/pg_ident.conf",
            **server.settings(memory=limit, cores=cores, cron_database=self.project.database),
        }
        return {
            "TA_LAB2_DB_IMAGE": (record.image if record else "") or docker_image.DEBIAN,
            "TA_LAB2_DB_PORT": str(record.ports.get("docker", 0) if record else 0),
            "TA_LAB2_DB_NAME": self.project.database,
            "TA_LAB2_DB_MEMORY": f"{limit // server.MIB}m",
            "TA_LAB2_DB_PASSWORD_FILE": str(self._password_file),
            "TA_LAB2_DB_COMMAND": " ".join(
                ["postgres", *(f"-c {name}={value}" for name, value in ours.items())]
            ),
        }

    @property
    def _password_file(self) -> Path:
        return self.project.home / "docker" / "postgres_password"

    def _write_password_file(self, password: str) -> None:
        """Write the superuser's password where the container's user can read it, and nobody else.

        That user has another number than ours: the file is open, its folder is not.
        """
        self._password_file.parent.mkdir(parents=True, exist_ok=True)
        self._password_file.parent.chmod(0o700)
        write_aside(self._password_file, password, mode=0o644)

    def _container(self, *, running: bool) -> str:
        """Return the id of this project's container, empty when there is none."""
        return engine.run(
            "ps",
            "--quiet",
            *(["--filter", "status=running"] if running else ["--all"]),
            "--filter",
            f"label=com.docker.compose.project={self.compose_project}",
            "--filter",
            "label=com.docker.compose.service=db",
        ).partition("\n")[0]

    def _maintenance(self) -> Endpoint:
        return self.endpoint("admin", dbname="postgres")


def _holder(port: int) -> str:
    """Return who listens on a port: the container that publishes it, else the process."""
    names = engine.run("ps", "--filter", f"publish={port}", "--format", "{{.Names}}")
    return f"the container {names.splitlines()[0]}" if names else ports.holder(port)
