"""The tables of every slice, described for Alembic, whose ``check`` holds them to the database."""

from ta_lab2.db.tables import metadata

__all__ = ["metadata"]
