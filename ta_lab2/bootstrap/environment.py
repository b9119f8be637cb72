"""Makes ``.venv`` from requirements.lock, whole or not at all.

It is built in its place, because a venv can't be moved, and its stamp is written last. Without
the right stamp it is made anew: an interruption costs time, never the next run.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ta_lab2.bootstrap import programs
from ta_lab2.bootstrap.programs import DISK_FULL, Cause, Stop, say

FREE_NEEDED = 2 * 2**30
STAMP = "ta-lab2.json"
MARK = "ta-lab2.ours"

CAUSES = (
    DISK_FULL,
    Cause(
        "DO NOT MATCH THE HASHES",
        "a downloaded package is not the one that requirements.lock names; none of it was run",
        "See `pip config list` for an index of your own that serves another file by that name.",
    ),
    Cause(
        "CERTIFICATE_VERIFY_FAILED|SSLError",
        "the certificate of the Python package index is not trusted on this machine",
        "Behind a proxy that opens TLS, name its certificate file with PIP_CERT.",
    ),
    Cause(
        "NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError"
        "|Connection refused|Connection aborted|IncompleteRead|from versions: none",
        "the Python package index does not answer",
        "Check the network (HTTPS_PROXY names a proxy, PIP_INDEX_URL a mirror), then run the"
        " same command again: what was fetched is kept.",
    ),
)


def require_place(root: Path) -> None:
    """Stop unless the checkout can be written to and has room."""
    if not os.access(root, os.W_OK):
        raise Stop(f"{root} can't be written to", "Clone it into a folder of your own.")
    free = shutil.disk_usage(root).free
    if free < FREE_NEEDED:
        raise Stop(
            f"{root} has {free / 2**30:.1f} GB of free disk; the set-up takes"
            f" {FREE_NEEDED / 2**30:.0f} GB",
            "Make room there, or clone the project to another disk.",
        )


def wanted_stamp(root: Path) -> dict[str, str]:
    """Return what ``.venv`` must have been made from."""
    return {
        "requirements.lock": _digest(root / "requirements.lock"),
        "pyproject.toml": _digest(root / "pyproject.toml"),
        "the version of Python": ".".join(map(str, sys.version_info[:2])),
        "the path of the checkout": str(root),
    }


def found_stamp(root: Path) -> dict[str, str]:
    """Return what ``.venv`` was made from, empty when it is not whole."""
    try:
        stamp = json.loads((root / ".venv" / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def is_ready(root: Path) -> bool:
    """Return whether ``.venv`` is whole and made from what it must be made from."""
    python = root / ".venv/bin/python"
    return found_stamp(root) == wanted_stamp(root) and os.access(python, os.X_OK)


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[int]:
    """Hold the lock of the checkout's set-up and yield its descriptor.

    The programs that write into ``.venv`` inherit it: when we are killed, the next run
    waits for what we leave behind instead of building into the same folder.
    """
    with (root / ".venv.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work in this checkout; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def make(root: Path, held: int) -> None:
    """Build ``.venv`` with every package of the lock and the project itself, editable."""
    venv, wanted, found = root / ".venv", wanted_stamp(root), found_stamp(root)
    changed = [name for name in wanted if found and found.get(name) != wanted[name]]
    if changed == ["pyproject.toml"]:
        say("pyproject.toml has changed: installing the project anew")
        (venv / STAMP).unlink()
    else:
        if changed:
            say(f"{' and '.join(changed)} changed: making .venv anew")
        clear(root)
        install_lock(root, held)
    pip = [*_pip(venv), "--no-index", "--no-deps", "--no-build-isolation", "-e", str(root)]
    status, said = programs.stream(pip, programs.mute, held)
    if status != 0:
        programs.fail("pip", said, CAUSES, "Look into pyproject.toml.")
    aside = venv / f"{STAMP}.aside"
    aside.write_text(json.dumps(wanted, indent=2) + "\n")
    aside.replace(venv / STAMP)


def clear(root: Path) -> None:
    """Leave an empty ``.venv`` that is marked as ours; somebody else's is moved aside."""
    venv = root / ".venv"
    mark = venv / MARK
    if os.path.lexists(venv) and not _is_ours(venv):
        names = (root / f".venv.{n}" for n in range(1, 1000))
        aside = next(path for path in names if not os.path.lexists(path))
        venv.rename(aside)
        say(f"the .venv that was here was not made by this command: it is {aside.name} now")
    venv.mkdir(exist_ok=True)
    mark.touch()
    (venv / STAMP).unlink(missing_ok=True)
    try:
        # The mark stays: without it a half-removed folder would look like somebody else's.
        for entry in venv.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != mark:
                entry.unlink()
    except PermissionError as error:
        raise Stop(
            f"{error.filename} can't be removed; perhaps another user made it",
            f"Run `sudo rm -r '{venv}'`, then the same command again.",
        ) from None


def install_lock(root: Path, held: int) -> None:
    """Fill the empty ``.venv`` with a Python and every package of the lock."""
    venv = root / ".venv"
    say(f"making .venv with Python {sys.version.split()[0]} ({sys.executable})")
    probe = venv / "probe"
    try:
        probe.symlink_to("bin")
    except OSError as error:
        raise Stop(
            f"the file system of {root} has no symbolic links ({error.strerror})",
            "Clone the project to a file system of Linux.",
        ) from None
    probe.unlink()
    command = [sys.executable, "-I", "-m", "venv", str(venv)]
    status, said = programs.stream(command, programs.mute, held)
    if status != 0:
        programs.fail("python3 -m venv", said, CAUSES, "Run it by hand to see more.")
    lock = root / "requirements.lock"
    pip = [*_pip(venv), "--require-hashes", "--only-binary=:all:", "-r", str(lock)]
    status, said = programs.stream(pip, _progress_of_pip(lock), held)
    if status != 0:
        programs.fail("pip", said, CAUSES, "Run the same command again.")


def _is_ours(venv: Path) -> bool:
    """Return whether we made this ``.venv``, or began to."""
    if venv.is_symlink() or not venv.is_dir():
        return False
    return (venv / MARK).exists() or not any(venv.iterdir())


def _pip(venv: Path) -> list[str]:
    """Return the words of ``pip install``, never as a script: those can't have long paths."""
    python = [str(venv / "bin/python"), "-I", "-u", "-m", "pip", "install"]
    return [*python, "--no-input", "--disable-pip-version-check", "--root-user-action=ignore"]


def _progress_of_pip(lock: Path) -> Callable[[str], None]:
    """Return what turns pip's lines into a count of packages."""
    total = len(re.findall(r"^\w", lock.read_text(), flags=re.MULTILINE))
    live = sys.stdout.isatty()
    erase = "\r\x1b[K" if live else ""
    done = 0
    warned = False

    def show(line: str) -> None:
        nonlocal total, done, warned
        if line.startswith("Ignoring "):
            total -= 1
        elif line.startswith(("Collecting ", "Processing ")):  # the second: a file at hand
            done += 1
            text = f"fetching {done} of {total}: {line.split()[1].rpartition('/')[2]}"
            if live:
                print(f"{erase}{text}", end="", flush=True)
            elif done % 10 == 1 or done == total:
                say(text)
        elif line.startswith("Installing collected packages"):
            say(f"{erase}installing {done} packages into .venv")
        elif "Retrying (" in line and not warned:
            warned = True
            say(f"{erase}the package index does not answer; trying again")

    return show


def _digest(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
