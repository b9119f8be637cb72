"""The runtimes: where a project's PostgreSQL server comes from, and which one is chosen."""

from __future__ import annotations

from ta_lab2.db.runtime.docker import DockerRuntime, engine_answers
from ta_lab2.db.runtime.embedded import EmbeddedRuntime
from ta_lab2.db.runtime.interface import Runtime
from ta_lab2.db.runtime.project import Project, Record, RuntimeName, Say
from ta_lab2.db.runtime.yours import Yours
from ta_lab2.errors import Refused
from ta_lab2.settings import Settings

__all__ = ["Runtime", "Yours", "choose", "made_by", "open_runtime", "switch"]


def choose(settings: Settings, project: Project, wanted: RuntimeName | None = None) -> Runtime:
    """Return the runtime of a project: what is written down, else what is wanted, else what runs.

    ``TA_LAB2_DATABASE_URL`` goes before everything. A database never moves to another
    runtime by itself.
    """
    if settings.database_url is not None:
        return Yours(settings)
    made = made_by(project)
    if made is not None and wanted not in (None, made):
        raise Refused(
            f"this project's database was made by the {made} runtime",
            f"`ta-lab2 db up --runtime {wanted} --switch` stops it, keeps its data and makes"
            f" an empty database with {wanted}.",
        )
    name = made or wanted or settings.runtime
    if name is None:
        name = "docker" if engine_answers() else "embedded"
    return open_runtime(name, settings, project)


def made_by(project: Project) -> RuntimeName | None:
    """Return the runtime that made this project's database, None when there is none yet."""
    record = project.record()
    if record is not None:
        return record.runtime
    # Killed between the last step of making the data and writing it down.
    return "embedded" if (project.home / "data").is_dir() else None


def open_runtime(name: RuntimeName, settings: Settings, project: Project) -> Runtime:
    """Return the runtime of this name."""
    if name == "docker":
        return DockerRuntime(project, settings)
    return EmbeddedRuntime(project, settings)


def switch(settings: Settings, before: Runtime, wanted: RuntimeName | None, say: Say) -> None:
    """Stop the runtime in use and write another one down; the old one's data stays."""
    if isinstance(before, Yours):
        raise Refused(
            "TA_LAB2_DATABASE_URL decides which server is used", "Unset it to use one of ours."
        )
    if wanted is None:
        raise Refused("--switch needs a runtime", "Say `--runtime docker` or `--runtime embedded`.")
    project = Project.of(settings)
    made = made_by(project)
    if made is None or made == wanted:
        return
    if before.is_up():
        before.down(say)
    record = project.record() or Record(project.root, made)
    record.runtime = wanted
    project.save(record)
    places = ", ".join(f"{name} {place}" for name, place in before.describe().items())
    say(f"the data of the {made} runtime stays where it is: {places}")
