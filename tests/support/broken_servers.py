"""Ways to break a server, each with what the doctor finds then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ta_lab2.db.doctor import Expected
from tests.support.private_server import (
    EXTENSIONS,
    PLPYTHON,
    PYTHON_PACKAGES,
    PrivateServer,
)

DATABASE = "patient"
OURS = Expected(ours=True)


@dataclass(frozen=True)
class Broken:
    """One way to break a database, and the finding that must follow."""

    code: str
    says: str
    sql: tuple[str, ...] = ()
    by: Callable[[PrivateServer], None] | None = None
    restart: bool = False
    after: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.code}: {self.says}"


def _lose(name: str) -> Callable[[PrivateServer], None]:
    return lambda server: server.uninstall(name)


def _truncate_plpython(server: PrivateServer) -> None:
    (server.home / PLPYTHON).write_bytes(b"")


def _replace_numpy_by_an_old_one(server: PrivateServer) -> None:
    server.uninstall(f"{PYTHON_PACKAGES}/numpy")
    folder = server.home / PYTHON_PACKAGES / "numpy"
    folder.mkdir()
    (folder / "__init__.py").write_text("__version__ = '1.19.5'\n")


def _leak(server: PrivateServer) -> None:
    server.before += ["CANARY_API_KEY='do not print me'", "PYTHONPATH=/nowhere"]


def _become_a_standby(server: PrivateServer) -> None:
    (server.home / "data" / "standby.signal").touch()


def _downgrade_vector(server: PrivateServer) -> None:
    control = (server.rootfs / EXTENSIONS / "vector.control").read_text()
    server.uninstall(f"{EXTENSIONS}/vector.control")
    older = control.replace("default_version = '0.8.0'", "default_version = '0.7.4'")
    (server.home / EXTENSIONS / "vector.control").write_text(older)


def _install_citus(server: PrivateServer) -> None:
    folder = server.home / EXTENSIONS
    (folder / "citus.control").write_text("default_version = '13.0'\nrelocatable = true\n")
    (folder / "citus--13.0.sql").write_text("create table citus_tables ();\n")
    server.run("create extension citus", database=DATABASE)


BROKEN = [
    Broken("jit", "jit is on", (f"alter database {DATABASE} set jit = on",)),
    Broken("timezone", "Asia/Tokyo", (f"alter database {DATABASE} set timezone = 'Asia/Tokyo'",)),
    Broken("extension-missing", "vector", ("drop extension vector",)),
    Broken("extension-missing", "plpython3u", ("drop extension plpython3u",)),
    Broken("extension-missing", "pg_cron", ("drop extension pg_cron",)),
    Broken(
        "extension-outdated",
        "pg_cron is 1.4",
        ("drop extension pg_cron", "create extension pg_cron version '1.4'"),
    ),
    Broken(
        "extension-unavailable",
        "vector",
        ("drop extension vector",),
        by=_lose(f"{EXTENSIONS}/vector.control"),
    ),
    Broken(
        "extension-unavailable",
        "timescaledb",
        ("drop extension timescaledb",),
        by=_lose(f"{EXTENSIONS}/timescaledb.control"),
    ),
    Broken(
        "extension-unavailable",
        "pg_cron",
        ("drop extension pg_cron",),
        by=_lose(f"{EXTENSIONS}/pg_cron.control"),
    ),
    Broken(
        "plpython-unavailable",
        "no features",
        ("drop extension plpython3u",),
        by=_lose(f"{EXTENSIONS}/plpython3u.control"),
    ),
    Broken("plpython-fails", "plpython3", by=_truncate_plpython),
    Broken("python-package", "can't import numpy", by=_lose(f"{PYTHON_PACKAGES}/numpy")),
    Broken("python-package", "can't import scipy", by=_lose(f"{PYTHON_PACKAGES}/scipy")),
    Broken("python-package", "numpy 1.19.5", by=_replace_numpy_by_an_old_one),
    Broken("extension-newer", "vector is 0.8.0", by=_downgrade_vector),
    Broken(
        "extension-unloadable",
        "every statement fails",
        (
            # What an upgrade of the package leaves behind: the catalogue of the version before.
            "update _timescaledb_catalog.metadata set value = '2.19.2'"
            " where key = 'timescaledb_version'",
            "update pg_extension set extversion = '2.19.2' where extname = 'timescaledb'",
        ),
    ),
    Broken("citus", "citus", by=_install_citus),
    Broken("role-missing", "ta_lab2_reader", ("drop role ta_lab2_reader",)),
    Broken("role-attributes", "ta_lab2_owner can log in", ("alter role ta_lab2_owner login",)),
    Broken("role-attributes", "ta_lab2_app can't", ("alter role ta_lab2_app nologin",)),
    Broken("role-attributes", "power over", ("alter role ta_lab2_app superuser",)),
    Broken("role-attributes", "power over", ("alter role ta_lab2_reader bypassrls",)),
    Broken(
        "role-reach",
        "ta_lab2_app is a member of pg_read_server_files",
        ("grant pg_read_server_files to ta_lab2_app",),
    ),
    Broken(
        "role-reach",
        "ta_lab2_reader is a member of ta_lab2_owner",
        ("grant ta_lab2_owner to ta_lab2_reader",),
    ),
    Broken(
        "role-reach",
        "pg_execute_server_program through through",
        (
            'create role "through"',
            'grant pg_execute_server_program to "through"',
            'grant "through" to ta_lab2_app',
        ),
        after=('drop role "through"',),
    ),
    Broken(
        "research-membership",
        "inherits",
        ("grant ta_lab2_research to ta_lab2_app with inherit true",),
    ),
    Broken(
        "research-membership",
        "may not switch",
        ("grant ta_lab2_research to ta_lab2_app with set false",),
    ),
    Broken("research-membership", "may not switch", ("revoke ta_lab2_research from ta_lab2_app",)),
    Broken(
        "owner-create", "may not create", ("revoke create on schema public from ta_lab2_owner",)
    ),
    Broken(
        "schema-owner",
        "schema bars belongs to postgres",
        (
            "create schema ta_meta",
            "create schema bars",
            "grant usage on schema bars to ta_lab2_app",
        ),
        after=("drop schema bars", "drop schema ta_meta"),
    ),
    Broken(
        "schema-usage",
        "may not use schema bars, features",
        (
            "create schema ta_meta",
            "create schema bars authorization ta_lab2_owner",
            "create schema features authorization ta_lab2_owner",
        ),
        after=("drop schema bars", "drop schema features", "drop schema ta_meta"),
    ),
    Broken("cron-usage", "cron", ("revoke usage on schema cron from ta_lab2_app",)),
    Broken("search-path", "not set", (f"alter database {DATABASE} reset search_path",)),
    Broken(
        "search-path",
        "features, bars",
        (f"alter database {DATABASE} set search_path = public, features, bars",),
    ),
    Broken(
        "search-path",
        "timemodel, public, bars",
        (
            f"alter database {DATABASE} set search_path ="
            f" timemodel, public, {', '.join(OURS.schemas[2:])}",
        ),
    ),
    Broken(
        "public-execute",
        "every login may execute",
        ("alter default privileges for role ta_lab2_owner grant execute on routines to public",),
    ),
    Broken(
        "routine-public",
        "one() and 1 more",
        (
            "create function public.one() returns int language sql as 'select 1'",
            "create procedure public.\"Two\"(x text) language sql as 'select 1'",
            "alter function public.one() owner to ta_lab2_owner",
            'alter procedure public."Two"(text) owner to ta_lab2_owner',
        ),
        after=("drop function public.one()", 'drop procedure public."Two"(text)'),
    ),
    Broken(
        "public-temporary",
        "temporary tables",
        (f"grant temporary on database {DATABASE} to public",),
    ),
    Broken("cron-template", "template", (f"alter database {DATABASE} is_template true",)),
    Broken(
        "preload",
        "lacks timescaledb and pg_cron; it is 'auto_explain'",
        ("alter system set shared_preload_libraries = 'auto_explain'",),
        restart=True,
    ),
    Broken(
        "preload",
        "lacks pg_cron; it is 'timescaledb'",
        ("alter system set shared_preload_libraries = 'timescaledb'",),
        restart=True,
    ),
    Broken(
        "cron-database",
        "works in database postgres",
        ("drop extension pg_cron", "alter system set cron.database_name = 'postgres'"),
        restart=True,
    ),
    Broken(
        "cron-background-workers",
        "is off",
        ("alter system set cron.use_background_workers = off",),
        restart=True,
    ),
    Broken(
        "worker-processes",
        "is 8",
        ("alter system set max_worker_processes = 8",),
        restart=True,
    ),
    Broken("environment-leak", "CANARY_API_KEY, PYTHONPATH", by=_leak, restart=True),
    Broken("standby", "can be read but not written", by=_become_a_standby, restart=True),
]
