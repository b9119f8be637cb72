"""Runs other programs, and says in a sentence why one failed."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

# Of pip's variables those may stay that say where packages come from.
_SOURCES_OF_PIP = re.compile(
    r"PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|CERT|CLIENT_CERT|PROXY|TRUSTED_HOST"
    r"|(DEFAULT_)?TIMEOUT|RETRIES|(NO_)?CACHE_DIR|CONFIG_FILE|KEYRING_PROVIDER)"
)


class Stop(Exception):
    """The set-up can't go on: what and where, then what to do about it."""

    def __init__(self, what: str, hint: str, *, status: int = 2) -> None:
        super().__init__(what)
        self.what, self.hint, self.status = what, hint, status


class Cause(NamedTuple):
    """Words in a program's output, and what they mean for the user."""

    pattern: str
    what: str
    hint: str


DISK_FULL = Cause(
    "No space left on device|not have enough free space",
    "the disk is full",
    "Make room, then run the same command again.",
)


def say(line: str) -> None:
    """Print one line of progress."""
    print(line, flush=True)


def mute(_line: str) -> None:
    """Show nothing of a program's output."""


def ask(command: Sequence[str], timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command silently and return its status and output."""
    return subprocess.run(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def stream(
    command: Sequence[str], show: Callable[[str], object], *inherited: int
) -> tuple[int, str]:
    """Run a command, give each line of its output to ``show``, and return its status and all."""
    said = []
    with subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=inherited,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            show(line.rstrip())
    return process.returncode, "".join(said)


def fail(program: str, said: str, causes: Sequence[Cause], hint: str) -> NoReturn:
    """Stop with the cause that a program's output names, else with its own last errors."""
    for cause in causes:
        if re.search(cause.pattern, said):
            raise Stop(cause.what, cause.hint)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    is_error = [re.match(r"(E|ERROR|error|Error|dpkg)\b.*:", line) is not None for line in lines]
    first = is_error.index(True) if True in is_error else max(len(lines) - 5, 0)
    last = "\n  ".join(lines[first : first + 8]) or "it said nothing"
    raise Stop(f"{program} failed: {last}", hint, status=1)


def environment() -> dict[str, str]:
    """Return the environment without what would send Python or pip elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if _SOURCES_OF_PIP.fullmatch(name)
        or not (name.startswith(("PYTHON", "PIP_")) or name == "VIRTUAL_ENV")
    }
    # These three can stand in a configuration file of pip's too.
    return {**kept, "PIP_USER": "0", "PIP_REQUIRE_HASHES": "0", "PIP_REQUIRE_VIRTUALENV": "0"}


def wide_path() -> str:
    """Return PATH with the folders of system programs, which an ordinary user's may lack."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
