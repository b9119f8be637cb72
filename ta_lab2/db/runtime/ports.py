"""The server's TCP port: which is free, and who has the one that is not."""

from __future__ import annotations

import pwd
import socket
from collections.abc import Collection
from pathlib import Path

import psutil

from ta_lab2.errors import Refused

FIRST = 15432


def is_free(port: int) -> bool:
    """Say whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        # As PostgreSQL does: closed connections that linger do not matter, listeners do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def first_free(promised: Collection[int]) -> int:
    """Return the first free port from 15432 up that no other project has been promised."""
    for port in range(FIRST, FIRST + 1000):
        if port not in promised and is_free(port):
            return port
    raise Refused(f"no port from {FIRST} to {FIRST + 999} is free", "Name one with TA_LAB2_PORT.")


def any_free() -> int:
    """Return a free port that the kernel chooses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def holder(port: int, net: Path = Path("/proc/net")) -> str:
    """Return who listens on a port: pid and command, else the user where those are hidden."""
    for connection in psutil.net_connections("tcp"):
        local = connection.laddr
        if connection.status == psutil.CONN_LISTEN and local and local.port == port:
            if connection.pid is None:
                return _owner(port, net)
            try:
                command = " ".join(psutil.Process(connection.pid).cmdline())[:120]
            except psutil.Error:
                command = "a process of another user"
            return f"process {connection.pid} ({command})"
    return "another program"


def _owner(port: int, net: Path) -> str:
    """Return the user who listens on a port, which the kernel tells even of others' processes."""
    for name in ("tcp", "tcp6"):
        try:
            lines = (net / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            listens = fields[3] == "0A"
            if listens and int(fields[1].rsplit(":", 1)[1], 16) == port:
                uid = int(fields[7])
                try:
                    return f"a process of user {pwd.getpwuid(uid).pw_name} (uid {uid})"
                except KeyError:
                    return f"a process of uid {uid}"
    return "another program"
