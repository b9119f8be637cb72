"""The set-up for real: killed, doubled, repeated, in long paths, by root and by others."""

from __future__ import annotations

import importlib.metadata
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
SET_UP = ["-E", "-s", "-m", "ta_lab2.bootstrap", "--no-database"]
PYTHON = str(getattr(sys, "_base_executable", sys.executable))
# What the project's own editable installation needs; a whole lock takes a minute each time.
ENOUGH = (
    "editables",
    "hatchling",
    "packaging",
    "pathspec",
    "pluggy",
    "tomlkit",
    "trove-classifiers",
)


def copy_checkout(to: Path) -> Path:
    """Copy the working tree as a clone would have it, new files too."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A copy of this checkout whose path has spaces and more than 200 characters."""
    above = Path(tempfile.mkdtemp(prefix="ta-lab2 set-up "))
    above.chmod(0o755)
    yield copy_checkout(above / ("long " * 40) / "ta_lab2")
    shutil.rmtree(above)


def keep(checkout: Path, names: Collection[str]) -> None:
    """Leave the lock these packages and no others."""
    lock = checkout / "requirements.lock"
    entries = {entry.partition("==")[0]: entry for entry in re.split(r"\n(?=\w)", lock.read_text())}
    assert entries.keys() >= set(names)
    lock.write_text("\n".join(entries[name] for name in sorted(names)) + "\n")


def needed_by(distribution: str, extras: Collection[str] = ()) -> set[str]:
    """The packages without which an installed one does not work, by the names of the lock."""
    found: set[str] = set()
    for line in importlib.metadata.requires(distribution) or ():
        wanted = Requirement(line)
        if wanted.marker is None or any(
            wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        ):
            found |= {canonicalize_name(wanted.name), *needed_by(wanted.name, wanted.extras)}
    return found


@pytest.fixture
def small(checkout: Path) -> Path:
    """The same with a lock of a few small packages."""
    keep(checkout, ENOUGH)
    return checkout


def start(checkout: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PYTHON, *SET_UP],
        cwd=checkout,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def imports(checkout: Path) -> bool:
    """Return whether the environment finds the project from anywhere."""
    said = subprocess.run(
        [checkout / ".venv/bin/python", "-I", "-c", "import ta_lab2; print(ta_lab2.__file__)"],
        cwd="/",
        capture_output=True,
        text=True,
    ).stdout
    return said.strip() == str(checkout / "ta_lab2/__init__.py")


@pytest.mark.parametrize(
    "trace",
    [
        pytest.param(".venv/pyvenv.cfg", id="the venv is being made"),
        pytest.param(".venv/lib/*/site-packages/packaging/__init__.py", id="pip is installing"),
        pytest.param(".venv/lib/*/site-packages/ta_lab2-*.dist-info", id="the stamp is missing"),
    ],
)
def test_killed_at_any_moment_the_same_command_goes_on(small: Path, trace: str) -> None:
    run = start(small)
    until = time.monotonic() + 120
    while not list(small.glob(trace)):
        assert run.poll() is None, "it ended before the moment came"
        assert time.monotonic() < until, "the moment never came"
        time.sleep(0.005)
    # The program that is at work survives this: the next run must not build beside it.
    os.kill(run.pid, signal.SIGKILL)
    assert not (small / ".venv/ta-lab2.json").exists()
    again = start(small)
    said, _ = again.communicate()
    run.communicate()
    assert again.returncode == 0, said
    assert imports(small)
    assert not list(small.glob(".venv.[0-9]*")), "our own half-made .venv was taken for another's"


