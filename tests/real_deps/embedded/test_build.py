"""The root file system: killed while it is built, upgraded, built by an ordinary user."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ta_lab2.db.runtime.rootfs import RootFileSystem
from tests.real_deps.embedded.conftest import ROOT, Checkout
from tests.support import places

# Stands in for mmdebstrap: says the same, and writes a finished tar file, slowly if asked.
_FAKE = """#!/bin/sh
for argument; do case "$argument" in *.tar) target=$argument ;; esac; done
mkdir "$TMPDIR/mmdebstrap.half"
echo "I: downloading packages with apt..."
sleep "${SLOWLY-0}"
ln -s "$BUILT_TAR" "$target"
rm -r "$TMPDIR/mmdebstrap.half"
"""


#: Below /usr. PostgreSQL's compiler for queries is switched off.
UNNEEDED = (
    "lib/python3/dist-packages/scipy",
    "lib/python3/dist-packages/numpy",
    "lib/*/libLLVM*",
    "share/doc/*",
    "share/i18n/*",
    "share/locale/*",
    "share/man/*",
)
#: Settings of the server name what the last two are of.
ENOUGH = ("postgresql-17", "postgresql-17-cron", "postgresql-17-timescaledb")


@pytest.fixture(scope="module")
def prebuilt(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine's root file system as a tar file, as mmdebstrap would make it.

    Without what no server here needs, which is the greater half.
    """
    build = RootFileSystem.shipped(cache, None).current
    assert build is not None
    tar = tmp_path_factory.mktemp("prebuilt") / "rootfs.tar"
    without = [f"--exclude=./usr/{name}" for name in UNNEEDED]
    subprocess.run(["tar", *without, "-C", str(build), "-cf", str(tar), "."], check=True)
    return tar


@pytest.fixture
def builder(prebuilt: Path, tmp_path: Path) -> Iterator[Checkout]:
    """A project with a cache of its own, which is too big for memory, built by the stand-in."""
    fake = tmp_path / "bin" / "mmdebstrap"
    fake.parent.mkdir()
    fake.write_text(_FAKE)
    fake.chmod(0o755)
    env = {"PATH": f"{fake.parent}:{os.environ['PATH']}", "BUILT_TAR": str(prebuilt)}
    with places.on_disk("ta-lab2-t") as place:
        yield Checkout(place / "state", place / "cache", f"b{secrets.token_hex(3)}", env)


