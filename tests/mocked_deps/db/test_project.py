"""A project's key, record, lock and passwords."""

from __future__ import annotations

import fcntl
import json
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from ta_lab2 import paths
from ta_lab2.db.runtime.project import Endpoint, Project, Record, without_password
from ta_lab2.errors import Refused
from ta_lab2.settings import Settings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project("abcd1234", "/somewhere", tmp_path / "state", tmp_path / "cache", "ta_lab2")


def test_two_checkouts_have_two_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for root in (Path("/a"), Path("/b")):
        monkeypatch.setattr(paths, "checkout", lambda root=root: root)
        keys.add(Project.of(Settings(_env_file=None)).key)
    assert len(keys) == 2
    assert all(len(key) == 8 for key in keys)


def test_a_name_goes_before_the_checkout_and_a_wheel_has_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Project.of(Settings(_env_file=None, project="mine")).key == "mine"
    monkeypatch.setattr(paths, "checkout", lambda: None)
    assert Project.of(Settings(_env_file=None)).key == "default"


def test_a_record_comes_back_as_it_was_written(project: Project) -> None:
    assert project.record() is None
    record = Record("/somewhere", "embedded", {"embedded": 15432}, "ta-lab2-x", "image")
    project.save(record)
    assert project.record() == record


@pytest.mark.parametrize("text", ["{", "[]", '{"root": 1}', '{"root": "/", "nonsense": 1}'])
def test_a_damaged_record_is_refused_and_kept(project: Project, text: str) -> None:
    project.home.mkdir(parents=True)
    project.record_file.write_text(text)
    with pytest.raises(Refused, match="damaged"):
        project.record()
    assert project.record_file.read_text() == text


def test_passwords_are_made_once_and_kept_private(project: Project) -> None:
    made = project.passwords()
    assert len(set(made.values())) == 3
    assert project.passwords() == made
    assert stat.S_IMODE(project.service_file.stat().st_mode) == 0o600


def test_a_port_is_written_beside_the_same_passwords(project: Project) -> None:
    made = project.passwords()
    project.write_service_file(port=15444, passwords=made)
    assert project.passwords() == made
    assert "port=15444" in project.service_file.read_text()


def test_the_lock_says_that_it_waits(project: Project) -> None:
    said: list[str] = []
    with project.lock(said.append):
        assert said == []
        told = threading.Event()

        def waiter() -> None:
            def say(line: str) -> None:
                said.append(line)
                told.set()

            with project.lock(say):
                pass

        thread = threading.Thread(target=waiter)
        thread.start()
        assert told.wait(10)
    thread.join(10)
    assert "waiting" in said[0]
    with (project.state / "abcd1234.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_other_projects_promise_their_ports_and_damaged_ones_are_passed_over(
    project: Project,
) -> None:
    for key, text in (
        ("one", json.dumps({"root": "/1", "runtime": "docker", "ports": {"docker": 1500}})),
        ("two", "{"),
        (project.key, json.dumps({"root": "/", "runtime": "embedded", "ports": {"x": 1}})),
    ):
        (project.state / key).mkdir(parents=True)
        (project.state / key / "project.json").write_text(text)
    assert project.promised_ports() == {1500}


def test_forgetting_one_runtime_keeps_the_other_and_forgetting_the_last_removes_all(
    project: Project,
) -> None:
    project.save(Record("/", "docker", {"docker": 1, "embedded": 2}))
    project.forget("docker")
    record = project.record()
    assert record is not None
    assert (record.runtime, record.ports) == ("embedded", {"embedded": 2})
    project.forget("embedded")
    assert not project.home.exists()


def test_a_project_without_a_database_names_the_command(project: Project) -> None:
    with pytest.raises(Refused, match="no database yet") as refused:
        project.endpoint("app")
    assert "ta-lab2 db up" in refused.value.hint


@given(
    password=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1),
    dbname=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
)
def test_any_password_and_name_survive_the_url_and_can_be_left_out(
    password: str, dbname: str
) -> None:
    endpoint = Endpoint("127.0.0.1", 5432, "me", dbname, password)
    whole = conninfo_to_dict(endpoint.url(with_password=True))
    assert (whole["password"], whole["dbname"]) == (password, dbname)
    assert "password" not in conninfo_to_dict(endpoint.url())
    assert "password" not in conninfo_to_dict(without_password(endpoint.conninfo()))
