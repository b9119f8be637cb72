"""What the commands tell and ask: psql, passwords, status, reset, destroy, foreign servers."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import psutil
import pytest

from ta_lab2.db.runtime.project import Project
from ta_lab2.settings import Settings
from tests.real_deps.embedded.conftest import ROOT, Checkout


@pytest.fixture
def password(running: Checkout) -> str:
    settings = Settings(_env_file=None, state_dir=running.state, project=running.project)
    return Project.of(settings).passwords()["admin"]


def test_status_shows_the_server_and_its_databases_as_json(running: Checkout) -> None:
    shown = json.loads(running.run("db", "status", "--json"))
    assert shown["runtime"] == "embedded"
    assert shown["up"] is True
    assert shown["version"].startswith("17.")
    assert shown["pid"] == str(running.pid)
    assert set(shown["databases"]) >= {"ta_lab2", "postgres"}
    assert shown["extensions"]["plpgsql"]


def test_url_has_the_password_only_when_asked(running: Checkout, password: str) -> None:
    assert password not in running.run("db", "url", "--login", "admin")
    whole = running.run("db", "url", "--login", "admin", "--with-password").strip()
    assert password in whole
    assert whole.startswith("postgresql://postgres:")
    assert running.run("db", "url", "--database", "other").strip().endswith("/other")


def test_the_service_file_is_private_and_works_with_libpq(running: Checkout) -> None:
    file = running.home / "pg_service.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    script = "import psycopg; print(psycopg.connect('service=ta_lab2_admin').info.user)"
    env = {**running.environment, "PGSERVICEFILE": str(file)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "postgres", done.stderr


def test_psql_reads_files_of_the_current_folder_and_elsewhere(
    running: Checkout, tmp_path: Path
) -> None:
    (tmp_path / "here.sql").write_text("select 6 * 7;")
    inside = Checkout(**{**vars(running), "cwd": tmp_path})
    inside.extra = {"PYTHONPATH": str(ROOT)}
    assert inside.run("db", "psql", "--login", "admin", "--", "-XAtf", "here.sql").strip() == "42"
    assert (
        running.run(
            "db", "psql", "--login", "admin", "--", "-XAtf", str(tmp_path / "here.sql")
        ).strip()
        == "42"
    )
    inside.run("db", "psql", "--login", "admin", "--", "-Xqc", r"\copy (select 7) to 'out.csv'")
    assert (tmp_path / "out.csv").read_text() == "7\n"


def test_psql_without_a_server_names_the_command_that_starts_it(checkout: Checkout) -> None:
    assert "no database yet" in checkout.run("db", "psql", status=2)
    checkout.run("db", "up")
    checkout.run("db", "down")
    said = checkout.run("db", "psql", status=2)
    assert "the server is not running" in said
    assert "ta-lab2 db up" in said


def test_psql_returns_its_exit_status(running: Checkout) -> None:
    running.run("db", "psql", "--login", "admin", "--", "-Xc", "select 1/0", status=1)
    running.run(
        "db",
        "psql",
        "--login",
        "admin",
        "--",
        "-X",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        "/nowhere.sql",
        status=1,
    )


def test_psql_is_interactive_and_pages_and_its_password_is_in_no_argument(
    running: Checkout, password: str
) -> None:
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "ta_lab2", "db", "psql", "--login", "admin", "--", "-X"],
        env={**running.environment, "TERM": "xterm", "PAGER": "no-such-pager"},
        cwd=str(ROOT),
        timeout=30,
        dimensions=(20, 80),
    )
    terminal.expect("ta_lab2=# ")
    family = psutil.Process(terminal.pid)
    for process in [family, *family.children(recursive=True)]:
        assert password not in " ".join(process.cmdline())
    terminal.sendline("select 'row ' || i as many from generate_series(1, 60) as i;")
    terminal.expect("row 12")
    terminal.expect("More")
    terminal.send("q")
    terminal.expect("ta_lab2=# ")
    bubblewrap = family.children()[0]
    terminal.sendline("select pg_sleep(60);")
    terminal.expect("pg_sleep")
    terminal.sendintr()
    terminal.expect("canceling statement due to user request")
    terminal.expect("ta_lab2=# ")
    assert bubblewrap.is_running()
    terminal.sendline(r"\q")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_a_wrong_password_is_one_sentence(checkout: Checkout) -> None:
    checkout.run("db", "up")
    file = checkout.home / "pg_service.conf"
    right = file.read_text()
    file.write_text("\n".join("password=wrong" if "password" in x else x for x in right.split()))
    for command in (["status"], ["up"]):
        said = checkout.run("db", *command, status=2)
        assert "refuses the password of postgres" in said
        assert str(file) in said
    file.write_text(right)
    checkout.run("db", "status")


def test_a_lost_service_file_gets_new_passwords(checkout: Checkout) -> None:
    checkout.run("db", "up")
    checkout.sql("create role ta_lab2_app login")
    for running in (False, True):
        checkout.run("db", "up" if running else "down")
        (checkout.home / "pg_service.conf").unlink()
        assert "setting new passwords" in checkout.run("db", "up")
    assert checkout.sql("select current_user") == "postgres"
    as_app = ["db", "psql", "--login", "app", "--", "-XAtc", "select current_user"]
    assert checkout.run(*as_app).strip() == "ta_lab2_app"


def test_without_a_terminal_nothing_is_removed_and_nothing_hangs(running: Checkout) -> None:
    running.sql("create table if not exists precious ()")
    for command in (["reset"], ["destroy"], ["down", "--volumes"]):
        said = running.run("db", *command, status=2)
        assert "ta_lab2" in said
        assert "--yes" in said
    assert running.sql("select to_regclass('precious') is not null") == "t"


def test_reset_empties_the_database_even_with_its_extensions_at_work(checkout: Checkout) -> None:
    checkout.run("db", "up")
    for name in ("timescaledb", "pg_cron", "vector", "plpython3u"):
        checkout.sql(f"create extension {name}")
    checkout.sql("create table precious ()")
    checkout.run("db", "reset", "--yes")
    assert checkout.sql("select to_regclass('precious') is null") == "t"


def test_destroy_removes_everything_and_up_begins_anew(checkout: Checkout) -> None:
    checkout.run("db", "up")
    server = checkout.pid
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "ta_lab2", "db", "destroy"],
        env=checkout.environment,
        cwd=str(ROOT),
        timeout=60,
    )
    terminal.expect("for ever. ")
    terminal.sendline("y")
    terminal.expect("the database is gone")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert not checkout.home.exists()
    assert not Path(f"/proc/{server}/cwd").exists()


def test_your_own_server_is_looked_at_but_never_touched(
    running: Checkout, checkout: Checkout, password: str
) -> None:
    url = running.run("db", "url", "--login", "admin", "--with-password").strip()
    foreign = {"TA_LAB2_DATABASE_URL": url}
    said = checkout.run("db", "status", **foreign)
    assert "yours" in said
    assert password not in said
    for command in (["down"], ["reset", "--yes"], ["destroy", "--yes"], ["upgrade"]):
        said = checkout.run("db", *command, status=2, **foreign)
        assert "your own server" in said
        assert password not in said
    if shutil.which("psql"):
        said = checkout.run("db", "psql", "--", "-XAtc", "select 1", **foreign)
        assert said.splitlines()[-1] == "1"
    down = "postgresql://postgres@127.0.0.1:1/x"
    checkout.run("db", "status", status=3, TA_LAB2_DATABASE_URL=down)
    assert not checkout.home.exists()


def test_a_moved_checkout_adopts_its_database(
    new_state: Callable[[], Path], cache: Path, tmp_path: Path
) -> None:
    def place(name: str) -> Checkout:
        env = {"PYTHONPATH": str(tmp_path / name)}
        return Checkout(state, cache, None, env, cwd=tmp_path / name)

    state = new_state()
    old = tmp_path / "old"
    shutil.copytree(ROOT / "ta_lab2", old / "ta_lab2")
    shutil.copytree(ROOT / "docker" / "postgres", old / "docker" / "postgres")
    (old / "sql").mkdir()
    (old / "alembic.ini").touch()
    place("old").run("db", "up")
    place("old").sql("create table kept as select 42 as answer")
    (key,) = [path.name for path in state.iterdir() if path.is_dir()]
    old.rename(tmp_path / "new")
    moved = place("new")
    said = moved.run("db", "up", "elsewhere", "--adopt", status=2)
    assert str(old) in said
    moved.run("db", "up", "--adopt")
    assert moved.sql("select answer from kept") == "42"
    assert not (state / key).exists()
    (record,) = state.glob("*/project.json")
    known = json.loads(record.read_text())
    assert known["root"] == str(tmp_path / "new")
    assert known["compose_project"] == f"ta-lab2-{key}"
    assert "has a database already" in moved.run("db", "up", "--adopt", status=2)
