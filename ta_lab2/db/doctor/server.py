"""The server: version, preloaded libraries, settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import psycopg
from psycopg.rows import dict_row

from ta_lab2.db.doctor.finding import (
    SUPERUSER,
    SYSTEM,
    Finding,
    Mend,
    Setting,
    identifier,
    server_setting,
)

MAJOR = 17
PACKAGES = {
    "timescaledb": "postgresql-17-timescaledb",
    "vector": "postgresql-17-pgvector",
    "plpython3u": "postgresql-plpython3-17",
    "pg_cron": "postgresql-17-cron",
}
# A library's own setting shows that it is loaded. Everybody may see TimescaleDB's.
_SIGNS = {"timescaledb": "timescaledb.max_background_workers", "pg_cron": "cron.database_name"}
_SETTINGS = (
    "allow_alter_system",
    "cron.database_name",
    "cron.max_running_jobs",
    "cron.use_background_workers",
    "data_checksums",
    "data_directory",
    "jit",
    "max_worker_processes",
    "shared_preload_libraries",
    "timescaledb.license",
    "timescaledb.max_background_workers",
    "timescaledb.telemetry_level",
    "TimeZone",
)


@dataclass(frozen=True, slots=True)
class Server:
    """What a server and one of its databases say about themselves."""

    version: int
    database: str
    encoding: str = "UTF8"
    is_template: bool = False
    is_standby: bool = False
    primary: str | None = None
    login: str = "postgres"
    sees_settings: bool = True
    settings: dict[str, Setting] = field(default_factory=dict)
    of_database: dict[str, str] = field(default_factory=dict)
    available: dict[str, str] = field(default_factory=dict)
    installed: dict[str, str] = field(default_factory=dict)
    #: How our bars of intraday candles are kept here; None: not at all, or TimescaleDB is not here.
    rollups: Literal["continuous", "kept"] | None = None

    @classmethod
    def of(cls, conn: psycopg.Connection[Any]) -> Self:
        """Return what the server says, by one query."""
        row = (
            conn.cursor(row_factory=dict_row)
            .execute(
                """
                select current_setting('server_version_num')::integer as version,
                       d.datname as database,
                       pg_encoding_to_char(d.encoding) as encoding,
                       d.datistemplate as is_template,
                       pg_is_in_recovery() as is_standby,
                       (select w.sender_host || ':' || w.sender_port
                          from pg_stat_wal_receiver as w) as primary,
                       current_user::text as login,
                       pg_has_role('pg_read_all_settings', 'usage') as sees_settings,
                       (select jsonb_object_agg(s.name, jsonb_build_array(s.setting, s.source))
                          from pg_settings as s
                         where s.name = any (%(settings)s)) as settings,
                       (select r.setconfig
                          from pg_db_role_setting as r
                         where r.setdatabase = d.oid and r.setrole = 0) as of_database,
                       (select coalesce(jsonb_object_agg(a.name, a.default_version), '{}')
                          from pg_available_extensions as a
                         where a.name = any (%(extensions)s)) as available,
                       (select jsonb_object_agg(e.extname, e.extversion)
                          from pg_extension as e) as installed,
                       (select case when bool_or(c.relname = 'intraday_1h_continuous')
                                    then 'continuous' else 'kept' end
                          from pg_class as c
                          join pg_namespace as n on n.oid = c.relnamespace
                         where n.nspname = 'bars'
                           and c.relname in ('intraday_rollups', 'intraday_1h_continuous')
                        having count(*) > 0) as rollups
                  from pg_database as d
                 where d.datname = current_database()
                """,
                {"settings": list(_SETTINGS), "extensions": list(PACKAGES)},
            )
            .fetchone()
        )
        assert row is not None
        row["settings"] = {name: Setting(*pair) for name, pair in row["settings"].items()}
        row["of_database"] = dict(line.split("=", 1) for line in row["of_database"] or [])
        return cls(**row)

    def value(self, name: str) -> str | None:
        """Return a setting's value, None when the server has none or hides it."""
        setting = self.settings.get(name)
        return setting.value if setting else None

    def is_loaded(self, library: str) -> bool:
        """Say whether a library was loaded when the server started, as far as can be seen."""
        unseen = library == "pg_cron" and not self.sees_settings
        return unseen or _SIGNS[library] in self.settings

    def set(self, name: str, *values: str, restart: bool = True) -> Mend:
        """Return the line that sets something for the whole server."""
        return server_setting(
            name,
            values,
            needs="restart" if restart else "reload",
            now=self.settings.get(name),
            by_conf=self.value("allow_alter_system") == "off",
        )

    def set_here(self, name: str, value: str) -> Mend:
        """Return the line that sets something for this database."""
        return Mend(
            f"alter database {identifier(self.database)} set {name} = {value}",
            "sql",
            "the database's owner or a superuser",
        )


def wrong_version(version: int) -> Finding | None:
    """Return a finding when the server is not of the major version that we are built for."""
    major = version // 10000
    if major == MAJOR:
        return None
    if major > MAJOR:
        line = "env -u TA_LAB2_DATABASE_URL ta-lab2 db up"
        mend = Mend(line, "shell", "you: a server of ours beside it")
    else:
        cluster = str(major) if major >= 10 else f"9.{version // 100 % 100}"
        # Under a name of its own: installing the package makes an empty cluster `main`.
        line = (
            f"apt-get install -y postgresql-{MAJOR} {' '.join(PACKAGES.values())}"
            f" && pg_upgradecluster --rename=ta_lab2 -v {MAJOR} {cluster} main"
        )
        mend = Mend(line, "shell", SYSTEM)
    return Finding(
        "server-version",
        f"the server is PostgreSQL {major}, ta_lab2 is built for {MAJOR}; "
        "nothing else was examined",
        mend,
    )


