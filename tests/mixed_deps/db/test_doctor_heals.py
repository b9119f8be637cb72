"""Every finding: break the thing, read the finding, execute the printed line, find it gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ta_lab2.db.doctor import SEVERITIES, Expected, Finding, Mend, examine
from tests.support.broken_servers import BROKEN, DATABASE, OURS, Broken
from tests.support.private_server import (
    PASSWORD,
    PrivateServer,
)


def look(
    server: PrivateServer,
    database: str = DATABASE,
    *,
    user: str = "postgres",
    expected: Expected = OURS,
) -> list[Finding]:
    with server.connect(database, user) as conn:
        return examine(conn, expected=expected)


def codes(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings}


def line(finding: Finding) -> Mend:
    assert finding.mend, finding
    return finding.mend


def heal(server: PrivateServer, expected: Expected = OURS) -> list[Finding]:
    """Execute the first line that is printed, look again, and so on; return what was found."""
    seen: list[Finding] = []
    while to_mend := [f for f in look(server, expected=expected) if f.mend]:
        assert to_mend[0] not in seen, f"the line did not mend it: {to_mend[0]}"
        seen.append(to_mend[0])
        server.execute(line(to_mend[0]), DATABASE)
    return seen


@pytest.fixture(scope="module")
def bare(doctor_server: PrivateServer) -> Iterator[list[Finding]]:
    """What was found while the lines alone made a bare server whole."""
    doctor_server.run(f"create database {DATABASE}")
    yield heal(doctor_server)
    doctor_server.run(f"drop database {DATABASE} with (force)")


@pytest.fixture
def server(doctor_server: PrivateServer, bare: list[Finding]) -> PrivateServer:
    """The server with a database that lacks nothing, even if the test before failed."""
    if not doctor_server.is_whole:
        heal(doctor_server)
    doctor_server.is_whole = False
    return doctor_server


def test_the_printed_lines_alone_make_a_bare_server_whole(
    doctor_server: PrivateServer, bare: list[Finding]
) -> None:
    assert codes(bare) >= {
        *("preload", "cron-database", "cron-background-workers", "worker-processes"),
        *("checksums", "jit", "timezone", "extension-missing", "role-missing", "owner-create"),
        *("search-path", "public-execute", "public-temporary", "research-membership"),
    }
    assert codes(look(doctor_server)) == {"edition"}


def test_a_connection_that_does_not_commit_by_itself_is_examined_too(
    server: PrivateServer,
) -> None:
    with psycopg.connect(server.url(DATABASE)) as conn:
        assert codes(examine(conn, expected=OURS)) == {"edition"}
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_an_examination_changes_nothing(server: PrivateServer) -> None:
    with server.connect(DATABASE) as conn:
        with conn.transaction():
            examine(conn, expected=OURS)
            # Whatever writes, if only to be rolled back, gets a transaction number.
            written = conn.execute("select pg_current_xact_id_if_assigned()").fetchone()
        assert written == (None,)
        assert conn.execute("show search_path").fetchone() != ("pg_catalog, pg_temp",)
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_the_printed_line_mends(broken: Broken, server: PrivateServer) -> None:
    server.run(*broken.sql, database=DATABASE)
    if broken.by:
        broken.by(server)
    if broken.restart:
        server.restart()

    found = [finding for finding in look(server) if finding.code == broken.code]
    assert found, f"{broken} was not found"
    assert any(broken.says in finding.what for finding in found), found
    assert "do not print me" not in str(found)
    for finding in found:
        server.execute(line(finding), DATABASE)

    left = codes(look(server))
    assert broken.code not in left
    server.run(*broken.after, database=DATABASE)
    server.is_whole = left == {"edition"}


def test_checksums_are_switched_on_while_the_server_is_stopped(server: PrivateServer) -> None:
    server.stop()
    server.inside("pg_checksums", "--disable", "--pgdata", "/data")
    server.start()
    (found,) = [finding for finding in look(server) if finding.code == "checksums"]
    assert line(found).needs == "stopped"
    server.execute(line(found), DATABASE)
    assert codes(look(server)) == {"edition"}


def test_numpy_s_avx512_is_found_by_name_and_by_its_bits(server: PrivateServer) -> None:
    if "avx512f" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX-512")
    server.before.append("unset NPY_DISABLE_CPU_FEATURES")
    server.restart()
    findings = [finding for finding in look(server) if finding.code.startswith("numpy")]
    assert codes(findings) == {"numpy-arithmetic", "numpy-avx512"}
    assert len({line(finding).line for finding in findings}) == 1
    server.execute(line(findings[0]), DATABASE)
    assert codes(look(server)) == {"edition"}


def test_a_setting_of_the_command_line_is_mended_where_it_is_made(server: PrivateServer) -> None:
    (server.home / "data" / "postmaster.opts").unlink(missing_ok=True)
    server.stop()
    server.inside(
        *("pg_ctl", "--pgdata=/data", "--log=/data/log", "--silent", "-w"),
        *("-o", "-c max_worker_processes=9", "start"),
    )
    (found,) = [finding for finding in look(server) if finding.code == "worker-processes"]
    assert line(found).kind == "conf"
    assert "command line" in line(found).who
    # Taken out of the command line, the line works in the file, as `alter system` would not have.
    server.execute(line(found), DATABASE)
    assert codes(look(server)) == {"edition"}


def test_a_database_with_another_encoding_gets_one_with_utf8_beside_it(
    server: PrivateServer,
) -> None:
    server.run(
        "create database narrow template template0 encoding 'SQL_ASCII'"
        " locale_provider libc locale 'C'"
    )
    try:
        (found,) = [f for f in look(server, "narrow") if f.code == "encoding"]
        server.execute(line(found), "narrow")
        assert "encoding" not in codes(look(server, "narrow_utf8"))
    finally:
        server.run("drop database narrow", "drop database if exists narrow_utf8")


@pytest.fixture
def newcomer(server: PrivateServer) -> Iterator[str]:
    """A login that may do nothing."""
    server.run(f"create role newcomer login password '{PASSWORD}'")
    yield "newcomer"
    server.run("drop owned by newcomer", "drop role newcomer", database=DATABASE)


def test_a_login_without_rights_is_told_which_role_it_lacks(
    server: PrivateServer, newcomer: str
) -> None:
    (found,) = [f for f in look(server, user=newcomer) if f.code == "login"]
    server.execute(line(found), DATABASE)
    assert "login" not in codes(look(server, user=newcomer))


def test_the_reader_is_not_told_to_become_more(server: PrivateServer) -> None:
    server.run(f"alter role ta_lab2_reader password '{PASSWORD}'")
    assert "login" not in codes(look(server, user="ta_lab2_reader"))


def test_the_owner_may_read_the_server_s_files(server: PrivateServer) -> None:
    server.run("grant pg_read_server_files to ta_lab2_owner")
    assert codes(look(server)) == {"edition"}
    server.run("revoke pg_read_server_files from ta_lab2_owner")


def test_a_schema_of_somebody_else_with_our_name_is_left_alone(server: PrivateServer) -> None:
    server.run("create schema research", database=DATABASE)
    try:
        assert codes(look(server)) == {"edition"}
    finally:
        server.run("drop schema research", database=DATABASE)


def test_what_a_login_may_not_see_is_said_and_nothing_crashes(
    server: PrivateServer, newcomer: str
) -> None:
    server.run(
        "create schema ta_meta", "create table ta_meta.alembic_version ()", database=DATABASE
    )
    try:
        expected = Expected(("b", "a"), ours=True)
        findings = look(server, user=newcomer, expected=expected)
        unseen = [finding for finding in findings if finding.code == "not-examined"]
        assert len(unseen) == 3
        assert codes(findings) == {"not-examined", "login", "edition"}
        (settings,) = [finding for finding in unseen if finding.mend]
        server.execute(line(settings), DATABASE)
        assert settings not in look(server, user=newcomer, expected=expected)
    finally:
        server.run("drop schema ta_meta cascade", database=DATABASE)


def test_a_library_is_seen_to_be_missing_by_a_login_that_may_not_see_the_list(
    server: PrivateServer, newcomer: str
) -> None:
    server.run("alter system reset shared_preload_libraries")
    server.restart()
    (found,) = [f for f in look(server, user=newcomer) if f.code == "preload"]
    assert line(found).kind == "conf"
    server.execute(line(found), DATABASE)
    assert "preload" not in codes(look(server, user=newcomer))


def test_on_a_server_of_the_user_s_own_only_our_role_gets_a_search_path(
    server: PrivateServer,
) -> None:
    server.run(f"alter database {DATABASE} reset search_path")
    (found,) = [f for f in look(server, expected=Expected()) if f.code == "search-path"]
    assert line(found).line.startswith("alter role ta_lab2_app in database")
    server.execute(line(found), DATABASE)
    assert codes(look(server, expected=Expected())) == {"edition"}
    server.run(f"alter role ta_lab2_app in database {DATABASE} reset search_path")


def migrated(server: PrivateServer, *revisions: str) -> None:
    server.run(
        "create schema if not exists ta_meta",
        "create table if not exists ta_meta.alembic_version (version_num text)",
        "truncate ta_meta.alembic_version",
        *(f"insert into ta_meta.alembic_version values ('{name}')" for name in revisions),
        database=DATABASE,
    )


def test_pending_and_unknown_migrations_are_told_apart(server: PrivateServer) -> None:
    expected = Expected(("b", "a"), ours=True)

    def migrations() -> dict[str, Any]:
        findings = look(server, expected=expected)
        return {f.code: line(f).line for f in findings if f.code.startswith("migration")}

    try:
        assert migrations() == {"migration-pending": "ta-lab2 db migrate"}
        migrated(server, "a")
        assert migrations() == {"migration-pending": "ta-lab2 db migrate"}
        migrated(server, "c")
        assert migrations() == {"migration-unknown": "git pull"}
        migrated(server, "b")
        assert migrations() == {}
    finally:
        server.run("drop schema ta_meta cascade", database=DATABASE)


def test_every_code_is_broken_here_or_judged_by_value() -> None:
    """The codes without a way to break them on this server have tests in mocked_deps."""
    own = {
        *("checksums", "numpy-arithmetic", "numpy-avx512", "encoding", "login", "not-examined"),
        *("migration-pending", "migration-unknown", "edition"),
    }
    by_value = {"server-version", "python-version", "telemetry", "rollups"}
    assert {broken.code for broken in BROKEN} | own | by_value == set(SEVERITIES)
