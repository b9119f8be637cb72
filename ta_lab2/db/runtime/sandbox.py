"""The bubblewrap lines: programs of the private root file system, run on this machine's files."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ta_lab2.db.runtime import machine, server
from ta_lab2.db.runtime.project import Endpoint

PATH = "/usr/lib/postgresql/17/bin:/usr/bin:/bin"
# What a client takes over from the caller's environment; everything else stays outside.
_KEPT = ("HOME", "TERM", "COLUMNS", "LINES", "PGOPTIONS", "PGTZ", "PGCLIENTENCODING", "PGAPPNAME")
# The client's root has these from Debian or made anew; the rest is the machine's own.
_NOT_THE_HOSTS = {
    *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32"),
    *("lost+found", "proc", "run", "sbin", "sys", "usr"),
}


def server_words(
    rootfs: Path, data: Path, sock: Path | None, *, dies_with_parent: bool = False
) -> list[str]:
    """Return the words before a server program.

    No pid or IPC namespace of its own: PostgreSQL's locks against a second server on the same
    data work only within one of each. The environment is empty, because PL/Python could read
    the caller's API keys. The server must outlive us, a half-made data directory must not.
    """
    uid, gid = _postgres(rootfs)
    prefix = machine.as_service()
    machine.require_programs("bwrap", *prefix[:1])
    words = [*prefix, "bwrap", "--unshare-user"]
    words += ["--uid", str(uid), "--gid", str(gid)]
    words += ["--ro-bind", str(rootfs), "/", "--bind", str(data), "/data"]
    if sock:
        words += ["--bind", str(sock), "/sock"]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"]  # noqa: S108
    words += ["--clearenv"]
    for name, value in {"PATH": PATH, "LANG": "C.UTF-8", **server.ENVIRONMENT}.items():
        words += ["--setenv", name, value]
    return [*words, "--chdir", "/data", *(["--die-with-parent"] if dies_with_parent else [])]


def run_client(rootfs: Path, program: str, endpoint: Endpoint, arguments: Sequence[str]) -> int:
    """Run a client program in the foreground and return its exit status.

    It sees the machine's files with the caller's rights, so that ``\\i``, ``\\copy`` and the
    history work; its own Debian lies beneath. The service file exists in memory only.
    """
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env |= {"PATH": PATH, "LANG": "C.UTF-8", "PAGER": "more"}
    env |= {"PGSERVICEFILE": "/run/pg_service.conf", "PGSERVICE": "ta_lab2"}
    machine.require_programs("bwrap")
    words = ["bwrap", "--ro-bind", str(rootfs / "usr"), "/usr"]
    words += ["--ro-bind", str(rootfs / "etc"), "/etc"]
    for name in ("bin", "lib", "lib64", "sbin"):
        if (rootfs / name).is_symlink():
            words += ["--symlink", str((rootfs / name).readlink()), f"/{name}"]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run"]
    for path in sorted(Path("/").iterdir()):
        if path.name not in _NOT_THE_HOSTS and path.is_dir() and not path.is_symlink():
            words += ["--bind", str(path), str(path)]
    with tempfile.TemporaryFile() as secret:
        secret.write(endpoint.service("ta_lab2").encode())
        secret.seek(0)
        words += ["--perms", "0600", "--ro-bind-data", str(secret.fileno()), "/run/pg_service.conf"]
        words += ["--clearenv"]
        for name, value in env.items():
            words += ["--setenv", name, value]
        return in_foreground([*words, program, *arguments], pass_fds=[secret.fileno()])


def in_foreground(
    words: Sequence[str], *, env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> int:
    """Run a PostgreSQL client that owns the terminal: Ctrl-C is for it alone."""
    # Neither we nor bubblewrap, which inherits this, may die of it; the clients set a
    # handler of their own, which cancels the query.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run(words, env=env, pass_fds=pass_fds).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _postgres(rootfs: Path) -> tuple[int, int]:
    """Return uid and gid of ``postgres`` inside."""
    for line in (rootfs / "etc" / "passwd").read_text().splitlines():
        name, _, uid, gid, *_ = line.split(":")
        if name == "postgres":
            return int(uid), int(gid)
    raise LookupError(f"{rootfs}/etc/passwd has no user postgres")
