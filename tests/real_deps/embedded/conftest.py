"""Checkouts with databases of their own, on the machine's shared root file system.

State lies in a short folder that the server's user may enter; whatever still runs
there at the end is stopped by its pid.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ta_lab2.db.runtime.project import Project
from ta_lab2.db.runtime.rootfs import RootFileSystem
from ta_lab2.settings import Settings
from tests.support import places

ROOT = Path(__file__).parents[3]


@dataclass
class Checkout:
    """One project: where its state lies and how its commands are run."""

    state: Path
    cache: Path
    project: str | None
    extra: dict[str, str] = field(default_factory=dict)
    python: tuple[str, ...] = (sys.executable,)
    cwd: Path = ROOT

    @property
    def environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TA_LAB2_", "PG"))}
        named = {"TA_LAB2_PROJECT": self.project} if self.project else {}
        return {
            **clean,
            "TA_LAB2_STATE_DIR": str(self.state),
            "TA_LAB2_CACHE_DIR": str(self.cache),
            "TA_LAB2_RUNTIME": "embedded",
            **named,
            **self.extra,
        }

    @property
    def home(self) -> Path:
        return self.state / (self.project or "")

    @property
    def words(self) -> list[str]:
        return [*self.python, "-m", "ta_lab2"]

    def run(self, *arguments: str, status: int | None = 0, **env: str) -> str:
        """Run a command without a terminal; return everything it said."""
        done = subprocess.run(
            [*self.words, *arguments],
            env={**self.environment, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.cwd,
            timeout=300,
        )
        assert status is None or done.returncode == status, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            [*self.words, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.cwd,
        )

    def sql(self, statement: str, database: str = "ta_lab2") -> str:
        """Run one statement as the superuser; return its bare output."""
        return self.run(
            "db", "psql", "--login", "admin", "--database", database, "--", "-XAtc", statement
        ).strip()

    @property
    def pid(self) -> int:
        return int((self.home / "data" / "postmaster.pid").read_text().split()[0])

    @property
    def log(self) -> str:
        return "".join(p.read_text() for p in sorted((self.home / "data" / "log").glob("*.log")))


@pytest.fixture(scope="session")
def cache() -> Path:
    """The machine's cache with a finished root file system."""
    project = Project.of(Settings(_env_file=None))
    rootfs = RootFileSystem.shipped(project.cache, os.environ.get("TA_LAB2_MIRROR"))
    with rootfs.in_use(print):
        return project.cache


@pytest.fixture
def new_state() -> Iterator[Callable[[], Path]]:
    """Makes state folders, removed at the end with their servers."""
    with ExitStack() as made:
        yield lambda: made.enter_context(places.in_memory("ta-lab2-t"))


@pytest.fixture
def checkout(new_state: Callable[[], Path], cache: Path) -> Checkout:
    """A project without a database."""
    return Checkout(new_state(), cache, f"t{secrets.token_hex(3)}")


@pytest.fixture(scope="session")
def running(cache: Path) -> Iterator[Checkout]:
    """A project whose server is up; a test that stops it starts it again."""
    with places.in_memory("ta-lab2-t") as state:
        made = Checkout(state, cache, f"t{secrets.token_hex(3)}")
        made.run("db", "up", TA_LAB2_CANARY="sings")
        yield made
