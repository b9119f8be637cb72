"""Folders for the files of servers, in memory where there is room for them.

A database is made and dropped there in a fifth of the time that it takes on a disk. What a killed
run leaves would hold its memory until the machine starts again: the next run takes it away.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from ta_lab2.db.runtime.server import GIB

MEMORY = Path("/dev/shm")
#: Several times what the servers of one worker hold at once.
ROOM = 4 * GIB


@contextmanager
def in_memory(prefix: str) -> Iterator[Path]:
    """Make a folder that others may enter, in memory if there is room, else on the disk."""
    if not _has_room():
        with on_disk(prefix) as made:
            yield made
        return
    # One after the other: what another run has just made is not yet held.
    with _locked(MEMORY, fcntl.LOCK_EX):
        _remove_abandoned(prefix)
        made = _make(prefix, MEMORY)
        held = os.open(made, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield made
    finally:
        _remove(made)
        os.close(held)


@contextmanager
def on_disk(prefix: str) -> Iterator[Path]:
    """Make a folder that others may enter among temporary files; its path is short."""
    made = _make(prefix, Path("/tmp"))
    try:
        yield made
    finally:
        _remove(made)


def stop_servers(above: Path) -> None:
    """Stop the servers whose data lies in a folder or in folders of it, by their pids."""
    for file in [*above.glob("data/postmaster.pid"), *above.glob("*/data/postmaster.pid")]:
        pid = int(file.read_text().split()[0])
        with_data = Path(f"/proc/{pid}/cwd")
        if with_data.exists() and with_data.samefile(file.parent):
            end(pid, signal.SIGQUIT)


def end(pid: int, how: signal.Signals) -> None:
    """Signal a process and wait until it has ended; who reaps it is not our business."""
    process = psutil.Process(pid)
    process.send_signal(how)
    until = time.monotonic() + 60
    with suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
            time.sleep(0.05)


def _has_room() -> bool:
    return (
        os.access(MEMORY, os.W_OK)
        and shutil.disk_usage(MEMORY).free >= ROOM
        and psutil.virtual_memory().available >= ROOM
    )


def _make(prefix: str, place: Path) -> Path:
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    made.chmod(0o755)
    return made


def _remove(folder: Path) -> None:
    stop_servers(folder)
    shutil.rmtree(folder)


def _remove_abandoned(prefix: str) -> None:
    """Stop and remove what no process holds any more; another user's is left to him."""
    for left in MEMORY.glob(f"{prefix}*"):
        with suppress(OSError), _locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
            _remove(left)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
