"""A server of the user's own: it is connected to, never started, stopped or emptied."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from ta_lab2.db.runtime import sandbox
from ta_lab2.db.runtime.project import Endpoint, Login, Say, without_password
from ta_lab2.errors import Refused
from ta_lab2.settings import Settings

_OLDEST_CLIENT = 17
_LOGIN_HINT = "Put the right one into TA_LAB2_DATABASE_URL, PGPASSFILE or a service."


class Yours:
    """The server that ``TA_LAB2_DATABASE_URL`` names."""

    name: str = "yours"

    def __init__(self, settings: Settings) -> None:
        if settings.database_url is None:
            raise ValueError("there is no URL of the user's own")
        self._app = settings.database_url.get_secret_value()
        self._admin = (settings.admin_url or settings.database_url).get_secret_value()

    def up(self, say: Say) -> None:
        """Say that the server answers; it is not ours to start."""
        if not self.is_up():
            self._refuse("starting")
        say(f"TA_LAB2_DATABASE_URL is set and its server answers: {without_password(self._app)}")

    def down(self, say: Say) -> NoReturn:  # noqa: ARG002 - the protocol's
        self._refuse("stopping")

    def upgrade(self, say: Say) -> NoReturn:  # noqa: ARG002 - the protocol's
        self._refuse("upgrading")

    def destroy(self, say: Say) -> NoReturn:  # noqa: ARG002 - the protocol's
        self._refuse("destroying")

    def is_up(self) -> bool:
        """Say whether the server answers, also if it refuses us."""
        return pq.PGconn.ping(self._app.encode()) in (pq.Ping.OK, pq.Ping.REJECT)

    def endpoint(self, login: Login, *, dbname: str | None = None) -> Endpoint:
        """Return the URL of the login: the one for migrations for ``admin``, else the usual one.

        What it leaves out comes from libpq's own environment, service and password files.
        """
        given = self._admin if login == "admin" else self._app
        try:
            parts = conninfo_to_dict(given)
        except psycopg.ProgrammingError as error:
            variable = "TA_LAB2_ADMIN_URL" if login == "admin" else "TA_LAB2_DATABASE_URL"
            raise Refused(
                f"{variable} is no PostgreSQL URL: {str(error).strip()}",
                "It looks like postgresql://user@host:5432/database.",
            ) from None
        if dbname is not None:
            given = psycopg.conninfo.make_conninfo(given, dbname=dbname)
            parts["dbname"] = dbname
        known = _defaults() | {name: str(value) for name, value in parts.items()}
        return Endpoint(
            host=known.get("host", "/var/run/postgresql"),
            port=int(known.get("port", "5432").split(",")[0]),
            user=known.get("user", ""),
            dbname=known.get("dbname", known.get("user", "")),
            password=known.get("password"),
            given=given,
            password_hint=_LOGIN_HINT,
        )

    def describe(self) -> dict[str, str]:
        """Return where the URL comes from."""
        return {"url from": "TA_LAB2_DATABASE_URL"}

    def psql(self, endpoint: Endpoint, arguments: Sequence[str]) -> int:
        """Run the machine's psql and return its exit status."""
        psql = shutil.which("psql")
        if psql is None:
            raise Refused(
                "this machine has no psql, and your own server comes without ours",
                "Run `sudo apt-get install -y postgresql-client`.",
            )
        said = subprocess.run([psql, "--version"], capture_output=True, text=True).stdout
        found = re.search(r"(\d+)", said)
        if found and int(found[1]) < _OLDEST_CLIENT:
            print(
                f"psql is version {found[1]}: its backslash commands may fail on a newer server",
                file=sys.stderr,
            )
        given = endpoint.given or endpoint.url()
        secret = conninfo_to_dict(given).get("password")
        environment = {**os.environ, **({"PGPASSWORD": str(secret)} if secret else {})}
        words = [psql, "--dbname", without_password(given), *arguments]
        return sandbox.in_foreground(words, env=environment)

    def _refuse(self, doing: str) -> NoReturn:
        raise Refused(
            f"{doing} {without_password(self._app)} is not ours to do: it is your own server"
            " (TA_LAB2_DATABASE_URL)",
            "Unset TA_LAB2_DATABASE_URL to use a server of ours.",
        )


def _defaults() -> dict[str, str]:
    """Return what libpq takes from its environment and from the service it names."""
    return {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.get_defaults()
        if option.val is not None
    }
