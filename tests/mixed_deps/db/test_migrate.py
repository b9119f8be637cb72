"""Migrations: both lanes in one transaction, from the CLI and from the shell alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import alembic.command
import psycopg
import pytest
from alembic.script import ScriptDirectory
from psycopg.conninfo import make_conninfo

from ta_lab2 import paths
from ta_lab2.db import migrate, prepare, routines
from ta_lab2.errors import Refused, TaLabError
from tests.support import golden, servers

ROOT = Path(__file__).parents[3]


def quietly(line: str) -> None:
    """Nobody listens."""


def run(conninfo: str) -> list[str]:
    lines: list[str] = []
    migrate.migrate(conninfo, say=lines.append, ours=True)
    return lines


def run_at_once(*conninfos: str) -> list[str]:
    """Migrate in processes of their own, started together; return what each said."""
    code = (
        "import os; from ta_lab2.db.migrate import migrate;"
        "migrate(os.environ['CONNINFO'], say=print, ours=True)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "CONNINFO": conninfo},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for conninfo in conninfos
    ]
    said = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), said
    return said


def listings(conninfo: str) -> list[str]:
    with psycopg.connect(conninfo) as conn:
        return [golden.listing(conn, name) for name in golden.LISTINGS]


def alembic_in_a_shell(conninfo: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alembic", *words],
        cwd=ROOT,
        env={**os.environ, "TA_LAB2_ADMIN_URL": conninfo},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_there_is_one_head(own_db):
    assert len(ScriptDirectory.from_config(migrate.config(own_db, say=quietly)).get_heads()) == 1


def test_a_second_migration_changes_nothing(own_db):
    before = listings(own_db)
    assert run(own_db) == ["routines are up to date"]
    assert listings(own_db) == before


def test_down_to_the_ground_and_up_again_ends_the_same(own_db):
    before = listings(own_db)
    config = migrate.config(own_db, say=quietly)
    alembic.command.downgrade(config, "base")
    with psycopg.connect(own_db) as conn:
        left = conn.execute(
            """
            select n.nspname from pg_namespace as n
            where n.nspowner = 'ta_lab2_owner'::regrole and n.nspname <> 'ta_meta'
            union all
            select p.proname from pg_proc as p where p.proowner = 'ta_lab2_owner'::regrole
            """
        ).fetchall()
    assert left == []
    alembic.command.upgrade(config, "head")
    assert listings(own_db) == before


def test_each_revision_can_be_taken_back_alone(own_db):
    config = migrate.config(own_db, say=quietly)
    for _ in ScriptDirectory.from_config(config).walk_revisions():
        alembic.command.downgrade(config, "-1")
    alembic.command.upgrade(config, "head")


def test_the_described_tables_are_the_tables(own_db):
    alembic.command.check(migrate.config(own_db, say=quietly))


def test_two_upgrades_at_once_both_succeed(empty_db):
    said = run_at_once(empty_db, empty_db)
    assert sorted("routines are up to date" in text for text in said) == [False, True]


def test_two_databases_of_one_server_can_be_migrated_at_once(server_url):
    with servers.database(server_url, "one") as one, servers.database(server_url, "two") as two:
        said = run_at_once(*(make_conninfo(server_url, dbname=name) for name in (one, two)))
        assert all("made extension timescaledb" in text for text in said)


def test_alembic_from_a_shell_does_the_same_as_the_cli(empty_db, own_db):
    with psycopg.connect(empty_db) as conn:
        prepare.prepare(conn, passwords={}, ours=True, say=quietly)
    done = alembic_in_a_shell(empty_db, "upgrade", "head")
    assert done.returncode == 0, done.stderr
    assert listings(empty_db) == listings(own_db)


@pytest.mark.parametrize("words", [("current",), ("history",), ("check",)])
def test_looking_applies_nothing(own_db, words):
    with psycopg.connect(own_db, autocommit=True) as conn:
        conn.execute("update ta_meta.routine_file set sha256 = 'old'")
        done = alembic_in_a_shell(own_db, *words)
        assert done.returncode == 0, done.stderr
        left = conn.execute("select count(*) from ta_meta.routine_file where sha256 = 'old'")
        assert left.fetchone() != (0,)


def test_stamping_an_empty_database_applies_nothing(empty_db):
    with psycopg.connect(empty_db) as conn:
        prepare.prepare(conn, passwords={}, ours=True, say=quietly)
    assert alembic_in_a_shell(empty_db, "stamp", "head").returncode == 0
    with psycopg.connect(empty_db) as conn:
        assert conn.execute("select to_regclass('ta_meta.routine_file')").fetchone() == (None,)


def test_an_unprepared_database_is_refused_with_the_command(empty_db):
    done = alembic_in_a_shell(empty_db, "upgrade", "head")
    assert done.returncode != 0
    assert "ta-lab2 db migrate" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_offline_sql_is_refused_with_the_reason(own_db):
    done = alembic_in_a_shell(own_db, "upgrade", "head", "--sql")
    assert "live connection" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_only_a_superuser_migrates(own_db):
    with psycopg.connect(own_db) as conn:
        conn.execute("set role ta_lab2_app")
        with pytest.raises(Refused, match="not a superuser"):
            prepare.prepare(conn, passwords={}, ours=True, say=quietly)
        with pytest.raises(Refused, match="not a superuser"):
            migrate.check_prepared(conn)


def test_a_database_from_the_future_is_named(own_db):
    with psycopg.connect(own_db) as conn:
        conn.execute("update ta_meta.alembic_version set version_num = '29990101_from_the_future'")
    with pytest.raises(Refused, match="newer than this ta-lab2"):
        run(own_db)


@pytest.fixture
def shipped_copy(tmp_path, monkeypatch):
    """The project's ``sql`` and ``alembic`` in a place where a test may break them."""
    for name in ("sql", "alembic"):
        source = paths.shipped(name)
        for path in source.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                target = tmp_path / name / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    return tmp_path


