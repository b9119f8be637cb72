"""The embedded runtime: PostgreSQL from a private Debian, without any engine."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ta_lab2.db.runtime import databases, ports, sandbox, server
from ta_lab2.db.runtime.cluster import Cluster
from ta_lab2.db.runtime.project import LOGINS, Endpoint, Login, Project, Record, Say, write_aside
from ta_lab2.db.runtime.rootfs import RootFileSystem
from ta_lab2.errors import Refused, TaLabError
from ta_lab2.settings import Settings


class EmbeddedRuntime:
    """A project's server, run by bubblewrap from the shared root file system."""

    name: str = "embedded"

    def __init__(self, project: Project, settings: Settings) -> None:
        self.project = project
        self.settings = settings
        self.cluster = Cluster(project.home, project.key)
        self.rootfs = RootFileSystem.shipped(project.cache, settings.mirror)

    def up(self, say: Say) -> None:
        """Make the server if there is none and start it; return when it answers."""
        up = self.cluster.wait()
        if up and self.project.passwords_are_confirmed():
            self._stay_on_port(say)
        else:
            if up:
                # New passwords are set while it is stopped.
                self.down(say)
            self._start(say)
        self._make_database(say)

    def down(self, say: Say) -> None:
        """Stop the server cleanly; nothing is lost. A stopped server is not an error."""
        if self.cluster.postmaster() is None:
            say("the server is not running")
            return
        say("stopping the server")
        with self.rootfs.in_use(say) as build:
            self.cluster.stop(build)

    def is_up(self) -> bool:
        """Say whether the server answers."""
        return self.cluster.answers()

    def endpoint(self, login: Login, *, dbname: str | None = None) -> Endpoint:
        """Return where the server answers for a login."""
        return self.project.endpoint(login, dbname=dbname)

    def describe(self) -> dict[str, str]:
        """Return the places of data, log and root file system, and the server's pid."""
        found = self.cluster.postmaster()
        return {
            "data": str(self.cluster.data),
            "log": str(self.cluster.data / "log"),
            "root file system": str(self.rootfs.current or "not built yet"),
            "pid": str(found.pid) if found else "none",
        }

    def psql(self, endpoint: Endpoint, arguments: Sequence[str]) -> int:
        """Run the root file system's psql and return its exit status."""
        return self.client("psql", endpoint, arguments)

    def client(self, program: str, endpoint: Endpoint, arguments: Sequence[str]) -> int:
        """Run psql, pg_dump or another client program of the server's own version."""
        build = self.rootfs.current
        if build is None or not self.is_up():
            raise Refused("the server is not running", "Run `ta-lab2 db up`.")
        return sandbox.run_client(build, program, endpoint, arguments)

    def upgrade(self, say: Say) -> None:
        """Build the root file system with the newest packages and restart on it."""
        was_up = self.cluster.wait()
        before = self.rootfs.current
        build = self.rootfs.rebuild(say)
        if was_up:
            self.cluster.stop(before or build)
            self._start(say)
        for old in self.rootfs.remove_unused(say):
            say(f"removed the old build {old}")

    def destroy(self, say: Say) -> None:
        """Stop the server and remove its data for ever; the caller has asked."""
        if self.cluster.postmaster():
            self.down(say)
        self.cluster.remove()
        self.project.forget("embedded")

    def _start(self, say: Say) -> None:
        with self.rootfs.in_use(say) as build:
            confirmed = self.project.passwords_are_confirmed()
            passwords = self.project.passwords()
            record = self.project.record() or Record(self.project.root, "embedded")
            record.runtime = "embedded"
            if not self.cluster.exists:
                say(f"making the data directory {self.cluster.data}")
                self.cluster.initialise(build, passwords["admin"])
            elif not confirmed:
                say(f"setting new passwords, kept in {self.project.service_file}")
                by_role = {LOGINS[login]: secret for login, secret in passwords.items()}
                self.cluster.set_passwords(build, by_role)
            self._start_on_port(build, record, say)
            if record.build not in ("", build.name):
                # Another project's upgrade may have been what changed it.
                self._update_extensions(say)
            record.build = build.name
            self.project.save(record)

    def _start_on_port(self, build: Path, record: Record, say: Say) -> None:
        """Start the server; a new port that another program takes first is given up."""
        known = self.settings.port or record.ports.get("embedded")
        memory, cores = server.machine()
        usual = server.settings(memory=memory, cores=cores, cron_database=self.project.database)
        tries = 5
        while True:
            port = self._known_port(known) if known else self._new_port()
            record.ports["embedded"] = port
            self.project.save(record)
            self.project.write_service_file(port=port, passwords=self.project.passwords())
            say(f"starting PostgreSQL on 127.0.0.1:{port}")
            try:
                self.cluster.start(build, port, usual)
                return
            except TaLabError:
                tries -= 1
                if known or not tries or ports.is_free(port):
                    raise
                say(f"another program was faster to take port {port}")

    def _known_port(self, port: int) -> int:
        """Return the port that is set or remembered, unless somebody else has it."""
        if not ports.is_free(port):
            raise Refused(
                f"port {port} of this project's server is taken by {ports.holder(port)}",
                "Stop that, or move this project with `TA_LAB2_PORT=<port> ta-lab2 db up`.",
            )
        return port

    def _new_port(self) -> int:
        return ports.first_free(self.project.promised_ports())

    def _update_extensions(self, say: Say) -> None:
        """Bring the extensions of all databases to the versions of the newly started server."""
        for name in databases.names(self._maintenance()):
            changed = databases.update_extensions(self.endpoint("admin", dbname=name))
            if changed:
                say(f"updated in {name}: {', '.join(changed)}")

    def _stay_on_port(self, say: Say) -> None:
        """Write down where the running server is; a killed `up` may not have come to it."""
        found = self.cluster.postmaster()
        if found is None:
            return
        record = self.project.record() or Record(self.project.root, "embedded")
        record.runtime = "embedded"
        record.ports["embedded"] = found.port
        self.project.save(record)
        self.project.write_service_file(port=found.port, passwords=self.project.passwords())
        say(f"PostgreSQL runs on 127.0.0.1:{found.port}")
        if self.settings.port not in (None, found.port):
            say(f"it moves to port {self.settings.port} after `ta-lab2 db down`")

    def _make_database(self, say: Say) -> None:
        if databases.create(self._maintenance(), self.project.database):
            say(f"made the database {self.project.database}")

    def _maintenance(self) -> Endpoint:
        return self.endpoint("admin", dbname="postgres")


