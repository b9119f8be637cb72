"""The system packages that a purpose needs, and the installation of those that are missing."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ta_lab2.bootstrap import programs
from ta_lab2.bootstrap.programs import DISK_FULL, Cause, Stop, say

PATIENCE_SECONDS = 600


class Need(NamedTuple):
    """A program or file that this machine must have, and Debian's package for it."""

    name: str
    package: str

    def is_met(self) -> bool:
        """Return whether it is there."""
        if self.name.startswith("/"):
            return Path(self.name).exists()
        return shutil.which(self.name, path=programs.wide_path()) is not None


EMBEDDED = (
    Need("bwrap", "bubblewrap"),
    Need("mmdebstrap", "mmdebstrap"),
    Need("newuidmap", "uidmap"),
    Need("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
)
ENGINE = (Need("dockerd", "docker.io"), Need("docker-compose", "docker-compose"))
CERTIFICATES = Need("/etc/ssl/certs/ca-certificates.crt", "ca-certificates")

CAUSES = (
    DISK_FULL,
    Cause(
        "Temporary failure resolving|Could not resolve|Could not connect|Failed to fetch"
        "|Cannot initiate the connection|Connection timed out",
        "the package mirror does not answer",
        "Check the network and the addresses under /etc/apt, then run the same command again.",
    ),
)
LOCK_HELD = re.compile(
    "Could not get lock|Unable to (acquire|lock)|removing the lock file|locked by another process"
)


def for_environment() -> list[Need]:
    """Return what making ``.venv`` needs."""
    # Debian ships Python without it. (The folder of `os` is the standard library's.)
    ensurepip = Path(os.__file__).with_name("ensurepip")
    venv = Need(str(ensurepip), f"python3.{sys.version_info[1]}-venv")
    return [venv, CERTIFICATES] if shutil.which("apt-get") else [venv]


def for_database(root: Path) -> list[Need]:
    """Return what the environment and the database need that ``db up`` would make here."""
    runtime = setting(root, "TA_LAB2_RUNTIME")
    if setting(root, "TA_LAB2_DATABASE_URL"):
        embedded = False
    elif runtime:
        embedded = runtime == "embedded"
    else:
        embedded = not engine_answers()
    return for_environment() + list(EMBEDDED if embedded else ())


def for_tests() -> list[Need]:
    """Return what the environment and the tests need; these never use the user's database."""
    needs = for_environment()
    if not os.environ.get("TA_LAB2_TEST_DATABASE_URL"):
        needs += EMBEDDED
    on_ci = os.environ.get("CI") == "true"
    if on_ci or os.environ.get("TA_LAB2_TEST_DOCKER") == "1":
        needs += ENGINE
    if on_ci:
        needs.append(Need("sudo", "sudo"))  # one test is an ordinary user who has it
    return needs


def setting(root: Path, name: str) -> str:
    """Return a setting from the environment or ``.env``, empty when it is in neither."""
    if os.environ.get(name):
        return os.environ[name]
    with contextlib.suppress(OSError):
        for line in (root / ".env").read_text().splitlines():
            found = re.match(rf"\s*(?:export\s+)?{name}\s*=\s*(.*)", line)
            if found:
                return found[1].strip().strip("'\"")
    return ""


def engine_answers() -> bool:
    """Return whether a Docker engine answers."""
    if not shutil.which("docker"):
        return False
    try:
        asked = programs.ask(["docker", "version", "--format", "{{.Server.Version}}"], timeout=10)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def missing(needs: Sequence[Need]) -> list[Need]:
    """Return what of it this machine has not."""
    return [need for need in needs if not need.is_met()]


def install(lacking: Sequence[Need]) -> None:
    """Install Debian's packages as root or through sudo, or stop with the line that does."""
    packages = sorted({need.package for need in lacking})
    line = f"apt-get install --yes --no-install-recommends {' '.join(packages)}"
    what = f"this machine has not: {', '.join(need.name for need in lacking)}"
    if not shutil.which("apt-get"):
        raise Stop(what, f"Install them; in Debian they are in {' '.join(packages)}.")
    say(what)
    prefix = as_root(line)
    if prefix is None:
        raise Stop("packages are missing, and only root can install them", f"As root, run: {line}")
    say(" ".join(["running:", *prefix[:1], line]))

    command, fetch_lists = [*prefix, *line.split()], [*prefix, "apt-get", "update"]
    known = programs.ask(["apt-get", "--simulate", *line.split()[1:]]).returncode == 0
    fetched = "" if known else apt(fetch_lists)[1]
    status, said = apt(command)
    if status != 0 and "dpkg --configure -a" in said:
        say("an earlier installation was interrupted; finishing it first")
        apt([*prefix, "dpkg", "--configure", "-a"])
        status, said = apt([*command, "--fix-broken"])
    elif status != 0 and known:
        say("perhaps the lists of packages are old; fetching them")
        fetched = apt(fetch_lists)[1]
        status, said = apt([*command, "--fix-broken"])
    if status != 0:
        # A mirror that does not answer is only a warning to `apt-get update`.
        programs.fail("apt-get", fetched + said, CAUSES, f"Run it by hand to see more: {line}")
    if missing(lacking):
        names = ", ".join(need.name for need in missing(lacking))
        raise Stop(f"all packages are installed, and yet there is no {names}", "Look at PATH.")


def as_root(line: str) -> list[str] | None:
    """Return the words that make a command run as root, None when there are none."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    if programs.ask(["sudo", "-n", "true"]).returncode == 0:
        return ["sudo", "-n"]
    if not sys.stdin.isatty():
        return None
    say(f"sudo may ask for your password, to run: {line}")
    return ["sudo"] if subprocess.run(["sudo", "-v"]).returncode == 0 else None


def apt(command: Sequence[str]) -> tuple[int, str]:
    """Run apt-get or dpkg, waiting while another package manager is at work."""
    at = next(i for i, word in enumerate(command) if word in {"apt-get", "dpkg"})
    variables = ["LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", f"PATH={programs.wide_path()}"]
    words = [*command[:at], "env", *variables, *command[at:]]
    if command[at] == "apt-get":
        words += ["-q", "-o", "Dpkg::Use-Pty=0"]  # without a terminal: no line per percent
    give_up = time.monotonic() + PATIENCE_SECONDS
    waiting = False
    while True:
        status, said = programs.stream(words, _say_unless_locked)
        if status == 0 or not LOCK_HELD.search(said):
            return status, said
        holder = re.search(r"held by process (\d+ \(.*?\))|process with pid (\d+)", said)
        who = f" (process {holder[1] or holder[2]})" if holder else ""
        if time.monotonic() > give_up:
            raise Stop(
                f"another package manager{who} has held its lock for ten minutes",
                "Wait until it has finished or end it, then run the same command again.",
            )
        if not waiting:
            say(f"another package manager{who} is at work; waiting for it")
        waiting = True
        time.sleep(2)


def _say_unless_locked(line: str) -> None:
    """Show a line of apt's; its complaints about the lock come every two seconds."""
    if not LOCK_HELD.search(line):
        say(line)
