"""Taking over the database of a checkout that was moved or renamed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ta_lab2.db import runtime as runtimes
from ta_lab2.db.runtime.project import Project, Record, Say
from ta_lab2.errors import Refused
from ta_lab2.settings import Settings


def orphans(project: Project) -> dict[str, Record]:
    """Return the states by key whose checkout has gone, or whose take-over was interrupted."""
    return {
        key: record
        for key, record in project.others()
        if record.root == project.root
        or (record.root.startswith("/") and not Path(record.root).exists())
    }


def adopt(settings: Settings, project: Project, which: str | None, say: Say) -> None:
    """Make the state of a checkout that has gone this project's own; its server is stopped.

    The folder is renamed last: until then the same command can be repeated.
    """
    if settings.database_url is not None:
        raise Refused("a server of your own (TA_LAB2_DATABASE_URL) has nothing to adopt")
    with project.lock(say):
        if runtimes.made_by(project) is not None:
            raise Refused(
                f"this project has a database already, in {project.home}",
                "Remove it with `ta-lab2 db destroy` if the other one is to take its place.",
            )
        key, record = _chosen(project, which)
        old = replace(project, key=key, root=record.root)
        with old.lock(say):
            say(f"taking over the database of {record.root} ({key})")
            runtimes.open_runtime(record.runtime, settings, old).down(say)
            record.compose_project = record.compose_project or f"ta-lab2-{key}"
            record.root = project.root
            old.save(record)
            old.home.rename(project.home)


def _chosen(project: Project, which: str | None) -> tuple[str, Record]:
    """Return the one orphan, or the one that is named by its old path or key."""
    found = orphans(project)
    listed = ", ".join(f"{record.root} ({key})" for key, record in found.items())
    named = {
        key: record
        for key, record in found.items()
        if which is None or which == key or which.rstrip("/") == record.root
    }
    if len(named) == 1:
        return next(iter(named.items()))
    if not found:
        raise Refused(f"no database in {project.state} belongs to a checkout that has gone")
    if which is None:
        raise Refused(
            f"several databases belong to checkouts that have gone: {listed}",
            "Name one: `ta-lab2 db up --adopt <old path or key>`.",
        )
    raise Refused(f"{which} is none of the checkouts that have gone: {listed}")
