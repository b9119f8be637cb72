"""Stand-ins for ``docker`` and ``docker-compose`` that write down how they were called."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

_WORD, _PART, _CALL = "\x1f", "\x1e", "\x1d"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a stand-in: its words, and its environment as the shell exports it."""

    words: list[str]
    environment: str

    @property
    def line(self) -> str:
        return " ".join(self.words)


@dataclass(slots=True)
class FakeDocker:
    """Commands in a folder that is the whole PATH; the last answer that fits is given."""

    folder: Path
    names: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    def install(self, *names: str) -> None:
        self.names.extend(names)
        self._write()

    def answer(self, part: str, out: str = "", err: str = "", status: int = 0) -> None:
        """Answer every call whose line contains this part."""
        self.answers.insert(
            0,
            f"*{shlex.quote(part)}*) printf %s {shlex.quote(out)};"
            f" printf %s {shlex.quote(err)} >&2; exit {status};;",
        )
        self._write()

    def has(self, *images: str) -> None:
        """Be an engine with these images and no others."""
        self.answer("image inspect", err="Error: No such image: x", status=1)
        for image in images:
            self.answer(f"image inspect --format {{{{.Id}}}} {image}", f"sha256:{image}\n")

    def calls(self, part: str = "") -> list[Call]:
        """Return the calls whose line contains this part, in order."""
        log = self.folder / "calls"
        if not log.exists():
            return []
        found = []
        for call in log.read_text().split(_CALL)[:-1]:
            words, environment = call.split(_PART)
            found.append(Call(words.split(_WORD)[:-1], environment))
        return [call for call in found if part in call.line]

    def _write(self) -> None:
        log = shlex.quote(str(self.folder / "calls"))
        for name in self.names:
            script = self.folder / name
            script.write_text(
                "#!/bin/sh\n"
                f"{{ printf '%s\\037' {name} \"$@\"; printf '\\036'; export -p; printf '\\035'; }}"
                f" >>{log}\n"
                f'case "{name} $*" in\n' + "\n".join(self.answers) + "\nesac\n"
            )
            script.chmod(0o755)
