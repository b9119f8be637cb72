"""What is said of a machine that lacks something."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from ta_lab2.db.runtime import machine
from ta_lab2.errors import Refused


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the user that the code believes to run as."""
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    return pwd.getpwuid(65534).pw_name


def test_missing_programs_are_installed_by_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda name, path: None)
    with pytest.raises(Refused, match="bwrap, mmdebstrap, newuidmap") as refused:
        machine.require_programs("bwrap", "mmdebstrap", "newuidmap")
    assert "sudo apt-get install -y bubblewrap mmdebstrap uidmap`" in refused.value.hint


def test_a_range_of_sub_ids_is_asked_for_behind_those_of_others(
    ordinary: str, tmp_path: Path
) -> None:
    subuid, subgid = tmp_path / "subuid", tmp_path / "subgid"
    subuid.write_text("else:100000:65536\nmore:165536:65536\nbroken\n")
    subgid.write_text(f"{ordinary}:100000:65536\n")
    with pytest.raises(Refused, match=f"in {subuid},") as refused:
        machine.require_subids(subuid, subgid)
    assert f"echo {ordinary}:231072:65536 | sudo tee -a {subuid}`" in refused.value.hint
    subuid.write_text(f"{ordinary}:231072:65536\n")
    machine.require_subids(subuid, subgid)


def test_a_range_that_is_too_small_does_not_count(ordinary: str, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text(f"{ordinary}:100000:1000\n")
    with pytest.raises(Refused, match="65536 ids"):
        machine.require_subids(tmp_path / "ids", tmp_path / "absent")


def test_the_setting_that_forbids_user_namespaces_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Refused, match="No permissions to create new namespace") as refused:
        machine.require_user_namespaces([])
    assert refused.value.hint
    for name, value, line in (
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "apparmor_restrict_unpriv"),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
    ):
        setting = tmp_path / name
        setting.parent.mkdir(exist_ok=True)
        setting.write_text(value)
        assert line in machine._how_to_allow(tmp_path)
        setting.unlink()
    assert "seccomp=unconfined" in machine._how_to_allow(tmp_path)


def test_disk_is_measured_where_the_folder_will_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "FREE_NEEDED", 1)
    machine.require_disk(tmp_path / "not" / "yet")
    monkeypatch.setattr(machine, "FREE_NEEDED", 2**60)
    with pytest.raises(Refused, match=str(tmp_path)) as refused:
        machine.require_disk(tmp_path / "not" / "yet")
    assert "TA_LAB2_CACHE_DIR" in refused.value.hint
