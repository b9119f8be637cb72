"""The lock holds what is asked for, and the Makefile says and passes on what it is given."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]

LOCKS = ("requirements.lock", "requirements-comparisons.lock")


def locked(name: str = LOCKS[0]) -> dict[str, set[Version]]:
    lock = (ROOT / name).read_text()
    versions: dict[str, set[Version]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==([^\s;]+)", lock, flags=re.MULTILINE):
        versions.setdefault(name, set()).add(Version(version))
    return versions


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_holds_what_pyproject_asks_for(name: str) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        content = tomllib.load(file)
    project = content["project"]
    groups = {
        LOCKS[0]: (project["dependencies"], *project["optional-dependencies"].values()),
        LOCKS[1]: (content["dependency-groups"]["comparisons"],),
    }[name]
    asked = [Requirement(line) for group in groups for line in group]
    unmet = [
        str(need)
        for need in asked
        if not any(version in need.specifier for version in locked(name).get(need.name.lower(), ()))
    ]
    assert not unmet, f"run `make lock`: the lock does not hold {unmet}"


def test_what_both_locks_hold_is_the_same_in_both() -> None:
    first, second = (locked(name) for name in LOCKS)
    both = first.keys() & second.keys()
    assert "numpy" in both
    assert {name: first[name] for name in both} == {name: second[name] for name in both}


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_of_the_lock_has_hashes_and_none_has_an_address(name: str) -> None:
    lock = (ROOT / name).read_text()
    entries = re.split(r"\n(?=\w)", lock.strip())
    assert len(entries) >= len(locked(name)) > 0
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in lock
    assert "--index" not in lock


def test_make_help_names_every_target_that_is_for_people() -> None:
    # Without the outer make's variables: these tests run inside one.
    said = subprocess.run(
        ["make", "help"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert phony
    shown = {line.split()[0] for line in said.splitlines()[1:]}
    assert shown == set(phony[1].split()) - {"venv"}


@pytest.mark.parametrize(
    ("data", "arguments"),
    [
        ("", []),
        ("my prices/*.csv", ["my prices/a b.csv", "my prices/c.csv"]),
        ("my prices", ["my prices"]),
        ("my prices/c[1].csv", ["my prices/c[1].csv"]),
        ("nowhere/*.csv", ["nowhere/*.csv"]),
        ("$(touch owned)", ["$(touch owned)"]),
    ],
)
def test_make_demo_passes_files_with_any_name_as_one_argument_each(
    tmp_path: Path, data: str, arguments: list[str]
) -> None:
    for name in ("a b.csv", "c.csv", "c[1].csv", "d.txt") if "[" in data else ("a b.csv", "c.csv"):
        (tmp_path / "my prices").mkdir(exist_ok=True)
        (tmp_path / "my prices" / name).touch()
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    said = subprocess.run(
        ["make", "-f", ROOT / "Makefile", "demo", f"PY={python}", "BOOTSTRAP=@true"]
        + ([f"DATA={data.replace('$', '$$')}"] if data else []),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.splitlines() == ["-m", "ta_lab2", "demo", *arguments]
    assert not (tmp_path / "owned").exists()
