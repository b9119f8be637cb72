"""Where the app's database is."""

from __future__ import annotations

from ta_lab2.db.runtime import choose
from ta_lab2.db.runtime.project import Project
from ta_lab2.settings import settings


def app_conninfo(database: str | None = None) -> str:
    """Return the conninfo of the app's login; ``database`` names another one of that server."""
    server = choose(settings(), Project.of(settings()))
    return server.endpoint("app", dbname=database).conninfo()
