"""A project's place on this machine: its key, its record, its lock and its passwords.

Everything lies under ``<state>/<key>``; the key is eight hex digits of the checkout's
path, so that two checkouts never share a server.
"""

from __future__ import annotations

import configparser
import fcntl
import hashlib
import io
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

import platformdirs
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ta_lab2 import paths
from ta_lab2.errors import Refused
from ta_lab2.settings import Settings

Say = Callable[[str], None]
RuntimeName = Literal["docker", "embedded"]
Login = Literal["admin", "app", "reader"]

LOGINS: dict[Login, str] = {
    "admin": "postgres",
    "app": "ta_lab2_app",
    "reader": "ta_lab2_reader",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a database answers, and as whom."""

    host: str
    port: int
    user: str
    dbname: str
    password: str | None = field(repr=False, default=None)
    # What libpq is given instead, where a user's own URL says it all.
    given: str | None = field(repr=False, default=None)
    password_hint: str = ""

    def url(self, *, with_password: bool = False) -> str:
        """Return the URL, by default without the password."""
        if self.given is not None:
            return self.given if with_password else without_password(self.given)
        secret = f":{quote(self.password, safe='')}" if with_password and self.password else ""
        return (
            f"postgresql://{quote(self.user, safe='')}{secret}"
            f"@{self.host}:{self.port}/{quote(self.dbname, safe='')}"
        )

    def conninfo(self) -> str:
        """Return what psycopg connects with, password included: for no argv and no log."""
        return self.url(with_password=True)

    def service(self, name: str) -> str:
        """Return a section of a libpq service file that connects as this login."""
        values = {
            "host": self.host,
            "port": str(self.port),
            "user": self.user,
            "dbname": self.dbname,
            **({"password": self.password} if self.password else {}),
        }
        return f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in values.items())


def without_password(conninfo: str) -> str:
    """Return a URL or connection string without its password."""
    parts = conninfo_to_dict(conninfo)
    secret = parts.pop("password", None)
    return conninfo if secret is None else make_conninfo("", **parts)


@dataclass(slots=True)
class Record:
    """What is written down about a project: the runtime that made its database is sticky."""

    root: str
    runtime: RuntimeName
    ports: dict[str, int] = field(default_factory=dict)
    compose_project: str = ""
    image: str = ""
    build: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """One project's state on this machine."""

    key: str
    root: str
    state: Path
    cache: Path
    database: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the project that these settings name, else the checkout's, else ``default``."""
        root = paths.checkout()
        if settings.project:
            key, where = settings.project, settings.project
        elif root:
            key, where = hashlib.sha256(str(root).encode()).hexdigest()[:8], str(root)
        else:
            key, where = "default", "default"
        as_root = os.geteuid() == 0
        state = settings.state_dir or (
            Path("/var/lib/ta-lab2") if as_root else platformdirs.user_data_path("ta-lab2")
        )
        cache = settings.cache_dir or (
            Path("/var/cache/ta-lab2") if as_root else platformdirs.user_cache_path("ta-lab2")
        )
        return cls(key, where, state.absolute(), cache.absolute(), settings.database)

    @property
    def home(self) -> Path:
        """The folder of this project's state."""
        return self.state / self.key

    @property
    def service_file(self) -> Path:
        """libpq's service file with the three logins and their passwords, mode 0600."""
        return self.home / "pg_service.conf"

    @property
    def record_file(self) -> Path:
        return self.home / "project.json"

    @contextmanager
    def lock(self, say: Say) -> Iterator[None]:
        """Hold the project's lock: every ``db`` command does, so that two never interleave."""
        self.home.mkdir(parents=True, exist_ok=True)
        for folder in (self.state, self.home):
            # The server's user must enter them, whatever the caller's umask is.
            if folder.stat().st_uid == os.geteuid():
                folder.chmod(0o755)
        with (self.state / f"{self.key}.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another ta-lab2 command is at work on this project; waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def record(self) -> Record | None:
        """Return what is written down, None when the project has no database yet."""
        try:
            text = self.record_file.read_text()
        except FileNotFoundError:
            return None
        try:
            return Record(**json.loads(text))
        except (ValueError, TypeError):
            raise Refused(
                f"{self.record_file} is damaged",
                "Restore it; or remove it and name the runtime: `ta-lab2 db up --runtime ...`.",
            ) from None

    def save(self, record: Record) -> None:
        """Write the record down, whole or not at all."""
        write_aside(self.record_file, json.dumps(asdict(record), indent=2) + "\n", mode=0o644)

    def endpoint(self, login: Login, *, dbname: str | None = None) -> Endpoint:
        """Return where this project's server answers for a login."""
        record = self.record()
        if record is None or record.runtime not in record.ports:
            raise Refused("this project has no database yet", "Run `ta-lab2 db up`.")
        return Endpoint(
            host="127.0.0.1",
            port=record.ports[record.runtime],
            user=LOGINS[login],
            dbname=dbname or self.database,
            password=self.passwords()[login],
            password_hint=(
                f"Put the right password back into {self.service_file}; or remove that file,"
                " and `ta-lab2 db up` sets new ones."
            ),
        )

    def others(self) -> Iterator[tuple[str, Record]]:
        """Yield key and record of the machine's other projects that have one."""
        for file in sorted(self.state.glob("*/project.json")):
            key = file.parent.name
            with suppress(Refused):
                record = replace(self, key=key).record()
                if key != self.key and record is not None:
                    yield key, record

    def promised_ports(self) -> set[int]:
        """Return the ports that other projects' records remember, also of stopped servers."""
        return {port for _, record in self.others() for port in record.ports.values()}

    def forget(self, runtime: RuntimeName) -> None:
        """Take a removed runtime out of the record; with the last one goes the whole folder."""
        record = self.record()
        if record is not None:
            record.ports.pop(runtime, None)
            if record.ports:
                record.runtime = "docker" if runtime == "embedded" else "embedded"
                self.save(record)
                return
        shutil.rmtree(self.home, ignore_errors=True)

    def passwords(self) -> dict[Login, str]:
        """Return the three passwords, made at the first call and kept in the service file."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.service_file)
        try:
            return {login: parser[f"ta_lab2_{login}"]["password"] for login in LOGINS}
        except KeyError:
            made: dict[Login, str] = {login: secrets.token_urlsafe(24) for login in LOGINS}
            self.write_service_file(port=0, passwords=made)
            return made

    def passwords_are_confirmed(self) -> bool:
        """Say whether a server has accepted the passwords: not those of a new or lost file."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.service_file)
        return parser.get("ta_lab2_admin", "port", fallback="0") != "0"

    def write_service_file(self, *, port: int, passwords: dict[Login, str]) -> None:
        """Write libpq's service file, so that no password is ever in a process's arguments."""
        parser = configparser.ConfigParser(interpolation=None)
        for login, user in LOGINS.items():
            parser[f"ta_lab2_{login}"] = {
                "host": "127.0.0.1",
                "port": str(port),
                "user": user,
                "password": passwords[login],
                "dbname": self.database,
            }
        text = io.StringIO()
        parser.write(text, space_around_delimiters=False)
        write_aside(self.service_file, text.getvalue(), mode=0o600)


def write_aside(path: Path, text: str, *, mode: int) -> None:
    """Write a file beside its place and rename it there: it is never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w") as file:
        os.fchmod(fd, mode)
        file.write(text)
        file.flush()
        os.fsync(fd)
    aside.rename(path)
