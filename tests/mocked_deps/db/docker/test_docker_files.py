"""The files under docker/: that they agree with the code and with each other, and the scripts."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ta_lab2.db.runtime import server
from ta_lab2.db.runtime.docker_image import DEBIAN_BASE

DOCKER = Path(__file__).parents[4] / "docker"
POSTGRES = DOCKER / "postgres"
DOCKERFILES = [POSTGRES / "Dockerfile", POSTGRES / "Dockerfile.debian"]
COMPOSE = (DOCKER / "compose.yaml").read_text()
SCRIPTS = sorted([DOCKER / "base.sh", *POSTGRES.glob("*.sh")])

both = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)


def environment(dockerfile: Path) -> dict[str, str]:
    """Return what a Dockerfile's ENV instruction sets."""
    text = dockerfile.read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    return dict(word.split("=", 1) for word in shlex.split(line))


@both
def test_an_image_sets_numpys_switch_and_initdbs_options_as_the_code_does(
    dockerfile: Path,
) -> None:
    found = environment(dockerfile)
    assert dict(server.ENVIRONMENT).items() <= found.items()
    assert tuple(found["POSTGRES_INITDB_ARGS"].split()) == server.INITDB
    assert found["PGDATA"] == "/home/postgres/pgdata/data"


@both
def test_an_image_runs_as_postgres_stops_fast_and_has_a_health_check(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE)[-1] == "postgres"
    assert "\nSTOPSIGNAL SIGINT\n" in text
    assert "\nHEALTHCHECK " in text


