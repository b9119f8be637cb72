"""The image of ``Dockerfile.debian``, built and run."""

from __future__ import annotations

import json
import time

import psycopg
import pytest

from ta_lab2.db.runtime import docker_engine, server
from tests.real_deps.docker.conftest import Serve, Served, docker, in_volume

pytestmark = pytest.mark.docker

NUMPY = """
create function pg_temp.python(code text) returns text language plpython3u as $$
import json, warnings
warnings.simplefilter("error")
return json.dumps(eval(code))
$$
"""


def python(served: Served, code: str) -> object:
    with served.connect() as conn:
        conn.execute(NUMPY)
        row = conn.execute("select pg_temp.python(%s)", [code]).fetchone()
    assert row is not None
    return json.loads(row[0])


def said(container: str) -> str:
    return "\n".join(docker_engine.logs(container, lines=200))


def setting(served: Served, name: str) -> str:
    with served.connect() as conn:
        row = conn.execute("select current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def test_all_extensions_can_be_made(served: Served) -> None:
    with served.connect() as conn:
        made = {row[0] for row in conn.execute("select extname from pg_extension")}
        assert {"timescaledb", "pg_cron", "vector", "plpython3u"} <= made
        conn.execute("create extension plpgsql_check")
        conn.execute("drop extension plpgsql_check")


def test_a_hypertable_and_a_vector_work(served: Served) -> None:
    with served.connect() as conn, conn.transaction(force_rollback=True):
        conn.execute("create table t (ts timestamptz not null, v vector(2))")
        conn.execute("select create_hypertable('t', by_range('ts'))")
        conn.execute("insert into t values (now(), '[3,4]')")
        row = conn.execute("select v <-> '[0,0]' from t").fetchone()
        assert row == (5.0,)


def test_plpython_has_numpy_and_scipy(served: Served) -> None:
    code = "__import__('scipy.stats').stats.norm.cdf(__import__('numpy').zeros(2)).tolist()"
    assert python(served, code) == [0.5, 0.5]


def test_numpy_takes_no_avx_512_path(served: Served) -> None:
    features = "__import__('numpy._core._multiarray_umath', fromlist=['x']).__cpu_features__"
    dispatched = "__import__('numpy._core._multiarray_umath', fromlist=['x']).__cpu_dispatch__"
    has = python(served, features)
    built = python(served, dispatched)
    assert isinstance(has, dict)
    assert isinstance(built, list)
    # AVX512_SPR is for half precision alone; numpy 1.21 does not know the name.
    taken = [name for name in built if "AVX512" in name and has[name] and name != "AVX512_SPR"]
    assert taken == []


def test_the_numpy_switch_reaches_the_server(served: Served) -> None:
    for name, value in server.ENVIRONMENT.items():
        assert python(served, f"__import__('os').environ.get({name!r})") == value


def test_checksums_are_on_and_the_locale_is_the_same_everywhere(served: Served) -> None:
    assert setting(served, "data_checksums") == "on"
    with served.connect() as conn:
        row = conn.execute(
            "select datlocprovider::text, datlocale, pg_encoding_to_char(encoding)"
            " from pg_database where datname = current_database()"
        ).fetchone()
    assert row == ("b", "C.UTF-8", "UTF8")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timezone", "UTC"),
        ("jit", "off"),
        ("cron.use_background_workers", "on"),
        ("cron.database_name", "ta_lab2"),
        ("password_encryption", "scram-sha-256"),
    ],
)
def test_the_settings_of_the_command_line_are_in_force(
    served: Served, name: str, value: str
) -> None:
    assert setting(served, name) == value


def test_pg_cron_runs_a_job(served: Served) -> None:
    with served.connect() as conn:
        conn.execute("create table ran (at timestamptz default now())")
        conn.execute("select cron.schedule('test', '1 seconds', 'insert into ran default values')")
        deadline = time.monotonic() + 60
        while conn.execute("select from ran").fetchone() is None:
            assert time.monotonic() < deadline, conn.execute(
                "select status, return_message from cron.job_run_details"
            ).fetchall()
            time.sleep(0.2)
        conn.execute("select cron.unschedule('test')")
        conn.execute("drop table ran")


