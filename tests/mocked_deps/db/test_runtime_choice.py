"""Which runtime is chosen, switched to and adopted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ta_lab2.db import runtime
from ta_lab2.db.runtime import adoption
from ta_lab2.db.runtime.embedded import EmbeddedRuntime
from ta_lab2.db.runtime.project import Project, Record
from ta_lab2.errors import Refused
from ta_lab2.settings import Settings

FOREIGN = "postgresql://me:secret@db.example:5433/theirs"


def _settings(tmp_path: Path, **given: object) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path / "s", cache_dir=tmp_path / "c", **given)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return _settings(tmp_path, project="mine")


@pytest.fixture
def project(settings: Settings) -> Project:
    return Project.of(settings)


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether an engine answers: the last item."""
    answers = [False]
    monkeypatch.setattr(runtime, "engine_answers", lambda: answers[-1])
    return answers


def test_your_own_server_goes_before_everything(tmp_path: Path) -> None:
    settings = _settings(tmp_path, project="mine", database_url=FOREIGN)
    project = Project.of(settings)
    project.save(Record("mine", "embedded", {"embedded": 1}))
    assert runtime.choose(settings, project, "embedded").name == "yours"


def test_docker_is_chosen_where_an_engine_answers_else_embedded(
    settings: Settings, project: Project, engine: list[bool]
) -> None:
    assert runtime.choose(settings, project).name == "embedded"
    engine.append(True)
    assert runtime.choose(settings, project).name == "docker"


def test_what_is_wanted_goes_before_the_setting_and_that_before_the_engine(
    tmp_path: Path, project: Project, engine: list[bool]
) -> None:
    engine.append(True)
    settings = _settings(tmp_path, project="mine", runtime="embedded")
    assert runtime.choose(settings, project).name == "embedded"
    assert runtime.choose(settings, project, "docker").name == "docker"


def test_a_database_stays_where_it_was_made(
    settings: Settings, project: Project, engine: list[bool]
) -> None:
    project.save(Record("mine", "embedded", {"embedded": 1}))
    engine.append(True)
    assert runtime.choose(settings, project).name == "embedded"
    with pytest.raises(Refused, match="made by the embedded runtime") as refused:
        runtime.choose(settings, project, "docker")
    assert "--switch" in refused.value.hint


def test_data_without_a_record_is_the_embedded_runtimes(
    settings: Settings, project: Project, engine: list[bool]
) -> None:
    engine.append(True)
    (project.home / "data").mkdir(parents=True)
    assert runtime.choose(settings, project).name == "embedded"


def test_switching_writes_the_other_runtime_down_and_tells_where_the_data_is(
    settings: Settings, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.save(Record("mine", "embedded", {"embedded": 1}))
    monkeypatch.setattr(EmbeddedRuntime, "is_up", lambda self: True)
    stopped: list[str] = []
    monkeypatch.setattr(EmbeddedRuntime, "down", lambda self, say: stopped.append(self.name))
    said: list[str] = []
    runtime.switch(settings, runtime.choose(settings, project), "docker", said.append)
    assert stopped == ["embedded"]
    assert str(project.home / "data") in said[0]
    assert runtime.choose(settings, project).name == "docker"


def test_switching_needs_a_runtime_and_no_url(tmp_path: Path, settings: Settings) -> None:
    before = runtime.choose(settings, Project.of(settings))
    with pytest.raises(Refused, match="--switch needs a runtime"):
        runtime.switch(settings, before, None, print)
    foreign = _settings(tmp_path, database_url=FOREIGN)
    with pytest.raises(Refused, match="TA_LAB2_DATABASE_URL"):
        runtime.switch(foreign, runtime.choose(foreign, Project.of(foreign)), "embedded", print)


def _orphan(project: Project, key: str, root: str) -> None:
    replace(project, key=key).save(Record(root, "embedded", {"embedded": 15999}))


def test_the_only_orphan_is_adopted_with_its_port_and_compose_name(
    settings: Settings, project: Project
) -> None:
    _orphan(project, "aaaa", "/gone/for/good")
    adoption.adopt(settings, project, None, lambda _: None)
    record = project.record()
    assert record is not None
    assert record.root == "mine"
    assert record.ports == {"embedded": 15999}
    assert record.compose_project == "ta-lab2-aaaa"
    assert not (project.state / "aaaa").exists()


def test_of_several_orphans_one_must_be_named(settings: Settings, project: Project) -> None:
    _orphan(project, "aaaa", "/gone/one")
    _orphan(project, "bbbb", "/gone/two")
    with pytest.raises(Refused, match="several"):
        adoption.adopt(settings, project, None, lambda _: None)
    with pytest.raises(Refused, match="/gone/three is none"):
        adoption.adopt(settings, project, "/gone/three", lambda _: None)
    adoption.adopt(settings, project, "/gone/two/", lambda _: None)
    assert (project.state / "aaaa").exists()
    assert not (project.state / "bbbb").exists()


def test_a_checkout_that_is_still_there_is_no_orphan(
    settings: Settings, project: Project, tmp_path: Path
) -> None:
    _orphan(project, "aaaa", str(tmp_path))
    _orphan(project, "default", "default")
    with pytest.raises(Refused, match="no database in"):
        adoption.adopt(settings, project, None, lambda _: None)


def test_a_project_with_a_database_adopts_nothing(settings: Settings, project: Project) -> None:
    _orphan(project, "aaaa", "/gone")
    project.save(Record("mine", "docker"))
    with pytest.raises(Refused, match="has a database already"):
        adoption.adopt(settings, project, "aaaa", lambda _: None)


def test_a_take_over_that_was_interrupted_before_the_renaming_can_be_repeated(
    settings: Settings, project: Project
) -> None:
    _orphan(project, "aaaa", project.root)
    adoption.adopt(settings, project, None, lambda _: None)
    assert project.record() is not None
