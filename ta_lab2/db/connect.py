"""Where the app's database is."""

from __future__ import annotations

from ta_lab2.db.runtime import choose
from ta_lab2.db.runtime.project import Login, Project
from ta_lab2.settings import settings


def app_conninfo(database: str | None = None, *, login: Login = "app") -> str:
    """Return the conninfo of the app's login, or of another login.

    ``database`` names another database of that server. On a server of the user's own the URL
    that they gave is every login's.
    """
    server = choose(settings(), Project.of(settings()))
    return server.endpoint(login, dbname=database).conninfo()
