"""The server's life: started, doubled, outliving its caller, killed, stopped."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pexpect
import psutil
import psycopg
import pytest

from ta_lab2.db.runtime import embedded, sandbox
from ta_lab2.db.runtime.rootfs import RootFileSystem
from tests.real_deps.embedded.conftest import ROOT, Checkout
from tests.support.places import end


def test_two_ups_at_once_make_one_server(checkout: Checkout) -> None:
    both = [checkout.start("db", "up"), checkout.start("db", "up")]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("making the data directory" in text for text in said) == 1
    assert postmasters(checkout.home / "data") == [checkout.pid]


def postmasters(data: Path) -> list[int]:
    """Return the processes on a data directory whose parent is not one of them."""
    parents: dict[int, int] = {}
    for process in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            if Path(f"/proc/{process.pid}/cwd").samefile(data):
                parents[process.pid] = process.ppid()
    return [pid for pid, parent in parents.items() if parent not in parents]


def test_postgresql_itself_refuses_a_second_server_on_the_same_data(running: Checkout) -> None:
    rootfs = RootFileSystem.shipped(running.cache, None).current
    assert rootfs is not None
    words = sandbox.server_words(rootfs, running.home / "data", None)
    second = subprocess.run(
        [*words, "postgres", "-D", "/data", "-p", "15999", "-c", "logging_collector=off"],
        capture_output=True,
        text=True,
        cwd="/",
        timeout=60,
    )
    assert second.returncode == 1
    assert f'Is another postmaster (PID {running.pid}) running in data directory "/data"?' in (
        second.stderr
    )


def test_the_server_outlives_its_caller_and_the_terminal(checkout: Checkout) -> None:
    terminal = pexpect.spawn(
        "/bin/sh",
        ["-c", f"{' '.join(checkout.words)} db up; echo it is up; sleep 60"],
        env=checkout.environment,
        cwd=str(ROOT),
        timeout=120,
    )
    terminal.expect("it is up")
    server = psutil.Process(checkout.pid)
    assert os.getsid(server.pid) != os.getsid(terminal.pid)
    terminal.close(force=True)
    assert server.is_running()
    assert checkout.sql("select 'alive'") == "alive"


def test_down_shuts_down_cleanly_and_status_tells_by_its_exit_code(checkout: Checkout) -> None:
    assert "up                no" in checkout.run("db", "status", status=3)
    checkout.run("db", "up")
    checkout.run("db", "status", status=0)
    checkout.run("db", "down")
    assert checkout.log.rstrip().endswith("database system is shut down")
    checkout.run("db", "status", status=3)
    assert "not running" in checkout.run("db", "down")


def test_the_callers_environment_stays_outside(running: Checkout) -> None:
    environment = Path(f"/proc/{running.pid}/environ").read_bytes()
    assert b"TA_LAB2_CANARY" not in environment
    running.sql("create extension if not exists plpython3u")
    running.sql(
        "create or replace function environment() returns text language plpython3u"
        " as $$ import os; return repr(dict(os.environ)) $$"
    )
    seen = running.sql("select environment()")
    assert "NPY_DISABLE_CPU_FEATURES" in seen
    assert "CANARY" not in seen
    assert "HOME" not in seen


def test_checksums_scram_and_the_shared_settings_are_in_force(running: Checkout) -> None:
    rows = running.sql(
        "select string_agg(current_setting(name), '|' order by name) from unnest(array["
        "'cron.database_name', 'data_checksums', 'jit', 'listen_addresses',"
        " 'password_encryption']) as name"
    )
    assert rows == "ta_lab2|on|off|127.0.0.1|scram-sha-256"
    methods = running.sql("select distinct auth_method from pg_hba_file_rules")
    assert methods == "scram-sha-256"


def test_root_runs_the_server_as_a_user_of_its_own(running: Checkout) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root hands the server to another user")
    assert psutil.Process(running.pid).username() == "ta-lab2"


def test_a_killed_server_comes_back_with_its_rows(checkout: Checkout) -> None:
    checkout.run("db", "up")
    checkout.sql("create table kept as select 42 as answer")
    end(checkout.pid, signal.SIGKILL)
    assert (checkout.home / "data" / "postmaster.pid").exists()
    checkout.run("db", "status", status=3)
    checkout.run("db", "up")
    assert checkout.sql("select answer from kept") == "42"


def test_a_stale_pid_file_that_names_a_foreign_process_is_not_believed(
    checkout: Checkout,
) -> None:
    checkout.run("db", "up")
    file = checkout.home / "data" / "postmaster.pid"
    before = file.read_text()
    checkout.run("db", "down")
    file.write_text(before.replace(before.split()[0], str(os.getpid()), 1))
    shutil.chown(file, (checkout.home / "data").stat().st_uid, (checkout.home / "data").group())
    checkout.run("db", "status", status=3)
    assert "not running" in checkout.run("db", "down")


def test_a_remembered_port_that_is_taken_is_named_and_kept(checkout: Checkout) -> None:
    checkout.run("db", "up")
    record = checkout.home / "project.json"
    port = json.loads(record.read_text())["ports"]["embedded"]
    checkout.run("db", "down")
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        said = checkout.run("db", "up", status=2)
        assert f"port {port} of this project's server is taken by process {os.getpid()}" in said
        assert json.loads(record.read_text())["ports"]["embedded"] == port
    assert f":{port}/" in checkout.run("db", "up")


def test_another_projects_promised_port_is_not_taken(checkout: Checkout) -> None:
    checkout.run("db", "up")
    checkout.run("db", "down")
    other = Checkout(checkout.state, checkout.cache, checkout.project + "b")
    other.run("db", "up")
    ports = {
        json.loads((project.home / "project.json").read_text())["ports"]["embedded"]
        for project in (checkout, other)
    }
    assert len(ports) == 2


def test_two_checkouts_have_two_servers(
    new_state: Callable[[], Path], cache: Path, tmp_path: Path
) -> None:
    state = new_state()
    made = []
    for name in ("one", "two"):
        copy = tmp_path / name
        shutil.copytree(ROOT / "ta_lab2", copy / "ta_lab2")
        shutil.copytree(ROOT / "docker" / "postgres", copy / "docker" / "postgres")
        (copy / "sql").mkdir()
        (copy / "alembic.ini").touch()
        made.append(Checkout(state, cache, None, {"PYTHONPATH": str(copy)}, cwd=copy))
    urls = [re.search(r"postgresql://\S+", copy.run("db", "up"))[0] for copy in made]
    assert urls[0] != urls[1]
    made[0].sql("create table only_here ()")
    assert made[1].sql("select to_regclass('only_here') is null") == "t"
    made[0].run("db", "down")
    made[1].run("db", "status")


def test_a_path_of_200_characters_with_spaces_works(
    new_state: Callable[[], Path], cache: Path
) -> None:
    state = new_state()
    state = state / ("a long way down " * 20)[: 199 - len(str(state))]
    long = Checkout(state, cache, "longpath")
    assert len(str(state)) == 200
    try:
        long.run("db", "up")
        assert long.sql("select 1") == "1"
        assert "is shut down" not in long.log
        long.run("db", "destroy", "--yes")
        assert not list(Path("/tmp").glob("ta-lab2-*-longpath"))
    finally:
        if long.home.exists():
            long.run("db", "destroy", "--yes")


def test_a_private_server_has_settings_of_its_own_and_leaves_no_record(
    new_state: Callable[[], Path], cache: Path
) -> None:
    folder = new_state() / "suite"
    folder.mkdir()
    extra = {"fsync": "off", "max_connections": "150"}
    with (
        embedded.private_server(folder, cache=cache, extra=extra) as endpoint,
        psycopg.connect(endpoint.conninfo()) as conn,
    ):
        row = conn.execute("select current_setting('fsync'), current_setting('max_connections')")
        assert row.fetchone() == ("off", "150")
    assert not (folder / "data" / "postmaster.pid").exists()
    assert not (folder / "project.json").exists()


@pytest.mark.parametrize("after", [0.2, 0.6, 1.2])
def test_an_up_that_is_killed_goes_on_at_the_next(checkout: Checkout, after: float) -> None:
    process = checkout.start("db", "up")
    until = time.monotonic() + 60
    while not (checkout.home / "data.partial").exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    checkout.run("db", "up")
    assert checkout.sql("select 1") == "1"
    assert not (checkout.home / "data.partial").exists()


def test_ctrl_c_ends_with_a_sentence(checkout: Checkout) -> None:
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "ta_lab2", "db", "up"],
        env=checkout.environment,
        cwd=str(ROOT),
        timeout=60,
    )
    terminal.expect("making the data directory")
    terminal.sendintr()
    terminal.expect("interrupted; the same command goes on from here")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    checkout.run("db", "up")
