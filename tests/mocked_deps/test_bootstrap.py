"""The set-up's decisions, with fake programs on PATH; nothing here installs anything."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ta_lab2.bootstrap import __main__ as bootstrap
from ta_lab2.bootstrap import packages, programs
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