@both
def test_an_image_needs_no_newer_builder(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    for feature in ("# syntax", "--mount", "--chmod", "--link", "<<"):
        assert feature not in text


@both
def test_no_image_holds_a_password(dockerfile: Path) -> None:
    assert not [name for name in environment(dockerfile) if "PASSWORD" in name]


def test_the_base_of_the_debian_image_is_the_one_that_the_script_makes() -> None:
    assert f"\nFROM {DEBIAN_BASE}\n" in (POSTGRES / "Dockerfile.debian").read_text()
    assert f"\ntag={DEBIAN_BASE}\n" in (DOCKER / "base.sh").read_text()


def test_composes_default_command_is_what_the_code_computes() -> None:
    default = re.search(r"\$\{TA_LAB2_DB_COMMAND:-(.*?)\}", COMPOSE, re.DOTALL)
    assert default is not None
    words = default[1].split()
    given = dict(word.split("=", 1) for word in words[2::2])
    expected = server.settings(memory=2 * server.GIB, cores=2, cron_database="ta_lab2")
    assert words[0] == "postgres"
    assert set(words[1::2]) == {"-c"}
    assert expected.items() <= given.items()
    assert set(given) - set(expected) == {"listen_addresses", "hba_file", "ident_file"}


def test_compose_names_no_project_listens_here_only_and_holds_no_secret() -> None:
    keys = re.findall(r"^(\w+):", COMPOSE, re.MULTILINE)
    assert keys == ["services", "volumes", "secrets"]
    (port,) = re.findall(r'^ {6}- "(.*:5432)"$', COMPOSE, re.MULTILINE)
    assert port.startswith("127.0.0.1:")
    assert re.findall(r"^ +(\w*PASSWORD\w*):", COMPOSE, re.MULTILINE) == ["POSTGRES_PASSWORD_FILE"]
    assert "container_name" not in COMPOSE


def test_only_the_containers_own_user_comes_in_without_a_password() -> None:
    lines = [
        line.split()
        for line in (POSTGRES / "pg_hba.conf").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert {line[0]: line[-1] for line in lines if line[0] != "local"} == {"host": "scram-sha-256"}
    assert {tuple(line[-2:]) for line in lines if line[0] == "local"} == {("peer", "map=container")}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_posix_shell(script: Path) -> None:
    subprocess.run(["dash", "-n", script], check=True)
    assert not re.search(r"\[\[|\bfunction\b|<<<|\$'", script.read_text())


class Machine:
    """A folder for PGDATA, and one in front of PATH for stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.pgdata = folder / "pgdata" / "data"
        self.pgdata.parent.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PGDATA": str(self.pgdata),
            "TMPDIR": str(folder),
        }

    def install(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def run(self, script: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", script, *arguments],
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=30,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def password(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text("a secret")
    return str(file)


ENTRYPOINT = POSTGRES / "entrypoint.sh"
INITDB = """
for word; do case $word in --pgdata=*) data=${word#*=};; esac; done
echo "$@" >>"$TMPDIR/calls"
mkdir "$data"; echo 17 >"$data/PG_VERSION"
"""


def test_the_first_start_makes_the_data_aside_and_becomes_the_server(
    machine: Machine, password: str, tmp_path: Path
) -> None:
    machine.install("initdb", INITDB)
    machine.install("postgres", 'cat >>"$TMPDIR/calls"; echo "server $*"')
    done = machine.run(
        *(ENTRYPOINT, "postgres", "-c", "jit=off"),
        POSTGRES_PASSWORD_FILE=password,
        POSTGRES_INITDB_ARGS="--data-checksums --encoding=UTF8",
        POSTGRES_DB='we"ird',
    )
    assert done.stdout.splitlines() == ["server -c jit=off"]
    assert (machine.pgdata / "PG_VERSION").exists()
    calls = (tmp_path / "calls").read_text()
    assert "--data-checksums --encoding=UTF8" in calls
    assert f"--pwfile={password}" in calls
    assert 'create database "we""ird"\n' in calls
    assert "a secret" not in calls


def test_a_first_start_that_fails_leaves_nothing_that_looks_whole(
    machine: Machine, password: str
) -> None:
    machine.install("initdb", INITDB + "exit 1")
    machine.install("postgres", "echo server")
    done = machine.run(
        ENTRYPOINT, "postgres", POSTGRES_PASSWORD_FILE=password, POSTGRES_INITDB_ARGS=""
    )
    assert done.returncode == 1
    assert not machine.pgdata.exists()
    machine.install("initdb", INITDB)
    done = machine.run(
        ENTRYPOINT, "postgres", POSTGRES_PASSWORD_FILE=password, POSTGRES_INITDB_ARGS=""
    )
    assert done.stdout == "server\n"


def test_a_database_that_cannot_be_made_stops_the_first_start(
    machine: Machine, password: str
) -> None:
    machine.install("initdb", INITDB)
    machine.install("postgres", "exit 1")
    done = machine.run(
        *(ENTRYPOINT, "postgres"),
        POSTGRES_PASSWORD_FILE=password,
        POSTGRES_INITDB_ARGS="",
        POSTGRES_DB="x",
    )
    assert done.returncode != 0
    assert not machine.pgdata.exists()


def test_a_directory_with_other_things_in_it_is_not_touched(machine: Machine) -> None:
    machine.pgdata.mkdir()
    (machine.pgdata / "thesis.txt").write_text("years of work")
    done = machine.run(ENTRYPOINT, "postgres")
    assert done.returncode == 1
    assert "is not a data directory" in done.stderr
    assert (machine.pgdata / "thesis.txt").read_text() == "years of work"


def test_another_command_is_just_run(machine: Machine) -> None:
    assert machine.run(ENTRYPOINT, "echo", "hello").stdout == "hello\n"


def test_a_second_server_on_the_volume_is_refused_while_the_first_runs(machine: Machine) -> None:
    one = POSTGRES / "one-server.sh"
    with subprocess.Popen(
        ["sh", one, "sh", "-c", "echo serving; read -r line"],
        env=machine.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "serving\n"
        second = machine.run(one, "echo", "twice")
        assert second.returncode == 1
        assert "another container serves the data" in second.stderr
        first.communicate("stop\n")
    assert machine.run(one, "echo", "alone").stdout == "alone\n"


FIRST_START = POSTGRES / "first-start.sh"


def test_a_first_start_that_was_cut_short_is_put_aside_and_begun_again(machine: Machine) -> None:
    mark = machine.pgdata.with_name("data.first-start")
    machine.run(FIRST_START, "sh", "-c", 'mkdir "$PGDATA"; echo 17 >"$PGDATA/PG_VERSION"; exit 9')
    assert mark.exists()
    done = machine.run(FIRST_START, "sh", "-c", '[ ! -e "$PGDATA" ] && echo anew')
    assert done.stdout == "anew\n"
    (aside,) = machine.pgdata.parent.glob("data.cut-short-*")
    assert (aside / "PG_VERSION").exists()


def test_a_whole_first_start_is_left_alone_ever_after(machine: Machine) -> None:
    whole = POSTGRES / "whole.sh"
    machine.run(
        *(FIRST_START, "sh", "-c"),
        f'mkdir "$PGDATA"; echo 17 >"$PGDATA/PG_VERSION"; . "{whole}"',
    )
    done = machine.run(FIRST_START, "sh", "-c", 'cat "$PGDATA/PG_VERSION"')
    assert done.stdout == "17\n"
    assert sorted(path.name for path in machine.pgdata.parent.iterdir()) == ["data"]


BASE = DOCKER / "base.sh"
HAS_NO_IMAGE = 'echo "$@" >>"$TMPDIR/calls"; case "$*" in image*) exit 1;; import*) cat >&2;; esac'


def calls(tmp_path: Path) -> str:
    return (tmp_path / "calls").read_text()


def test_the_base_is_imported_whole(machine: Machine, tmp_path: Path) -> None:
    machine.install("docker", HAS_NO_IMAGE)
    machine.install("mmdebstrap", "echo a tree")
    done = machine.run(BASE)
    assert done.returncode == 0
    assert "a tree" in done.stderr
    assert "import" in calls(tmp_path)
    assert f"imported {DEBIAN_BASE}" in done.stderr


@pytest.mark.parametrize("end", ["exit 1", "kill -KILL $$", "kill -KILL $PPID; exit 1"])
def test_half_a_base_is_never_imported_and_nothing_is_left_of_it(
    machine: Machine, tmp_path: Path, end: str
) -> None:
    machine.install("docker", HAS_NO_IMAGE)
    machine.install("mmdebstrap", f"echo half a tree; {end}")
    assert machine.run(BASE).returncode != 0
    assert "import" not in calls(tmp_path)
    assert not list(tmp_path.glob("ta-lab2-base*"))


def test_a_base_that_is_there_is_replaced_only_by_force(machine: Machine, tmp_path: Path) -> None:
    machine.install("docker", 'echo "$@" >>"$TMPDIR/calls"')
    machine.install("mmdebstrap", "echo a tree")
    done = machine.run(BASE)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert "import" not in calls(tmp_path)
    assert machine.run(BASE, "--force").returncode == 0
    assert "import" in calls(tmp_path)


@pytest.mark.parametrize(
    ("docker", "said"),
    [
        ("exit 1", "no Docker engine answers"),
        (None, "docker is not installed"),
    ],
)
def test_the_base_needs_an_engine(machine: Machine, docker: str | None, said: str) -> None:
    if docker is not None:
        machine.install("docker", docker)
    machine.install("mmdebstrap", "echo a tree")
    path = str(machine.bin) if docker is None else machine.environment["PATH"]
    done = subprocess.run(
        ["/bin/sh", BASE], env={**machine.environment, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert said in done.stderr