def test_nothing_runs_as_root(served: Served) -> None:
    assert docker("exec", served.id, "id", "-u") == "1000"
    users = docker("top", served.id, "-eo", "pid,uid").splitlines()[1:]
    assert users
    assert {line.split()[1] for line in users} == {"1000"}


def test_the_password_is_in_no_argument_and_in_no_variable(served: Served) -> None:
    assert served.password not in docker("inspect", served.id)
    assert served.password not in docker("top", served.id, "-eo", "pid,args")
    assert served.password not in docker("exec", served.id, "cat", "/proc/1/environ")


def test_a_wrong_password_is_refused(served: Served) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host="127.0.0.1", port=served.port, user="postgres", password="x", dbname="postgres"
        )


def test_a_killed_first_start_goes_on_at_the_next(serve: Serve, image: str, volume: str) -> None:
    half_made = 0
    for moment in ("data.partial", "data.partial/global/pg_control", "data.partial/base/5"):
        container = docker(
            *("run", "--detach", f"--volume={volume}:/home/postgres/pgdata"),
            *("--env=POSTGRES_PASSWORD_FILE=/etc/hostname", "--env=POSTGRES_DB=ta_lab2", image),
        )
        wait = f"until [ -e /home/postgres/pgdata/{moment} ]; do sleep 0.01; done"
        docker("exec", container, "sh", "-c", wait)
        docker("kill", "--signal=KILL", container)
        left = in_volume(image, volume, "ls").split()
        half_made += "data.partial" in left
        # Had it got further, the password of the test's own would not be the one in there.
        assert "data" not in left
    assert half_made == 3
    with serve(image, volume) as started, started.connect() as conn:
        assert conn.execute("select current_database()").fetchone() == ("ta_lab2",)
    assert "data.partial" not in in_volume(image, volume, "ls").split()


def test_a_restart_keeps_the_data_and_stops_cleanly(serve: Serve, image: str, volume: str) -> None:
    with serve(image, volume) as first:
        with first.connect() as conn:
            conn.execute("create table kept as select 42 as answer")
        docker("stop", first.id)
        assert "received fast shutdown request" in said(first.id)
        assert "database system is shut down" in said(first.id)
    with serve(image, volume, password=first.password) as second, second.connect() as conn:
        assert conn.execute("select answer from kept").fetchone() == (42,)


def test_a_killed_server_recovers(serve: Serve, image: str, volume: str) -> None:
    with serve(image, volume) as first:
        with first.connect() as conn:
            conn.execute("create table kept as select 42 as answer")
        docker("kill", "--signal=KILL", first.id)
    with serve(image, volume, password=first.password) as second, second.connect() as conn:
        assert conn.execute("select answer from kept").fetchone() == (42,)


def test_a_second_container_on_the_same_volume_is_refused(
    serve: Serve, image: str, volume: str
) -> None:
    with serve(image, volume) as first:
        second = docker(
            "run", "--detach", f"--volume={volume}:/home/postgres/pgdata", image, "postgres"
        )
        assert docker("wait", second) == "1"
        assert "another container serves the data" in said(second)
        with first.connect() as conn:
            assert conn.execute("select 1").fetchone() == (1,)


def test_data_of_another_major_version_are_refused(image: str, volume: str) -> None:
    in_volume(image, volume, "mkdir data; echo 15 >data/PG_VERSION")
    container = docker("run", "--detach", f"--volume={volume}:/home/postgres/pgdata", image)
    assert docker("wait", container) == "1"
    assert "are PostgreSQL 15's; this is 17" in said(container)


def test_a_first_start_without_a_password_file_says_so(image: str, volume: str) -> None:
    container = docker("run", "--detach", f"--volume={volume}:/home/postgres/pgdata", image)
    assert docker("wait", container) == "1"
    assert "mount the password as a secret" in said(container)
