"""What the CLI asks of a server, whichever runtime provides it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ta_lab2.db.runtime.project import Endpoint, Login, Say


class Runtime(Protocol):
    """A PostgreSQL server that can be brought up, looked at and taken away.

    The caller holds ``Project.lock`` round every method but ``endpoint`` and ``psql``.
    """

    name: str

    def up(self, say: Say) -> None:
        """Make the server if there is none and start it; return when it answers.

        Writes the project's record and service file. Safe to interrupt and to repeat.
        """

    def down(self, say: Say) -> None:
        """Stop the server cleanly; nothing is lost. A stopped server is not an error."""

    def is_up(self) -> bool:
        """Say whether the server answers."""

    def endpoint(self, login: Login, *, dbname: str | None = None) -> Endpoint:
        """Return where the server answers for a login."""

    def describe(self) -> dict[str, str]:
        """Return what ``db status`` shows besides version and extensions: places, image, pid."""

    def psql(self, endpoint: Endpoint, arguments: Sequence[str]) -> int:
        """Run the runtime's own psql and return its exit status; no password in argv."""

    def upgrade(self, say: Say) -> None:
        """Fetch the newest packages or image, and restart on them."""

    def destroy(self, say: Say) -> None:
        """Stop the server and remove its data for ever; the caller has asked."""
