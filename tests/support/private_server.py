"""A PostgreSQL of a test's own, which may be broken in every way and mended by printed lines."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import socket
import subprocess
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from ta_lab2.db.doctor import Mend
from ta_lab2.db.doctor.finding import STARTER, SYSTEM
from ta_lab2.db.runtime.machine import SERVICE_USER

PASSWORD = "a password of no account"
EXTENSIONS = "usr/share/postgresql/17/extension"
PYTHON_PACKAGES = "usr/lib/python3/dist-packages"
PLPYTHON = "usr/lib/postgresql/17/lib/plpython3.so"


class PrivateServer:
    """A server in bubblewrap whose extensions and Python packages can be taken away.

    Both folders are replaced by folders of links into the real ones, so that removing a link
    uninstalls something, and ``apt-get`` is a program that puts back what the named package has.
    """

    def __init__(self, rootfs: Path, home: Path) -> None:
        self.rootfs = rootfs
        # One that the server's user may enter.
        self.home = home
        self.port = _free_port()
        # Whether the test before left it whole; spares the next one a look.
        self.is_whole = False
        # Shell lines before the server starts: its environment.
        self.before: list[str] = ["PATH=/usr/lib/postgresql/17/bin:/usr/bin:/bin", "LANG=C.UTF-8"]
        for name in ("data", "sock"):
            (self.home / name).mkdir(mode=0o700)
            if os.geteuid() == 0:
                shutil.chown(self.home / name, SERVICE_USER, SERVICE_USER)
        for name in (EXTENSIONS, PYTHON_PACKAGES):
            folder = self.home / name
            folder.mkdir(parents=True)
            for entry in (rootfs / name).iterdir():
                (folder / entry.name).symlink_to(f"/run/real/{name}/{entry.name}")
        (self.home / PLPYTHON).parent.mkdir(parents=True)
        shutil.copy(rootfs / PLPYTHON, self.home / PLPYTHON)
        self._write_apt_get()

    def initialise(self) -> None:
        """Make the data directory, with settings that ta_lab2 would not choose, and start."""
        (self.home / "password").write_text(PASSWORD)
        self.inside(
            *("initdb", "--pgdata=/data", "--username=postgres", "--pwfile=/run/password"),
            *("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--no-sync"),
            "--auth=scram-sha-256",
        )
        self.configure(
            "listen_addresses = '127.0.0.1'",
            f"port = {self.port}",
            "unix_socket_directories = '/sock'",
            "fsync = off",
            "shared_buffers = '64MB'",
            "timezone = 'Europe/Berlin'",
            "jit = on",
            "max_worker_processes = 8",
            "cron.use_background_workers = off",
        )
        self.start()

    def end(self) -> None:
        """Stop the server if it runs."""
        if (self.home / "data" / "postmaster.pid").exists():
            self.stop()

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the URL of a database, with the password that every test login has."""
        secret = PASSWORD.replace(" ", "%20")
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def connect(
        self, database: str = "postgres", user: str = "postgres"
    ) -> psycopg.Connection[Any]:
        """Return a new connection that commits each statement."""
        return psycopg.connect(self.url(database, user), autocommit=True)

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Execute statements, each in a transaction of its own."""
        with self.connect(database) as conn:
            for statement in statements:
                conn.execute(statement)  # type: ignore[arg-type]

    def configure(self, *lines: str) -> None:
        """Add lines to postgresql.conf."""
        with (self.home / "data" / "postgresql.conf").open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.inside("pg_ctl", "--pgdata=/data", "--log=/data/log", "--silent", "-w", "start")

    def stop(self) -> None:
        """Stop the server cleanly."""
        self.inside("pg_ctl", "--pgdata=/data", "--silent", "-m", "fast", "-w", "stop")

    def restart(self) -> None:
        """Stop and start the server."""
        self.stop()
        self.start()

    def execute(self, mend: Mend, database: str) -> None:
        """Do what a finding's line says, where it says, and what it needs besides."""
        if mend.needs == "stopped":
            self.stop()
        if mend.kind == "sql":
            self.run(mend.line, database=database)
        elif mend.kind == "conf":
            self.configure(mend.line)
        elif mend.kind == "environment" or mend.who.startswith(STARTER):
            self.before.append(mend.line)
        elif mend.who.startswith(SYSTEM):
            path = f"{self.home / 'bin'}:{os.environ['PATH']}"
            subprocess.run(["sh", "-c", mend.line], check=True, env={"PATH": path})
        else:
            self.inside("sh", "-c", mend.line)
        if mend.needs == "reload":
            self.run("select pg_reload_conf()")
        elif mend.needs == "restart":
            self.restart()
        elif mend.needs == "stopped":
            self.start()

    def uninstall(self, name: str) -> None:
        """Take away an extension's or a Python package's file."""
        (self.home / name).unlink()

    def inside(self, *program: str) -> None:
        """Run a program in the sandbox, as the server's user and in its environment."""
        script = "\n".join(["set -a", *self.before, f"exec {shlex.join(self._words(program))}"])
        # A file, not a pipe: the server would hold the pipe open after pg_ctl has gone.
        with (self.home / "out").open("w") as out:
            done = subprocess.run(
                ["/bin/sh", "-c", script],
                env={},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        log = self.home / "data" / "log"
        said = (self.home / "out").read_text() + (log.read_text()[-2000:] if log.exists() else "")
        assert done.returncode == 0, said

    def _words(self, program: Sequence[str]) -> list[str]:
        postgres = next(
            line.split(":")
            for line in (self.rootfs / "etc/passwd").read_text().splitlines()
            if line.startswith("postgres:")
        )
        words: list[str] = []
        if os.geteuid() == 0:
            who = pwd.getpwnam(SERVICE_USER)
            words = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]
        words += ["bwrap", "--unshare-user", "--uid", postgres[2], "--gid", postgres[3]]
        words += ["--ro-bind", str(self.rootfs), "/", "--chdir", "/"]
        for name in ("data", "sock"):
            words += ["--bind", str(self.home / name), f"/{name}"]
        words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"]
        for name in (EXTENSIONS, PYTHON_PACKAGES):
            words += ["--ro-bind", str(self.rootfs / name), f"/run/real/{name}"]
            words += ["--ro-bind", str(self.home / name), f"/{name}"]
        words += ["--ro-bind", str(self.home / PLPYTHON), f"/{PLPYTHON}"]
        words += ["--ro-bind", str(self.home / "password"), "/run/password"]
        return [*words, *program]

    def _write_apt_get(self) -> None:
        """Write an ``apt-get`` that puts back the files which a real package has."""
        (self.home / "bin").mkdir()
        program = self.home / "bin" / "apt-get"
        program.write_text(
            textwrap.dedent(
                f"""\
                #!/bin/sh
                [ "$1" = install ] || exit 100
                shift
                for package in "$@"; do
                    case $package in -*) continue ;; esac
                    list=$(ls {self.rootfs}/var/lib/dpkg/info/"$package".list \\
                              {self.rootfs}/var/lib/dpkg/info/"$package":*.list 2>/dev/null)
                    [ "$list" ] || {{ echo "Unable to locate package $package"; exit 100; }}
                    grep -hE '^/({EXTENSIONS}|{PYTHON_PACKAGES})/[^/]+$' $list | while read -r path
                    do
                        rm -rf "{self.home}$path"
                        ln -s "/run/real$path" "{self.home}$path"
                    done
                    if grep -q '^/{PLPYTHON}$' $list; then
                        cat "{self.rootfs}/{PLPYTHON}" > "{self.home}/{PLPYTHON}"
                    fi
                done
                """
            )
        )
        program.chmod(0o755)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
