"""The set-up's .venv: when it is ready, when it is made anew, and what stops it."""

from __future__ import annotations

import errno
import fcntl
import json
import re
import sys
from pathlib import Path

import pytest

from ta_lab2.bootstrap import __main__ as bootstrap
from ta_lab2.bootstrap import environment, programs
from ta_lab2.bootstrap.programs import Stop


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout's two files, and no .venv."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "requirements.lock").write_text("a==1\n    # via b\nb==2\n")
    (root / "pyproject.toml").write_text("[project]\n")
    return root


def build(root: Path) -> None:
    """Put in place what a finished set-up leaves."""
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/python").symlink_to(sys.executable)
    (root / ".venv" / environment.MARK).touch()
    stamp = json.dumps(environment.wanted_stamp(root))
    (root / ".venv" / environment.STAMP).write_text(stamp)


def test_an_environment_is_ready_until_what_it_was_made_from_changes(checkout: Path) -> None:
    assert not environment.is_ready(checkout)
    build(checkout)
    assert environment.is_ready(checkout)
    for name in ("requirements.lock", "pyproject.toml"):
        before = (checkout / name).read_text()
        (checkout / name).write_text(before + "# changed\n")
        assert not environment.is_ready(checkout)
        (checkout / name).write_text(before)
    (checkout / ".venv/bin/python").unlink()
    assert not environment.is_ready(checkout)


def test_an_environment_of_a_moved_checkout_or_another_python_is_not_ready(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(checkout)
    moved = checkout.rename(checkout.with_name("moved"))
    assert not environment.is_ready(moved)
    back = moved.rename(checkout)
    monkeypatch.setattr(environment.sys, "version_info", (3, 12, 9))
    assert not environment.is_ready(back)


def test_a_damaged_stamp_is_no_stamp(checkout: Path) -> None:
    build(checkout)
    for text in ("", "[]", '{"half'):
        (checkout / ".venv" / environment.STAMP).write_text(text)
        assert not environment.is_ready(checkout)


def test_somebody_elses_environment_is_moved_aside_and_not_lost(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for times in (1, 2):
        (checkout / ".venv").mkdir()
        (checkout / ".venv/precious").write_text(str(times))
        environment.clear(checkout)
        assert (checkout / f".venv.{times}/precious").read_text() == str(times)
        assert f"it is .venv.{times} now" in capsys.readouterr().out
        (checkout / ".venv" / environment.MARK).unlink()
        (checkout / ".venv").rmdir()


def test_a_half_made_environment_of_ours_is_emptied_stamp_first(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(checkout)
    (checkout / ".venv/lib").mkdir()

    def interrupted(_folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(environment.shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            environment.clear(checkout)
    assert not environment.is_ready(checkout)
    environment.clear(checkout)
    assert [entry.name for entry in (checkout / ".venv").iterdir()] == [environment.MARK]
    assert not list(checkout.glob(".venv.*"))


def test_too_little_disk_stops_before_anything_is_made(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = environment.shutil.disk_usage(checkout)._replace(free=2**30)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(Stop, match=r"has 1\.0 GB of free disk; the set-up takes 2 GB"):
        bootstrap.prepare(checkout, [])
    assert not (checkout / ".venv").exists()


def test_a_checkout_that_cannot_be_written_to_is_named(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.os, "access", lambda *_: False)
    with pytest.raises(Stop, match=f"{checkout} can't be written to"):
        bootstrap.prepare(checkout, [])


def test_a_file_system_without_symbolic_links_is_named(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(environment.Path, "symlink_to", refused)
    with pytest.raises(Stop, match="has no symbolic links"):
        environment.make(checkout, 0)


def test_a_ready_environment_is_left_alone(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(checkout)
    bootstrap.prepare(checkout, [])
    assert capsys.readouterr().out == ""
    assert not (checkout / ".venv.lock").exists()


def test_a_second_set_up_waits_for_the_first(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def flock(_file: object, operation: int) -> None:
        asked.append(operation)
        if operation & fcntl.LOCK_NB:
            raise BlockingIOError

    monkeypatch.setattr(environment.fcntl, "flock", flock)
    with environment.only_one(checkout):
        assert asked == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_EX]
    assert "another set-up is at work in this checkout" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("ERROR: No matching distribution found (from versions: none)", "index does not answer"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "is not the one that requirements.lock"),
        ("ERROR: [Errno 28] No space left on device", "the disk is full"),
        ("SSLError(SSLCertVerificationError(CERTIFICATE_VERIFY_FAILED))", "is not trusted"),
        ("noise\nERROR: what nobody foresaw", "pip failed: ERROR: what nobody foresaw"),
    ],
)
def test_a_failure_of_pip_is_one_sentence(said: str, sentence: str) -> None:
    with pytest.raises(Stop, match=re.escape(sentence)):
        programs.fail("pip", said, environment.CAUSES, "a hint")


def test_pips_lines_become_a_count(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show = environment._progress_of_pip(checkout / "requirements.lock")
    for line in (
        "Collecting a==1 (from -r requirements.lock)",
        "  Downloading a.whl",
        "Processing /at/hand/b-2-py3-none-any.whl (from -r requirements.lock)",
        "WARNING: Retrying (Retry(total=4))",
        "WARNING: Retrying (Retry(total=3))",
        "Installing collected packages: a, b",
    ):
        show(line)
    assert capsys.readouterr().out.splitlines() == [
        "fetching 1 of 2: a==1",
        "fetching 2 of 2: b-2-py3-none-any.whl",
        "the package index does not answer; trying again",
        "installing 2 packages into .venv",
    ]


def test_the_users_python_and_pip_settings_stay_out_except_for_where_packages_come_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_TARGET", "PIP_CONSTRAINT"):
        monkeypatch.setenv(name, "/elsewhere")
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.test/simple")
    clean = programs.environment()
    assert not {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_TARGET", "PIP_CONSTRAINT"} & set(
        clean
    )
    assert clean["PIP_REQUIRE_VIRTUALENV"] == "0"
    assert clean["PIP_INDEX_URL"] == "https://mirror.test/simple"