@contextmanager
def private_server(
    folder: Path,
    *,
    cache: Path,
    port: int | None = None,
    mirror: str | None = None,
    cron_database: str = "postgres",
    extra: Mapping[str, str] | None = None,
    say: Say = lambda _: None,
) -> Iterator[Endpoint]:
    """Yield a superuser's endpoint of a server of its own, stopped at the end; no record is kept.

    The folder must be one that others may enter where root starts the server. A server that
    a killed caller left there is used again.

    Args:
        extra: settings over the usual ones, such as ``fsync``.
    """
    cluster = Cluster(folder, hashlib.sha256(str(folder).encode()).hexdigest()[:8])
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    secret = folder / "password"
    if not secret.exists():
        write_aside(secret, secrets.token_urlsafe(24), mode=0o600)
    password = secret.read_text()
    memory, cores = server.machine()
    usual = server.settings(memory=memory, cores=cores, cron_database=cron_database)
    rootfs = RootFileSystem.shipped(cache, mirror)
    with rootfs.in_use(say) as build:
        if cluster.wait():
            cluster.stop(build)
        if not cluster.exists:
            cluster.initialise(build, password)
        port = port or ports.any_free()
        cluster.start(build, port, {**usual, **(extra or {})})
    try:
        yield Endpoint("127.0.0.1", port, "postgres", "postgres", password)
    finally:
        with rootfs.in_use(say) as build:
            cluster.stop(build)