def test_two_at_once_make_one_environment_and_a_third_changes_nothing(small: Path) -> None:
    both = [start(small), start(small)]
    said = [run.communicate()[0] for run in both]
    assert [run.returncode for run in both] == [0, 0], said
    assert "".join(said).count("making .venv with Python") == 1
    assert "".join(said).count("another set-up is at work in this checkout") == 1
    assert imports(small)

    stamp = small / ".venv/ta-lab2.json"
    before = stamp.stat().st_mtime_ns
    third = start(small)
    assert third.communicate()[0] == ""
    assert third.returncode == 0
    assert stamp.stat().st_mtime_ns == before

    # A change of the project's own file costs the project's installation, not everything.
    with (small / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    fourth = start(small)
    assert "pyproject.toml has changed: installing the project anew" in fourth.communicate()[0]
    assert fourth.returncode == 0
    assert imports(small)


@pytest.mark.parametrize("lock", ["of the command", pytest.param("whole", marks=pytest.mark.slow)])
def test_make_setup_works_under_a_long_path_and_in_a_foreign_environment(
    checkout: Path, lock: str
) -> None:
    if lock != "whole":
        keep(checkout, {*ENOUGH, *needed_by("ta-lab2")})
    foreign = {
        "PYTHONHOME": "/nowhere",
        "PYTHONPATH": "/nowhere",
        "VIRTUAL_ENV": "/nowhere",
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_TARGET": "/nowhere",
    }
    # Without the outer make's variables: these tests run inside one.
    of_this_machine = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    made = subprocess.run(
        ["make", "setup", f"PYTHON={PYTHON}"],
        cwd=checkout,
        env={**of_this_machine, **foreign},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    said = subprocess.run(
        [checkout / ".venv/bin/python", "-m", "ta_lab2", "--version"],
        cwd="/",
        capture_output=True,
        text=True,
    ).stdout
    assert re.fullmatch(r"ta-lab2 \d+\.\d+\.\d+\n", said)
    assert not Path("/nowhere").exists()


# ---- other users

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a user")
AsUser = Callable[..., "subprocess.CompletedProcess[str]"]
# A package that nobody needs stands for those that a fresh machine lacks.
INSTALL = """
from ta_lab2.bootstrap import packages, programs
try:
    packages.install([packages.Need("/usr/share/doc/hello/copyright", "hello")])
except programs.Stop as stop:
    print(stop.what, stop.hint, sep="; ")
    raise SystemExit(stop.status)
"""


@pytest.fixture
def user() -> Iterator[str]:
    """An ordinary user for the time of a test."""
    name = f"ta-lab2-{secrets.token_hex(4)}"
    subprocess.run(["useradd", "--create-home", name], check=True, capture_output=True)
    yield name
    subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


@pytest.fixture
def as_user(small: Path, user: str) -> AsUser:
    """Runs a Python in a checkout of the user's own."""
    subprocess.run(["chown", "-R", f"{user}:", small], check=True)
    # Where packages come from may be set on this machine; the rest of root's environment not.
    source = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *words],
            cwd=small,
            env={"HOME": f"/home/{user}", "PATH": "/usr/bin:/bin", **source},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    return run


@needs_root
def test_an_ordinary_user_makes_the_environment_without_any_privilege(
    as_user: AsUser, small: Path, user: str
) -> None:
    made = as_user("/usr/bin/python3", *SET_UP)
    assert made.returncode == 0, made.stdout + made.stderr
    assert (small / ".venv/ta-lab2.json").owner() == user
    assert imports(small)


@needs_root
def test_packages_come_through_sudo_or_are_named_in_one_line(as_user: AsUser, user: str) -> None:
    assert not Path("/usr/share/doc/hello").exists(), "this test installs hello and removes it"
    refused = as_user("/usr/bin/python3", "-E", "-s", "-c", INSTALL)
    assert refused.returncode == 2, refused.stderr
    line = "apt-get install --yes --no-install-recommends hello"
    assert refused.stdout.splitlines()[-1].endswith(f"As root, run: {line}")

    allowed = Path("/etc/sudoers.d") / user
    allowed.write_text(f"{user} ALL=(ALL) NOPASSWD: ALL\n")
    try:
        done = as_user("/usr/bin/python3", "-E", "-s", "-c", INSTALL)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"running: sudo {line}" in done.stdout
        assert Path("/usr/share/doc/hello/copyright").exists()
    finally:
        allowed.unlink()
        purge = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "--yes", "purge", "hello"]
        subprocess.run(purge, check=True, capture_output=True)
