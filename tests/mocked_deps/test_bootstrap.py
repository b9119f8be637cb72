"""The set-up's decisions, with fake programs on PATH; nothing here installs anything."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from ta_lab2.bootstrap import __main__ as bootstrap
from ta_lab2.bootstrap import environment, packages, programs
from ta_lab2.bootstrap.packages import Need
from ta_lab2.bootstrap.programs import Stop

ROOT = Path(__file__).resolve().parents[2]
TOOL = Need("no-such-tool", "tool-package")

Fake = Callable[..., Path]


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PATH holds this folder and what a shell script itself needs, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "env", "cat", "chmod"):
        (folder / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(programs, "wide_path", lambda: str(folder))
    monkeypatch.setattr(packages.time, "sleep", lambda _: None)
    monkeypatch.setattr(packages, "PATIENCE_SECONDS", 20)
    for name in ("TA_LAB2_DATABASE_URL", "TA_LAB2_RUNTIME", "TA_LAB2_TEST_DATABASE_URL", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("TA_LAB2_TEST_DOCKER", raising=False)
    return folder


@pytest.fixture
def fake(bin_folder: Path, tmp_path: Path) -> Fake:
    """Makes a program that writes its arguments to the returned file, then does as it is told."""

    def make(name: str, body: str = "exit 0") -> Path:
        calls = tmp_path / f"{name}.calls"
        program = bin_folder / name
        program.write_text(f'#!/bin/sh\necho "$*" >> "{calls}"\n{body}\n')
        program.chmod(0o755)
        return calls

    return make


@pytest.fixture
def installs(bin_folder: Path) -> str:
    """The words of a fake apt-get that really brings the tool."""
    tool = bin_folder / TOOL.name
    return (
        f'case "$*" in --simulate*) ;; *install*) echo "#!/bin/sh" > {tool}; chmod +x {tool};; esac'
    )


def as_user(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(packages.os, "geteuid", lambda: uid)


def test_without_root_and_sudo_it_stops_with_the_one_line(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt = fake("apt-get")
    as_user(monkeypatch, 1000)
    with pytest.raises(Stop) as stopped:
        packages.install([TOOL, Need("other", "another-package")])
    assert stopped.value.status == 2
    assert stopped.value.hint == (
        "As root, run: apt-get install --yes --no-install-recommends another-package tool-package"
    )
    assert not apt.exists()


def test_root_installs_exactly_what_is_missing(
    fake: Fake, installs: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    apt = fake("apt-get", installs)
    as_user(monkeypatch, 0)
    packages.install([TOOL])
    simulated, installed = apt.read_text().splitlines()
    assert simulated.startswith("--simulate")
    assert installed.startswith("install --yes --no-install-recommends tool-package")
    line = "running: apt-get install --yes --no-install-recommends tool-package"
    assert line in capsys.readouterr().out.splitlines()


def test_unknown_packages_have_their_lists_fetched_first(
    fake: Fake, installs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt = fake("apt-get", f'case "$*" in --simulate*) exit 100;; esac\n{installs}')
    as_user(monkeypatch, 0)
    packages.install([TOOL])
    assert [line.split()[0] for line in apt.read_text().splitlines()] == [
        "--simulate",
        "update",
        "install",
    ]


def test_sudo_without_a_password_is_used_without_asking(
    fake: Fake, installs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("apt-get", installs)
    sudo = fake("sudo", 'shift; exec "$@"')
    fake("true")
    as_user(monkeypatch, 1000)
    packages.install([TOOL])
    assert all(line.startswith("-n ") for line in sudo.read_text().splitlines())


def test_sudo_that_wants_a_password_is_not_tried_without_a_terminal(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("apt-get")
    sudo = fake("sudo", "exit 1")
    as_user(monkeypatch, 1000)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(Stop, match="only root"):
        packages.install([TOOL])
    assert sudo.read_text().splitlines() == ["-n true"]


def test_a_held_lock_is_waited_for_and_its_holder_named_once(
    fake: Fake,
    installs: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tries = tmp_path / "tries"
    held = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 77 (apt)"
    fake(
        "apt-get",
        f'case "$*" in install*) echo x >> {tries};'
        f' case "$(cat {tries})" in "x\nx\nx") ;; *) echo "{held}"; exit 100;; esac;; esac\n'
        f"{installs}",
    )
    as_user(monkeypatch, 0)
    packages.install([TOOL])
    said = capsys.readouterr().out
    assert said.count("another package manager (process 77 (apt)) is at work; waiting for it") == 1
    assert "Could not get lock" not in said


def test_a_lock_held_for_ever_ends_in_a_sentence(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("apt-get", 'case "$*" in install*) echo "E: Could not get lock x"; exit 100;; esac')
    as_user(monkeypatch, 0)
    monkeypatch.setattr(packages, "PATIENCE_SECONDS", -1)
    with pytest.raises(Stop, match="has held its lock"):
        packages.install([TOOL])


def test_an_interrupted_dpkg_is_finished_first(
    fake: Fake, installs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repaired = tmp_path / "repaired"
    dpkg = fake("dpkg", f"echo x > {repaired}")
    message = "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'"
    unless = f'[ -e {repaired} ] || {{ echo "{message}"; exit 100; }}'
    fake("apt-get", f'case "$*" in install*) {unless};; esac\n{installs}')
    as_user(monkeypatch, 0)
    packages.install([TOOL])
    assert dpkg.read_text() == "--configure -a\n"


def test_a_mirror_that_does_not_answer_is_named_in_one_sentence(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What apt-get really says and returns without a network and without lists.
    fake(
        "apt-get",
        """case "$1" in
        --simulate) exit 100;;
        update) echo "W: Failed to fetch http://mirror.test Temporary failure resolving"; exit 0;;
        install) echo "E: Unable to locate package tool-package"; exit 100;;
        esac""",
    )
    as_user(monkeypatch, 0)
    with pytest.raises(Stop, match="the package mirror does not answer") as stopped:
        packages.install([TOOL])
    assert stopped.value.status == 2


def test_old_lists_of_packages_are_fetched_and_the_installation_tried_again(
    fake: Fake, installs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = tmp_path / "fresh"
    apt = fake(
        "apt-get",
        f"""case "$1" in
        update) echo x > {fresh};;
        install) [ -e {fresh} ] || {{ echo "E: Failed to fetch: 404  Not Found"; exit 100; }};;
        esac
        {installs}""",
    )
    as_user(monkeypatch, 0)
    packages.install([TOOL])
    calls = [line.split()[0] for line in apt.read_text().splitlines()]
    assert calls == ["--simulate", "install", "update", "install"]


def test_a_system_without_apt_is_told_what_to_install(bin_folder: Path) -> None:
    with pytest.raises(Stop, match="no-such-tool") as stopped:
        packages.install([TOOL])
    assert "tool-package" in stopped.value.hint


def names(needs: list[Need]) -> set[str]:
    return {need.name for need in needs}


def test_the_embedded_runtime_is_prepared_only_where_it_will_be_used(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "bwrap" in names(packages.for_database(tmp_path))
    assert "bwrap" not in names(packages.for_environment())

    docker = fake("docker", "echo 20.10")
    assert "bwrap" not in names(packages.for_database(tmp_path))
    assert docker.read_text().startswith("version")
    monkeypatch.setenv("TA_LAB2_RUNTIME", "embedded")
    assert "bwrap" in names(packages.for_database(tmp_path))
    monkeypatch.setenv("TA_LAB2_RUNTIME", "")

    fake("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    assert "bwrap" in names(packages.for_database(tmp_path))
    (tmp_path / ".env").write_text("# ours\nexport TA_LAB2_DATABASE_URL='postgresql://there/x'\n")
    assert "bwrap" not in names(packages.for_database(tmp_path))


def test_tests_need_an_engine_only_when_it_is_asked_for(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TA_LAB2_DATABASE_URL", "postgresql://the/users/own")
    assert "bwrap" in names(packages.for_tests())
    assert "dockerd" not in names(packages.for_tests())
    monkeypatch.setenv("TA_LAB2_TEST_DOCKER", "1")
    assert "dockerd" in names(packages.for_tests())
    monkeypatch.setenv("TA_LAB2_TEST_DOCKER", "")
    monkeypatch.setenv("CI", "true")
    assert "dockerd" in names(packages.for_tests())
    assert "sudo" in names(packages.for_tests())
    monkeypatch.setenv("TA_LAB2_TEST_DATABASE_URL", "postgresql://a/test")
    assert "bwrap" not in names(packages.for_tests())


def test_debians_python_without_ensurepip_gets_the_package_of_its_version(fake: Fake) -> None:
    fake("apt-get")
    assert f"python3.{sys.version_info[1]}-venv" in {
        need.package for need in packages.for_environment()
    }


# ---- the environment


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


# ---- Python itself


def test_a_python_that_does_not_fit_is_a_clear_error(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 10, 13))
    monkeypatch.setattr(bootstrap.sys, "prefix", sys.base_prefix)
    assert bootstrap.main([]) == 2
    said = capsys.readouterr().err
    assert "Python 3.10.13" in said
    assert "takes Python 3.11 to 3.13" in said


def test_another_python_on_path_takes_over_when_the_first_does_not_fit(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("python3.13", "exit 127")
    fake("python3.12", "echo 3 12 True")
    became: list[list[str]] = []

    def execv(_path: str, words: list[str]) -> None:
        became.append(words)
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 14, 0))
    monkeypatch.setattr(bootstrap.sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(bootstrap.os, "execv", execv)
    monkeypatch.setattr(bootstrap.os, "chdir", lambda _: None)
    monkeypatch.setattr(bootstrap.sys, "argv", ["bootstrap", "--tests"])
    assert bootstrap.main(["--tests"]) == 130
    assert Path(became[0][0]).name == "python3.12"
    assert became[0][-1] == "--tests"


# ---- the lock and the Makefile


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
