"""Building the root file system, with a stand-in for mmdebstrap on PATH."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from ta_lab2.db.runtime import machine
from ta_lab2.db.runtime import rootfs as module
from ta_lab2.db.runtime.rootfs import RootFileSystem
from ta_lab2.errors import Refused, TaLabError

_TREE = """#!/bin/sh
for argument; do case "$argument" in *.tar) target=$argument ;; esac; done
echo "$@" > "$ARGUMENTS"
echo "I: downloading packages with apt..."
tree=$(mktemp -d)
mkdir -p "$tree/dev" "$tree/etc" "$tree/bin"
echo postgres:x:100:102::/: > "$tree/etc/passwd"
touch "$tree/dev/null" "$tree/bin/su"
chmod 6755 "$tree/bin/su"
tar -C "$tree" -cf "$target" .
rm -r "$tree"
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in; a test may write another script into it."""
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir()
    program.write_text(_TREE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ARGUMENTS", str(tmp_path / "arguments"))
    for check in ("require_programs", "require_subids", "require_user_namespaces"):
        monkeypatch.setattr(machine, check, lambda *_: None)
    monkeypatch.setattr(machine, "as_service", list)
    return program


@pytest.fixture
def rootfs(tmp_path: Path, fake: Path) -> RootFileSystem:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return RootFileSystem(tmp_path / "cache", ("b", "a"), scratch=scratch)


def _use(rootfs: RootFileSystem, said: list[str]) -> Path:
    with rootfs.in_use(said.append) as build:
        return build


def test_the_first_use_builds_and_the_second_finds_it(
    rootfs: RootFileSystem, said: list[str], tmp_path: Path
) -> None:
    build = _use(rootfs, said)
    assert build == rootfs.current
    assert "  downloading packages with apt" in said
    assert (
        (tmp_path / "arguments")
        .read_text()
        .startswith("--mode=unshare --variant=minbase --include=b,a trixie ")
    )
    said.clear()
    assert _use(rootfs, said) == build
    assert said == []


def test_a_build_has_its_mount_points_and_neither_devices_nor_setuid_bits(
    rootfs: RootFileSystem, said: list[str]
) -> None:
    build = _use(rootfs, said)
    assert list((build / "dev").iterdir()) == []
    assert (build / "data").is_dir()
    assert (build / "sock").is_dir()
    assert not (build / "bin" / "su").stat().st_mode & (stat.S_ISUID | stat.S_ISGID)


def test_other_packages_make_another_build_and_their_order_does_not(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    one = RootFileSystem(tmp_path, ("a", "b"))
    assert one.key != RootFileSystem(tmp_path, ("a", "c")).key
    assert len(one.key) == 64
    shipped = RootFileSystem.shipped(tmp_path, None)
    assert shipped.packages == tuple(sorted(shipped.packages))
    assert "postgresql-17" in shipped.packages


def test_leftovers_of_a_killed_build_are_removed(rootfs: RootFileSystem, said: list[str]) -> None:
    for name in ("x.partial", "tmp"):
        folder = rootfs.folder / name if name != "tmp" else rootfs.tmpdir
        (folder / "usr").mkdir(parents=True)
    (rootfs.folder / "x.partial.tar").write_text("half")
    build = _use(rootfs, said)
    assert sorted(path.name for path in rootfs.folder.iterdir()) == sorted(
        ["build.log", "current", build.name]
    )
    assert not rootfs.tmpdir.exists()


def test_a_half_built_tree_is_never_taken_for_a_build(
    rootfs: RootFileSystem, said: list[str], fake: Path
) -> None:
    (rootfs.folder / "20200101T000000Z.partial").mkdir(parents=True)
    fake.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(TaLabError, match="status 1"):
        _use(rootfs, said)
    assert rootfs.current is None


def test_no_network_is_one_sentence_that_names_the_log(
    rootfs: RootFileSystem, said: list[str], fake: Path
) -> None:
    fake.write_text("#!/bin/sh\necho 'W: Failed to fetch x Could not resolve host'\nexit 25\n")
    with pytest.raises(Refused, match="cannot be fetched: no network") as refused:
        _use(rootfs, said)
    assert str(rootfs.log) in refused.value.hint
    assert "Could not resolve" in rootfs.log.read_text()


def test_another_failure_shows_the_last_error_line(
    rootfs: RootFileSystem, said: list[str], fake: Path
) -> None:
    fake.write_text("#!/bin/sh\necho 'E: no such package'\necho 'I: removing'\nexit 25\n")
    with pytest.raises(TaLabError, match="status 25: no such package"):
        _use(rootfs, said)


def test_the_mirror_is_passed_on(
    rootfs: RootFileSystem, said: list[str], tmp_path: Path, fake: Path
) -> None:
    _use(
        RootFileSystem(rootfs.cache, ("a",), mirror="http://mirror/", scratch=rootfs.scratch), said
    )
    assert (tmp_path / "arguments").read_text().rstrip().endswith(" http://mirror/")


def test_a_full_disk_is_refused_before_anything_is_fetched(
    rootfs: RootFileSystem, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "FREE_NEEDED", 2**60)
    with pytest.raises(Refused, match="GB free"):
        _use(rootfs, said)
    assert not (tmp_path / "arguments").exists()


def test_a_rebuild_becomes_current_and_the_unused_old_one_goes(
    rootfs: RootFileSystem, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _use(rootfs, said)
    monkeypatch.setattr(module.time, "strftime", lambda *_: "20990101T000000Z")
    second = rootfs.rebuild(said.append)
    assert rootfs.current == second != first
    assert first.exists()
    assert rootfs.remove_unused(said.append) == [first]
    assert not first.exists()


def test_a_build_that_is_a_processs_root_is_in_use(tmp_path: Path) -> None:
    build = tmp_path / "key" / "20260101T000000Z"
    (tmp_path / "42").mkdir()
    mounts = tmp_path / "42" / "mountinfo"
    mounts.write_text("1 2 8:1 /var/key/20260101T000000Z / ro - ext4 /dev/sda rw\n")
    assert module._is_root_of_a_process(build, proc=tmp_path)
    mounts.write_text("1 2 8:1 /var/key/20260101T000000Z2 / ro - ext4 /dev/sda rw\n")
    assert not module._is_root_of_a_process(build, proc=tmp_path)


def test_a_build_is_killed_as_a_whole_when_it_is_left_early(
    rootfs: RootFileSystem, fake: Path, tmp_path: Path
) -> None:
    child = tmp_path / "child"
    fake.write_text(
        "#!/bin/sh\nsleep 600 &\n"
        f"echo $! > {child}\necho 'I: downloading packages with apt...'\nwait\n"
    )

    def interrupt(line: str) -> None:
        if "downloading" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), rootfs.in_use(interrupt):
        pass
    state = Path(f"/proc/{child.read_text().strip()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"
    assert subprocess.run(["true"]).returncode == 0
