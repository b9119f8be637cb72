"""The embedded runtime's root file system: a private Debian, built once for all checkouts.

``<cache>/<sha256 of suite and packages>/<build>`` is a finished build; ``current`` points to
the one that servers start on. Everything unfinished has ``.partial`` in its name and is
removed at the next build: a build is renamed to its name at the very end.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ta_lab2 import paths
from ta_lab2.db.runtime import machine
from ta_lab2.db.runtime.project import Say
from ta_lab2.errors import Refused, TaLabError

SUITE = "trixie"
_MOUNT_POINTS = ("dev", "data", "sock")
_NO_NETWORK = re.compile(
    r"Could not resolve|Temporary failure|Could not connect|Cannot initiate the connection"
    r"|Network is unreachable|Connection (refused|timed out)|Unable to connect|Failed to fetch"
)
_STEP = re.compile(r"I: (running apt-get|downloading|extracting|installing|cleaning|creating)")


@dataclass(frozen=True, slots=True)
class RootFileSystem:
    """The builds of one list of packages."""

    cache: Path
    packages: tuple[str, ...]
    mirror: str | None = None
    # A sub-uid must be able to enter it, which it may not where a home folder is 0700.
    scratch: Path = Path("/var/tmp")  # noqa: S108 - a private folder is made inside

    @classmethod
    def shipped(cls, cache: Path, mirror: str | None) -> RootFileSystem:
        """Return the root file system with the packages that the Docker image has too."""
        listed = (paths.shipped("docker") / "postgres" / "packages.txt").read_text()
        return cls(cache, tuple(sorted(listed.split())), mirror)

    @property
    def key(self) -> str:
        return hashlib.sha256("\n".join([SUITE, *self.packages]).encode()).hexdigest()

    @property
    def folder(self) -> Path:
        return self.cache / self.key

    @property
    def current(self) -> Path | None:
        """The build that servers start on, None before the first one is finished."""
        link = self.folder / "current"
        return link.resolve() if link.is_symlink() and link.is_dir() else None

    @property
    def log(self) -> Path:
        return self.folder / "build.log"

    @property
    def tmpdir(self) -> Path:
        """mmdebstrap's scratch folder, with one name per cache, so that leftovers are found."""
        where = hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]
        return self.scratch / f"ta-lab2-build-{os.geteuid()}-{where}"

    @contextmanager
    def in_use(self, say: Say) -> Iterator[Path]:
        """Yield the current build, made if there is none; no upgrade removes it meanwhile."""
        while True:
            with self._lock(say, shared=True):
                if build := self.current:
                    yield build
                    return
            with self._lock(say) as lock:
                if self.current is None:
                    self._build(say, lock)

    def rebuild(self, say: Say) -> Path:
        """Make a new build, point ``current`` to it and return it; the old ones stay."""
        with self._lock(say) as lock:
            return self._build(say, lock)

    def remove_unused(self, say: Say) -> list[Path]:
        """Remove the builds that are neither current nor any process's root; return them."""
        with self._lock(say):
            removed = [
                build
                for build in self.folder.iterdir()
                if build.is_dir() and not build.is_symlink() and build != self.current
                if not _is_root_of_a_process(build)
            ]
            for build in removed:
                self._remove(build)
            return removed

    @contextmanager
    def _lock(self, say: Say, *, shared: bool = False) -> Iterator[IO[str]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.cache, self.folder):
            # The server's user reads it, whatever the caller's umask.
            if folder.stat().st_uid == os.geteuid():
                folder.chmod(0o755)
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        with (self.cache / f"{self.key}.lock").open("a") as file:
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another command is at work on the root file system; waiting for it")
                fcntl.flock(file, how)
            yield file

    def _build(self, say: Say, lock: IO[str]) -> Path:
        programs = ["bwrap", "mmdebstrap", "tar", "setpriv"]
        machine.require_programs(*programs, *(["newuidmap"] if os.geteuid() else []))
        machine.require_subids()
        machine.require_user_namespaces(machine.as_service())
        self._remove_leftovers()
        machine.require_disk(self.folder, self.scratch)
        name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        say(f"building the database's root file system in {self.folder} (once, about a minute)")
        tarball = self.folder / f"{name}.partial.tar"
        self.tmpdir.mkdir(mode=0o711)
        self.tmpdir.chmod(0o711)
        try:
            self._fetch(tarball, say, lock)
        finally:
            self._remove(self.tmpdir)
        partial = self.folder / f"{name}.partial"
        say("  unpacking")
        self._unpack(tarball, partial, lock)
        tarball.unlink()
        # A power cut after the rename must not leave a finished name on unwritten files.
        subprocess.run(["sync", "--file-system", str(partial)], check=True)
        build = partial.rename(self.folder / name)
        self._point_to(build)
        return build

    def _fetch(self, tarball: Path, say: Say, lock: IO[str]) -> None:
        """Let mmdebstrap install the packages into a tar file.

        Mode unshare for root too: root's default mode leaves the host's /dev/shm mounted in
        the half-built tree when it is killed, and removing that tree empties it.
        """
        words = ["mmdebstrap", "--mode=unshare", "--variant=minbase"]
        words += [f"--include={','.join(self.packages)}", SUITE, str(tarball)]
        words += [self.mirror] if self.mirror else []
        said: list[str] = []
        with (
            self.log.open("w") as log,
            subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                cwd="/",
                umask=0o022,
                env={**os.environ, "TMPDIR": str(self.tmpdir), "LC_ALL": "C.UTF-8"},
                start_new_session=True,
                # Whoever of them is left over holds our lock until it is gone.
                pass_fds=[lock.fileno()],
            ) as process,
            _dies_with_us(process.pid),
        ):
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                log.flush()
                said.append(line)
                if _STEP.match(line):
                    say("  " + line.removeprefix("I: ").strip(" .\n"))
            process.wait()
        if process.returncode == 0:
            return
        tarball.unlink(missing_ok=True)
        if _NO_NETWORK.search("".join(said)):
            raise Refused(
                "the Debian packages of the embedded runtime cannot be fetched: no network"
                " or no mirror answers",
                "Check the network, or name a mirror that answers with TA_LAB2_MIRROR;"
                f" the whole output is in {self.log}.",
            )
        last = next((line.strip() for line in reversed(said) if line.startswith("E:")), "")
        raise TaLabError(
            f"building the root file system failed with status {process.returncode}"
            + (f": {last.removeprefix('E: ')}" if last else ""),
            f"The whole output is in {self.log}; the same command tries again.",
        )

    def _unpack(self, tarball: Path, folder: Path, lock: IO[str]) -> None:
        """Unpack the tar file, without devices and without setuid bits, owned by the caller."""
        folder.mkdir()
        folder.chmod(0o755)
        unpack = ["tar", "--extract", f"--file={tarball}", f"--directory={folder}"]
        strip = ["find", str(folder), "-xdev", "-perm", "/6000", "!", "-type", "l"]
        for words in (
            [*unpack, "--exclude=./dev", "--no-same-owner", "--force-local"],
            [*strip, "-exec", "chmod", "ug-s", "{}", "+"],
        ):
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                umask=0o022,
                pass_fds=[lock.fileno()],
            )
            if done.returncode:
                raise TaLabError(
                    f"{tarball} cannot be unpacked: {done.stderr.strip()[-300:]}",
                    "The same command builds it anew.",
                )
        for name in _MOUNT_POINTS:
            (folder / name).mkdir(exist_ok=True)

    def _point_to(self, build: Path) -> None:
        aside = self.folder / "current.partial"
        aside.unlink(missing_ok=True)
        aside.symlink_to(build.name)
        aside.rename(self.folder / "current")

    def _remove_leftovers(self) -> None:
        """Remove what killed builds left, and builds that were finished but never current."""
        for path in self.folder.glob("*.partial*"):
            self._remove(path)
        if self.tmpdir.is_symlink():
            self.tmpdir.unlink()
        elif self.tmpdir.exists():
            self._remove(self.tmpdir)

    def _remove(self, path: Path) -> None:
        """Remove a tree, also one whose files belong to an ordinary user's sub-uids."""
        rm = ["rm", "-rf", "--one-file-system", "--", str(path)]
        # As root of a namespace in which the user's own and sub-uids are mapped.
        mapped = ["unshare", "--map-auto", "--map-root-user", *rm]
        for words in [mapped, rm] if os.geteuid() else [rm]:
            subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, cwd="/")
            if not path.exists():
                return
        raise TaLabError(
            f"{path}, left by a build, cannot be removed", f"Run `sudo rm -rf {path}`."
        )


@contextmanager
def _dies_with_us(group: int) -> Iterator[None]:
    """Kill a process group when the block is left early, be it by a kill -9 of ourselves.

    mmdebstrap's workers are in namespaces of their own and go on when only their parent dies.
    The watcher sees its input end as soon as we are gone.
    """
    script = 'read -r _; kill -s KILL -- "-$1"'
    with subprocess.Popen(
        ["sh", "-c", script, "sh", str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as watcher:
        try:
            yield
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            raise
        finally:
            watcher.kill()


def _is_root_of_a_process(build: Path, proc: Path = Path("/proc")) -> bool:
    """Say whether a process that we can see runs on this build."""
    # A bind mount's root is relative to its file system: only the end of it is certain.
    end = f"/{build.parent.name}/{build.name} "
    for mounts in proc.glob("[0-9]*/mountinfo"):
        try:
            text = mounts.read_text()
        except OSError:
            continue
        if end in text:
            return True
    return False
