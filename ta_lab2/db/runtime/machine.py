"""What the embedded runtime needs of the machine; each lack is one sentence with its remedy."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ta_lab2.errors import Refused

FREE_NEEDED = 5 * 2**30
SERVICE_USER = "ta-lab2"

_PACKAGE_OF = {
    "bwrap": "bubblewrap",
    "mmdebstrap": "mmdebstrap",
    "newuidmap": "uidmap",
    "setpriv": "util-linux",
    "tar": "tar",
}
_SUBIDS = 65536
_FIRST_SUBID = 100_000


def require_programs(*programs: str) -> None:
    """Refuse when a program is missing, naming the one line that installs all that are."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if missing:
        packages = " ".join(sorted({_PACKAGE_OF[program] for program in missing}))
        raise Refused(
            f"the embedded runtime needs {', '.join(missing)}, which this machine does not have",
            f"Run `sudo apt-get install -y {packages}`, then the same command again.",
        )


def require_disk(*folders: Path) -> None:
    """Refuse when a file system that a build writes to has less than 5 GB free."""
    for folder in folders:
        there = folder
        while not there.exists():
            there = there.parent
        free = shutil.disk_usage(there).free
        if free < FREE_NEEDED:
            raise Refused(
                f"{there} has {free / 2**30:.1f} GB free; building the runtime takes"
                f" {FREE_NEEDED / 2**30:.0f} GB for a moment (0.8 GB stay)",
                "Make room there, or name another place with TA_LAB2_CACHE_DIR.",
            )


def require_subids(subuid: Path = Path("/etc/subuid"), subgid: Path = Path("/etc/subgid")) -> None:
    """Refuse when an ordinary user has no range of sub-ids, naming the line that gives one."""
    if os.geteuid() == 0:
        return
    user = pwd.getpwuid(os.geteuid()).pw_name
    ranges = {path: _id_ranges(path) for path in (subuid, subgid)}
    missing = [
        path
        for path, lines in ranges.items()
        if not any(name == user and count >= _SUBIDS for name, _, count in lines)
    ]
    if not missing:
        return
    taken = [start + count for lines in ranges.values() for _, start, count in lines]
    start = max([_FIRST_SUBID, *taken])
    line = f"{user}:{start}:{_SUBIDS}"
    raise Refused(
        f"user {user} has no range of {_SUBIDS} ids in {' and '.join(map(str, missing))},"
        " without which no Debian system can be unpacked",
        f"Run `echo {line} | sudo tee -a {' '.join(map(str, missing))}`,"
        " then the same command again.",
    )


def _id_ranges(path: Path) -> list[tuple[str, int, int]]:
    """Return the (user, first id, count) lines of /etc/subuid or /etc/subgid."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    fields = [line.split(":") for line in lines]
    return [
        (name, int(start), int(count))
        for name, start, count in (field for field in fields if len(field) == 3)
        if start.isdigit() and count.isdigit()
    ]


def require_user_namespaces(prefix: Sequence[str]) -> None:
    """Refuse when the user that runs the server may not make user namespaces."""
    tried = subprocess.run(
        [*prefix, "bwrap", "--unshare-user", "--ro-bind", "/", "/", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
    )
    if tried.returncode == 0:
        return
    said = (tried.stderr.strip().splitlines() or ["no message"])[-1]
    raise Refused(f"user namespaces are not allowed on this machine ({said})", _how_to_allow())


def _how_to_allow(proc: Path = Path("/proc/sys")) -> str:
    """Return the setting that forbids user namespaces, as the line that changes it."""
    for name, forbidding, allowing in (
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "15000"),
    ):
        try:
            value = (proc / name.replace(".", "/")).read_text().strip()
        except OSError:
            continue
        if value == forbidding:
            return f"Run `sudo sysctl -w {name}={allowing}`, then the same command again."
    return (
        "In a container, start it with `--security-opt seccomp=unconfined`;"
        " else use Docker (`ta-lab2 db up --runtime docker`) or a server of yours"
        " (TA_LAB2_DATABASE_URL)."
    )


def service_account() -> tuple[int, int] | None:
    """Return uid and gid of the user that runs root's servers, made if missing; None if not root.

    PostgreSQL refuses to run as root, and a server that runs PL/Python should not be root anyway.
    """
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        subprocess.run(
            [
                "/usr/sbin/useradd",
                "--system",
                "--user-group",
                "--home-dir",
                "/var/lib/ta-lab2",
                "--shell",
                "/usr/sbin/nologin",
                SERVICE_USER,
            ],
            check=True,
            capture_output=True,
        )
        account = pwd.getpwnam(SERVICE_USER)
    return account.pw_uid, account.pw_gid


def as_service() -> list[str]:
    """Return the words before a command that make root run it as the service user."""
    account = service_account()
    if account is None:
        return []
    uid, gid = account
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--"]