def judge(server: Server) -> Iterator[Finding]:
    """Yield what is wrong with a server and a database of its."""
    yield from _database(server)
    yield from _loading(server)
    yield from _settings(server)


def _database(server: Server) -> Iterator[Finding]:
    if server.is_standby:
        if server.primary:
            line = f"ta-lab2 db doctor postgresql://{server.primary}/{server.database}"
            mend = Mend(line, "shell", "you: this examines the primary")
        else:
            mend = Mend("select pg_promote()", "sql", f"{SUPERUSER}, if no other server is primary")
        yield Finding("standby", "the server is a standby: it can be read but not written", mend)
    if server.encoding != "UTF8":
        beside = identifier(f"{server.database}_utf8")
        yield Finding(
            "encoding",
            f"database {server.database} has encoding {server.encoding}, which can't be changed; "
            "make one with UTF8 beside it and use that",
            Mend(
                f"create database {beside} template template0 encoding 'UTF8' "
                "locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'",
                "sql",
                "a login that may create databases",
            ),
        )


def _loading(server: Server) -> Iterator[Finding]:
    loadable = [library for library in _SIGNS if library in server.available]
    missing = [library for library in loadable if not server.is_loaded(library)]
    if missing:
        names = " and ".join(missing)
        before = server.value("shared_preload_libraries")
        # A library that is not there would keep the server from starting: only loadable ones.
        listed = [name.strip(' "') for name in (before or "").split(",") if name.strip()]
        mend = server.set("shared_preload_libraries", *listed, *missing)
        if before is None:
            line = f"shared_preload_libraries = '{','.join(missing)}'"
            mend = Mend(line, "conf", f"{SYSTEM}, beside what the list has already", "restart")
        yield Finding(
            "preload",
            f"shared_preload_libraries lacks {names}; it is {before!r}"
            if before is not None
            else f"shared_preload_libraries lacks {names}; this login may not see its value",
            mend,
        )
    if "pg_cron" not in server.available or not server.sees_settings:
        return
    cron = server.value("cron.database_name")
    if cron != server.database:
        yield Finding(
            "cron-database",
            f"pg_cron works in database {cron or 'postgres'}, not in {server.database}: "
            "jobs are made there, with this database as their target, unless you move pg_cron here",
            server.set("cron.database_name", server.database),
        )
    elif server.is_template:
        yield Finding(
            "cron-template",
            f"pg_cron works in {server.database}, which is a template: pg_cron's own connection "
            "keeps it from being copied",
            Mend(
                f"alter database {identifier(server.database)} is_template false",
                "sql",
                "the database's owner or a superuser",
            ),
        )
    if server.value("cron.use_background_workers") == "off":
        yield Finding(
            "cron-background-workers",
            "cron.use_background_workers is off: every job needs a password to connect by",
            server.set("cron.use_background_workers", "on"),
        )


def _settings(server: Server) -> Iterator[Finding]:
    if server.value("data_checksums") == "off":
        where = server.value("data_directory") or "$PGDATA"
        yield Finding(
            "checksums",
            "data checksums are off: a disk that returns wrong bytes would not be noticed",
            Mend(
                f'pg_checksums --enable --pgdata "{where}"',
                "shell",
                "the server's system user",
                "stopped",
            ),
        )
    jit = server.of_database.get("jit") or server.value("jit") or "off"
    if jit == "on":
        yield Finding(
            "jit",
            f"jit is on for database {server.database}: it costs time and brings none back here",
            server.set_here("jit", "off"),
        )
    zone = server.of_database.get("TimeZone") or server.value("TimeZone") or ""
    if zone.upper() not in {"UTC", "ETC/UTC"}:
        yield Finding(
            "timezone",
            f"the time zone of database {server.database} is {zone}: days would begin elsewhere",
            server.set_here("timezone", "'UTC'"),
        )
    if server.value("timescaledb.telemetry_level") not in {None, "off"}:
        yield Finding(
            "telemetry",
            "timescaledb.telemetry_level is "
            f"{server.value('timescaledb.telemetry_level')}: the server calls home",
            server.set("timescaledb.telemetry_level", "off", restart=False),
        )
    wanted = _worker_processes(server)
    has = int(server.value("max_worker_processes") or wanted)
    if has < wanted:
        yield Finding(
            "worker-processes",
            f"max_worker_processes is {has}, but TimescaleDB and pg_cron ask for {wanted}: "
            "jobs would wait or fail to start",
            server.set("max_worker_processes", str(wanted)),
        )


def _worker_processes(server: Server) -> int:
    # One for logical replication's launcher, one for each library's own launcher.
    wanted = 1
    if server.is_loaded("timescaledb"):
        wanted += 1 + int(server.value("timescaledb.max_background_workers") or 0)
    if server.is_loaded("pg_cron"):
        wanted += 1
        if server.value("cron.use_background_workers") == "on":
            wanted += int(server.value("cron.max_running_jobs") or 0)
    return wanted