def _kill_when(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_killed_build_goes_on_and_an_upgrade_keeps_what_is_in_use(builder: Checkout) -> None:
    rootfs = RootFileSystem.shipped(builder.cache, None)
    builder.extra["SLOWLY"] = "600"
    _kill_when(builder.start("db", "up"), (rootfs.tmpdir / "mmdebstrap.half").exists)
    builder.extra["SLOWLY"] = "0"
    _kill_when(builder.start("db", "up"), lambda: any(rootfs.folder.glob("*.partial/usr/lib")))
    assert rootfs.current is None

    builder.run("db", "up")
    first = rootfs.current
    assert first is not None
    assert builder.sql("select 1") == "1"
    assert not list(rootfs.folder.glob("*.partial*"))
    assert not rootfs.tmpdir.exists()
    words = ["find", str(first), "-perm", "/6000", "!", "-type", "l"]
    assert subprocess.run(words, capture_output=True, text=True).stdout == ""

    other = Checkout(builder.state, builder.cache, f"{builder.project}b", builder.extra)
    other.run("db", "up")
    builder.sql("create extension timescaledb")
    before = builder.pid
    said = builder.run("db", "upgrade")
    second = rootfs.current
    assert second not in (None, first)
    assert "removed the old build" not in said
    assert builder.pid != before
    assert second.name in Path(f"/proc/{builder.pid}/mountinfo").read_text()
    assert builder.sql("select count(*) from pg_extension where extname = 'timescaledb'") == "1"

    assert other.sql("select 'on the old build'") == "on the old build"
    other.run("db", "down")
    assert rootfs.remove_unused(print) == [first]
    assert builder.sql("select 1") == "1"


@pytest.fixture
def ordinary_user() -> Iterator[str]:
    """A user with a home folder and sub-ids, made for the test and removed."""
    if os.geteuid() != 0:
        pytest.skip("only root can make an ordinary user for the test")
    name = f"talab{secrets.token_hex(3)}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
    try:
        yield name
    finally:
        places.stop_servers(Path(f"/home/{name}/state"))
        _end_all_of(name)
        subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


def _end_all_of(name: str) -> None:
    uid = pwd.getpwnam(name).pw_uid
    for process in psutil.process_iter(["uids"]):
        if process.info["uids"] and process.info["uids"].real == uid:
            process.kill()
            psutil.wait_procs([process], timeout=5)


@pytest.fixture
def ordinary(ordinary_user: str) -> Checkout:
    """An ordinary user's own copy of the checkout, and of what it imports if that is private."""
    home = Path(f"/home/{ordinary_user}")
    copy = home / "checkout"
    packages = Path(psutil.__file__).parents[1]
    python = _python_for(ordinary_user)
    for name in ("ta_lab2", "docker/postgres", "sql"):
        shutil.copytree(ROOT / name, copy / name)
    (copy / "docker" / "postgres" / "packages.txt").write_text("\n".join(ENOUGH) + "\n")
    (copy / "alembic.ini").touch()
    readable = ["runuser", "-u", ordinary_user, "--", "test", "-r", psutil.__file__]
    if subprocess.run(readable).returncode:
        big = shutil.ignore_patterns("mypy*", "numpy*", "scipy*", "matplotlib*", "ruff*", "pip*")
        packages = Path(shutil.copytree(packages, home / "packages", ignore=big))
    subprocess.run(["chown", "-R", f"{ordinary_user}:", str(home)], check=True)
    env = {"HOME": str(home), "PYTHONPATH": f"{copy}:{packages}"}
    words = ("runuser", "-u", ordinary_user, "--", python)
    return Checkout(home / "state", home / "cache", "mine", env, words, cwd=copy)


def _python_for(user: str) -> str:
    """Return an interpreter of our version that another user may execute."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (str(Path(sys.executable).resolve()), f"/usr/bin/{version}"):
        words = ["runuser", "-u", user, "--", python, "-c", ""]
        if Path(python).exists() and subprocess.run(words, capture_output=True).returncode == 0:
            return python
    pytest.skip(f"no {version} that an ordinary user may execute")


def test_an_ordinary_user_builds_and_runs_it_without_root(
    ordinary: Checkout, ordinary_user: str
) -> None:
    """The second real build of the whole run, of few packages: sub-uids are what differs."""
    subids = [Path("/etc/subuid"), Path("/etc/subgid")]
    kept = [path.read_text() for path in subids]
    for path, text in zip(subids, kept, strict=True):
        lines = [line for line in text.splitlines() if not line.startswith(f"{ordinary_user}:")]
        path.write_text("".join(f"{line}\n" for line in lines))
    said = ordinary.run("db", "up", status=2)
    assert f"user {ordinary_user} has no range of 65536 ids" in said
    line = said.split("echo ")[1].split(" |")[0]
    for path in subids:
        with path.open("a") as file:
            file.write(f"{line}\n")

    rootfs = RootFileSystem(ordinary.cache, ENOUGH)
    uid = pwd.getpwnam(ordinary_user).pw_uid
    tmpdir = rootfs.tmpdir.with_name(rootfs.tmpdir.name.replace("-build-0-", f"-build-{uid}-"))
    process = ordinary.start("db", "up")
    _kill_python(process, lambda: any(tmpdir.glob("mmdebstrap.*/var/lib/dpkg")))
    said = ordinary.run("db", "up")
    assert not tmpdir.exists(), said
    assert ordinary.sql("select current_user") == "postgres"
    assert psutil.Process(ordinary.pid).username() == ordinary_user
    said = ordinary.run("db", "upgrade", status=2, TA_LAB2_MIRROR="http://127.0.0.1:9")
    assert "no network or no mirror answers" in said
    assert f"{rootfs.log}" in said
    assert ordinary.sql("select 'still here'") == "still here"
    ordinary.run("db", "down")
    assert ordinary.log.rstrip().endswith("database system is shut down")


def _kill_python(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Kill the command itself, not the runuser before it."""
    until = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.05)
    psutil.Process(process.pid).children()[0].kill()
    process.communicate()
