"""The Docker engine and Compose, through the commands that their packages install."""

from __future__ import annotations

import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from ta_lab2.db.runtime.project import Say
from ta_lab2.errors import Refused, TaLabError

_QUICK_SECONDS = 5
_SECONDS = 60
_SHOWN_EVERY_SECONDS = 2.0
_SHOWN_WIDTH = 100
_STEPS = ("Step ", "#", "Successfully")
_NOISE = (
    # Said before every build by newer clients without buildx, which nothing here needs.
    "DEPRECATED: The legacy builder",
    "Install the buildx",
    "https://docs.docker.com/go/buildx",
    # docker-compose's last line, after the one that says why.
    "Encountered errors while bringing up the project",
)


class CommandFailed(TaLabError):
    """A command of Docker's ended with an error; ``output`` holds its last lines."""

    def __init__(self, name: str, output: Sequence[str]) -> None:
        self.output = tuple(output) or ("it said nothing",)
        super().__init__(f"`{name}` failed: {self.last}", "\n  ".join(self.output[:-1]))

    @property
    def last(self) -> str:
        """The last line, which says why."""
        return self.output[-1]


def run(*arguments: str, stdin: str | None = None, seconds: float = _SECONDS) -> str:
    """Run one quick docker command and return what it printed."""
    name = f"docker {arguments[0]}"
    try:
        done = subprocess.run(
            ["docker", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except FileNotFoundError:
        raise CommandFailed(name, ["there is no docker command"]) from None
    except subprocess.TimeoutExpired:
        raise CommandFailed(name, [f"no answer within {seconds:.0f} s"]) from None
    if done.returncode:
        raise CommandFailed(name, (done.stderr.strip() or done.stdout.strip()).splitlines())
    return done.stdout.strip()


def engine_answers() -> bool:
    """Say whether a Docker engine answers, within a few seconds."""
    try:
        return bool(run("version", "--format", "{{.Server.Version}}", seconds=_QUICK_SECONDS))
    except (CommandFailed, OSError):
        return False


def require_engine() -> None:
    """Refuse with what to do when no engine answers."""
    try:
        run("version", "--format", "{{.Server.Version}}", seconds=2 * _QUICK_SECONDS)
    except CommandFailed as error:
        said = " ".join(error.output)
        if "there is no docker command" in said:
            raise Refused(
                "Docker is not installed",
                "Run `apt-get install docker.io docker-compose` (Debian); or do without:"
                " `ta-lab2 db up --runtime embedded`.",
            ) from None
        if "permission denied" in said.lower():
            raise Refused(
                "this user may not talk to the Docker engine",
                "Run `sudo usermod -aG docker $USER`, then log in again.",
            ) from None
        raise Refused(
            f"no Docker engine answers: {error.last}",
            "Start it with `sudo systemctl start docker`, then the same command again.",
        ) from None


def compose_command() -> list[str]:
    """Return the words of Compose on this machine: the plugin, else Debian's docker-compose."""
    for words in (["docker", "compose"], ["docker-compose"]):
        try:
            done = subprocess.run(
                [*words, "version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
            )
        except (FileNotFoundError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return words
    raise Refused(
        "Docker Compose is not installed",
        "Run `apt-get install docker-compose` (Debian), or `docker-compose-plugin` from"
        " Docker's own packages.",
    )


def logs(container: str, *, lines: int) -> list[str]:
    """Return the last lines that a container printed."""
    done = subprocess.run(
        ["docker", "logs", "--tail", str(lines), container],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_SECONDS,
    )
    return done.stdout.strip().splitlines() or ["(nothing)"]


def machine() -> tuple[int, int]:
    """Return the bytes of memory and the cores of the machine that the engine runs on."""
    memory, cores = run("info", "--format", "{{.MemTotal}} {{.NCPU}}").split()
    return int(memory), int(cores)


def stream(
    command: Sequence[str], say: Say, *, name: str = "", env: Mapping[str, str] | None = None
) -> None:
    """Run a long command and pass on what it prints, shortened: every step, else now and then."""
    tail: deque[str] = deque(maxlen=12)
    shown_at = 0.0
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=None if env is None else dict(env),
    ) as process:
        try:
            for line in _lines(process.stdout):
                tail.append(line)
                now = time.monotonic()
                if line.startswith(_STEPS) or now - shown_at >= _SHOWN_EVERY_SECONDS:
                    shown_at = now
                    say(f"  {line[:_SHOWN_WIDTH]}")
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise CommandFailed(name or " ".join(command[:2]), list(tail))


def _lines(output: IO[str] | None) -> Iterator[str]:
    for line in output or ():
        text = line.strip()
        if text and not text.startswith(_NOISE):
            yield text
