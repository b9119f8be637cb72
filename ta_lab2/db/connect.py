"""Where the app's database is."""

from __future__ import annotations

from psycopg.conninfo import make_conninfo

from ta_lab2.db.runtime.project import Project
from ta_lab2.settings import settings


def app_conninfo(database: str | None = None) -> str:
    """Return the conninfo of the app's login; ``database`` names another one of that server."""
    given = settings().database_url
    if given:
        url = given.get_secret_value()
        return make_conninfo(url, dbname=database) if database else url
    return Project.of(settings()).endpoint("app", dbname=database).url(with_password=True)