def add(shipped_copy: Path, path: str, body: str) -> None:
    name = path.removesuffix(".sql").split("/")
    (shipped_copy / "sql" / path).parent.mkdir(parents=True, exist_ok=True)
    (shipped_copy / "sql" / path).write_text(
        f"-- {name[-2]}.{name[-1]}(): one, as integer.\n--\n"
        f"create or replace function {name[-2]}.{name[-1]}()\nreturns integer\nlanguage sql\n"
        f"immutable parallel safe\nas $$ {body} $$;\n"
    )


def test_a_failure_in_the_middle_rolls_both_lanes_back(empty_db, shipped_copy):
    add(shipped_copy, "functions/ops/zz_last.sql", "select nonsense from nowhere")
    with pytest.raises(TaLabError, match=r"sql/functions/ops/zz_last\.sql, line \d+: .*nowhere"):
        run(empty_db)
    with psycopg.connect(empty_db) as conn:
        assert conn.execute("select to_regnamespace('ta_meta')").fetchone() == (None,)
    (shipped_copy / "sql/functions/ops/zz_last.sql").unlink()
    run(empty_db)


def test_a_changed_file_is_applied_again_and_only_it(own_db, shipped_copy):
    add(shipped_copy, "functions/ops/zz_last.sql", "select 1")
    run(own_db)
    add(shipped_copy, "functions/ops/zz_last.sql", "select 2")
    assert run(own_db) == ["applying sql/functions/ops/zz_last.sql", "1 routine files applied"]
    with psycopg.connect(own_db) as conn:
        assert conn.execute("select ops.zz_last()").fetchone() == (2,)


def test_many_files_are_told_by_how_far_they_are(empty_db):
    said = [line for line in run(empty_db) if line.startswith("applying")]
    assert said[0].startswith("applying routine files: 0 of 2")
    assert 3 < len(said) < 12


def test_percent_signs_and_colons_in_a_body_survive(own_db, shipped_copy):
    add(
        shipped_copy,
        "functions/ops/zz_last.sql",
        "select cardinality((array[1, 2])[1:2]) * (5 % 2) -- :name %s",
    )
    (file,) = [f for f in routines.discover(shipped_copy / "sql") if f.path.endswith("zz_last.sql")]
    (shipped_copy / "sql" / file.path).write_text(file.text.replace("%s $$", "%s\n$$"))
    run(own_db)
    with psycopg.connect(own_db) as conn:
        assert conn.execute("select ops.zz_last()").fetchone() == (2,)


def test_a_file_that_goes_without_its_revision_is_refused(own_db, shipped_copy):
    add(shipped_copy, "functions/ops/zz_last.sql", "select 1")
    run(own_db)
    (shipped_copy / "sql/functions/ops/zz_last.sql").unlink()
    with pytest.raises(TaLabError, match=r"ops\.zz_last still stands"):
        run(own_db)


def test_an_extension_that_a_file_needs_is_named(own_db, shipped_copy):
    add(shipped_copy, "functions/ops/zz_last.sql", "select 1")
    path = shipped_copy / "sql/functions/ops/zz_last.sql"
    path.write_text(path.read_text().replace("--\n", "--\n-- needs: hstore\n", 1))
    with pytest.raises(TaLabError, match="needs the extension hstore"):
        run(own_db)


def test_a_function_in_python_ends_up_with_the_owner_and_not_with_everybody(own_db, shipped_copy):
    path = shipped_copy / "sql/functions/ops/zz_python.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "-- ops.zz_python(): one, as integer.\n--\n-- needs: plpython3u\n"
        "create or replace function ops.zz_python()\nreturns integer\nlanguage plpython3u\n"
        "immutable parallel safe\nas $$\nreturn 1\n$$;\n"
    )
    run(own_db)
    with psycopg.connect(own_db) as conn:
        owner, public, app = conn.execute(
            """
            select p.proowner::regrole::text,
                has_function_privilege('ta_lab2_reader', p.oid, 'execute'),
                has_function_privilege('ta_lab2_app', p.oid, 'execute')
            from pg_proc as p where p.proname = 'zz_python'
            """
        ).fetchone()
    assert (owner, public, app) == ("ta_lab2_owner", False, True)
