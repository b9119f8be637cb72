"""One data directory and the server on it, run from the private root file system."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from ta_lab2.db.runtime import machine, sandbox, server
from ta_lab2.errors import Refused, TaLabError

# A socket's path has at most 107 bytes, the name in the folder among them.
_LONGEST_SOCKET_FOLDER = 90 - len("/.s.PGSQL.65535.lock")
_START_SECONDS = 300  # crash recovery of a big database takes its time
_STOP_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What ``postmaster.pid`` says of a living server."""

    pid: int
    port: int
    ready: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data directory under ``home``; ``key`` names its socket folder if that lies in /tmp."""

    home: Path
    key: str

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def partial(self) -> Path:
        return self.home / "data.partial"

    @property
    def exists(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    @property
    def sock(self) -> Path:
        """The folder of the server's Unix socket, short enough for the kernel."""
        folder = self.home / "sock"
        if len(os.fsencode(folder)) <= _LONGEST_SOCKET_FOLDER:
            return folder
        return Path(tempfile.gettempdir()) / f"ta-lab2-{_owner()[0]}-{self.key}"

    def initialise(self, rootfs: Path, password: str) -> None:
        """Make the data directory: aside, renamed when it is complete."""
        _remove(self.partial)
        self.partial.mkdir(mode=0o700)
        os.chown(self.partial, *_owner())
        self._check_access(rootfs, self.partial)
        with tempfile.TemporaryFile() as secret:
            secret.write(password.encode())
            secret.seek(0)
            words = sandbox.server_words(rootfs, self.partial, None, dies_with_parent=True)
            words += ["--perms", "0400", "--ro-bind-data", str(secret.fileno()), "/run/password"]
            words += ["initdb", "--pgdata=/data", "--pwfile=/run/password", *server.INITDB]
            # Over the socket too: whoever is on this machine needs the password.
            words += ["--auth-local=scram-sha-256"]
            done = _run(words, pass_fds=[secret.fileno()])
        if done.returncode:
            raise TaLabError(
                f"initdb failed in {self.partial}: {_last(done.stderr or done.stdout)}",
                "The same command tries again.",
            )
        with (self.partial / "postgresql.conf").open("a") as file:
            file.write("\n# rewritten at each `ta-lab2 db up`; change settings by ALTER SYSTEM\n")
            file.write("include_if_exists = 'ta_lab2.conf'\n")
        self.partial.rename(self.data)

    def start(self, rootfs: Path, port: int, settings: Mapping[str, str]) -> None:
        """Start the server and return when it answers."""
        self._make_socket_folder()
        self._bury_postmaster()
        self._check_access(rootfs, self.data)
        self._configure({"port": str(port), **settings})
        startup = self.data / "startup.log"
        startup.unlink(missing_ok=True)
        words = [*sandbox.server_words(rootfs, self.data, self.sock), "pg_ctl", "start"]
        words += ["-w", f"--timeout={_START_SECONDS}", "--pgdata=/data", "--log=/data/startup.log"]
        done = _run([*words, "--silent"])
        if done.returncode:
            raise TaLabError(
                f"the server in {self.data} does not start: {self._why(startup, done)}",
                f"Its logs are {startup} and {self.data / 'log'}.",
            )

    def stop(self, rootfs: Path) -> None:
        """Stop the server cleanly, without waiting for its clients to leave."""
        words = [*sandbox.server_words(rootfs, self.data, None), "pg_ctl", "stop", "--mode=fast"]
        words += ["-w", f"--timeout={_STOP_SECONDS}", "--pgdata=/data", "--silent"]
        done = _run(words)
        if done.returncode and self.postmaster():
            raise TaLabError(
                f"the server in {self.data} does not stop: {_last(done.stderr or done.stdout)}",
                "It may still be writing; try again in a minute.",
            )

    def set_passwords(self, rootfs: Path, passwords: Mapping[str, str]) -> None:
        """Give roles new passwords while the server is stopped; roles that are not there stay so.

        In single-user mode the owner of the files needs no password. A statement is a line.
        """
        self._bury_postmaster()
        statements = "".join(
            f"do $$ begin if to_regrole('{role}') is not null then"
            f" execute 'alter role {role} password ''{password}'''; end if; end $$;\n"
            for role, password in passwords.items()
        )
        words = [*sandbox.server_words(rootfs, self.data, None), "postgres", "--single"]
        words += ["-D", "/data", "-c", "shared_preload_libraries=", "-c", "logging_collector=off"]
        done = _run([*words, "postgres"], stdin=statements)
        if done.returncode:
            raise TaLabError(f"new passwords cannot be set: {_last(done.stderr)}")

    def postmaster(self) -> Postmaster | None:
        """Return the living server on this data directory, None when there is none."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            pid, port = int(lines[0]), int(lines[3])
            # A pid that has been given to another process since does not work in our folder.
            if not Path(f"/proc/{pid}/cwd").samefile(self.data):
                return None
        except (OSError, ValueError, IndexError):
            return None
        return Postmaster(pid, port, ready=len(lines) > 7 and lines[7].strip() == "ready")

    def answers(self) -> bool:
        """Say whether the server accepts connections."""
        found = self.postmaster()
        if found is None or not found.ready:
            return False
        try:
            socket.create_connection(("127.0.0.1", found.port), timeout=3).close()
        except OSError:
            return False
        return True

    def wait(self) -> bool:
        """Wait while a server that somebody else started gets ready; say whether it answers."""
        until = time.monotonic() + _START_SECONDS
        while self.postmaster() and time.monotonic() < until:
            if self.answers():
                return True
            time.sleep(0.2)
        return False

    def remove(self) -> None:
        """Remove the data and the socket folder; the server must be stopped."""
        for folder in (self.data, self.partial, self.sock):
            _remove(folder)

    def _configure(self, settings: Mapping[str, str]) -> None:
        """Write the settings file that ``postgresql.conf`` includes."""
        always = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "/sock",
            "password_encryption": "scram-sha-256",
            # A ring of seven files, one a weekday, each begun anew after a week.
            "logging_collector": "on",
            "log_directory": "log",
            "log_filename": "postgresql-%a.log",
            "log_truncate_on_rotation": "on",
            "log_rotation_age": "1d",
            "log_rotation_size": "0",
        }
        quoted = (
            (name, value.replace("'", "''")) for name, value in {**always, **settings}.items()
        )
        aside = self.data / "ta_lab2.conf.partial"
        aside.write_text("".join(f"{name} = '{value}'\n" for name, value in quoted))
        aside.chmod(0o644)
        aside.rename(self.data / "ta_lab2.conf")

    def _bury_postmaster(self) -> None:
        """Remove the lock files of a killed server that nobody reaps, as in many containers.

        PostgreSQL takes such a zombie for a living server. Its processes must be gone first.
        """
        file = self.data / "postmaster.pid"
        try:
            pid = file.read_text().split()[0]
            dead = psutil.Process(int(pid))
            if dead.status() != psutil.STATUS_ZOMBIE or dead.name() != "postgres":
                return
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return
        until = time.monotonic() + _STOP_SECONDS
        while self._at_work() and time.monotonic() < until:
            time.sleep(0.2)
        if self._at_work():
            return
        for lock in self.sock.glob(".s.PGSQL.*.lock"):
            if lock.read_text().split()[:1] == [pid]:
                lock.unlink()
        file.unlink()

    def _at_work(self) -> list[int]:
        """Return the processes whose working directory is the data directory."""
        found = []
        for process in psutil.process_iter():
            with suppress(OSError):
                if Path(f"/proc/{process.pid}/cwd").samefile(self.data):
                    found.append(process.pid)
        return found

    def _make_socket_folder(self) -> None:
        uid, gid = _owner()
        self.sock.mkdir(mode=0o700, exist_ok=True)
        found = self.sock.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (uid, os.geteuid()):
            raise Refused(
                f"{self.sock}, the folder of the server's socket, belongs to somebody else",
                "Have it removed, or choose a shorter TA_LAB2_STATE_DIR.",
            )
        os.chown(self.sock, uid, gid)

    def _check_access(self, rootfs: Path, data: Path) -> None:
        """Refuse when the user that runs the server cannot reach what it needs."""
        prefix = machine.as_service()
        machine.require_user_namespaces(prefix)
        for path, test in ((rootfs, "-x"), (data, "-w")):
            if prefix and _run([*prefix, "test", test, str(path)]).returncode:
                raise Refused(
                    f"user {machine.SERVICE_USER}, who runs root's servers, cannot reach {path}",
                    "Choose places that others may enter with TA_LAB2_STATE_DIR and"
                    " TA_LAB2_CACHE_DIR, or `chmod o+x` the folders above.",
                )

    def _why(self, startup: Path, done: subprocess.CompletedProcess[str]) -> str:
        """Return the server's own reason for not starting."""
        logs = [startup, *sorted((self.data / "log").glob("*.log"), key=_age)]
        for log in logs:
            try:
                lines = log.read_text(errors="replace").splitlines()
            except OSError:
                continue
            for line in reversed(lines):
                if "FATAL" in line or "PANIC" in line:
                    return line.split("FATAL:")[-1].strip()
        return _last(done.stderr or done.stdout)


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def _owner() -> tuple[int, int]:
    """Return uid and gid of the user that runs the server."""
    return machine.service_account() or (os.geteuid(), os.getegid())


def _run(
    words: Sequence[str], *, stdin: str | None = None, pass_fds: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command in a session of its own: neither Ctrl-C nor a closed terminal reaches it."""
    return subprocess.run(
        words,
        input=stdin or "",
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        start_new_session=True,
        pass_fds=pass_fds,
    )


def _last(output: str) -> str:
    """Return the last line of a program's output."""
    return (output.strip().splitlines() or ["no message"])[-1]


def _remove(folder: Path) -> None:
    """Remove a folder; a killed initdb's children may write into it for a moment longer."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.25)
    shutil.rmtree(folder)
