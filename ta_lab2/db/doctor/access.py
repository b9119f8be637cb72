"""Roles and privileges: the four roles, who reaches what, who owns the schemas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg.rows import class_row

from ta_lab2.db.doctor.finding import SUPERUSER, Finding, Mend, identifier

OWNER, APP, RESEARCH, READER = (
    "ta_lab2_owner",
    "ta_lab2_app",
    "ta_lab2_research",
    "ta_lab2_reader",
)
# Whether each of the four roles logs in.
ROLES = {OWNER: False, APP: True, RESEARCH: False, READER: True}
_TOO_FAR = (OWNER, "pg_read_server_files", "pg_write_server_files", "pg_execute_server_program")
# Before the first migration a schema with one of our names is somebody else's.
_MIGRATED = "ta_meta"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what, as the catalogue says."""

    database: str
    login: str
    is_superuser: bool
    is_app: bool | None
    roles: dict[str, dict[str, bool]]
    reach: list[list[str]]
    research: list[dict[str, Any]]
    schemas: dict[str, dict[str, Any]]
    owner_creates: bool | None
    public_executes: bool
    public_routines: list[str]
    public_temporary: bool
    of_app: list[str]

    @classmethod
    def of(cls, conn: psycopg.Connection[Any], schemas: tuple[str, ...]) -> Self:
        """Return what the catalogue says, by one query; it needs no privilege."""
        row = (
            conn.cursor(row_factory=class_row(cls))
            .execute(
                _ACCESS,
                {
                    "roles": list(ROLES),
                    "owner": OWNER,
                    "app": APP,
                    "research": RESEARCH,
                    "too_far": list(_TOO_FAR),
                    "schemas": [*schemas, "cron", _MIGRATED],
                },
            )
            .fetchone()
        )
        assert row is not None
        return row

    def ours(self) -> list[str]:
        """Return the slices' schemas that a migration of ours has made."""
        if _MIGRATED not in self.schemas:
            return []
        return sorted(self.schemas.keys() - {"public", "cron", _MIGRATED})


_ACCESS = """
with me as (
    select r.oid, r.rolname, r.rolsuper from pg_roles as r where r.rolname = current_user
), owner as (
    select r.oid from pg_roles as r where r.rolname = %(owner)s
), app as (
    select r.oid from pg_roles as r where r.rolname = %(app)s
), edge as (
    select m.roleid, m.inherit_option, m.set_option,
           g.rolname as role, u.rolname as member, b.rolname as by
      from pg_auth_members as m
      join pg_roles as g on g.oid = m.roleid
      join pg_roles as u on u.oid = m.member
      join pg_roles as b on b.oid = m.grantor
     where u.rolname = any (%(roles)s)
)
select current_database()::text as database,
       (select rolname::text from me) as login,
       (select rolsuper from me) as is_superuser,
       (select pg_has_role(app.oid, 'member') from app) as is_app,
       (select coalesce(jsonb_object_agg(r.rolname, jsonb_build_object(
                   'login', r.rolcanlogin,
                   'power', r.rolsuper or r.rolcreaterole or r.rolcreatedb
                            or r.rolreplication or r.rolbypassrls)), '{}')
          from pg_roles as r
         where r.rolname = any (%(roles)s)) as roles,
       (select coalesce(jsonb_agg(jsonb_build_array(e.member, e.role, f.rolname, e.by)), '[]')
          from edge as e
          join pg_roles as f
            on f.rolname = any (%(too_far)s) and pg_has_role(e.roleid, f.oid, 'member')
         where e.role <> %(research)s and e.member <> %(owner)s) as reach,
       (select coalesce(jsonb_agg(jsonb_build_object(
                   'inherit', e.inherit_option, 'set', e.set_option, 'by', e.by)), '[]')
          from edge as e
         where e.role = %(research)s and e.member = %(app)s) as research,
       (select coalesce(jsonb_object_agg(n.nspname, jsonb_build_object(
                   'owner', pg_get_userbyid(n.nspowner),
                   'used', (select has_schema_privilege(app.oid, n.oid, 'usage') from app))), '{}')
          from pg_namespace as n
         where n.nspname = any (%(schemas)s)) as schemas,
       (select has_schema_privilege(owner.oid, 'public', 'create') from owner) as owner_creates,
       not exists (
           select
             from pg_default_acl as d
             join owner on owner.oid = d.defaclrole
            where d.defaclobjtype = 'f' and d.defaclnamespace = 0
              and not exists (select from aclexplode(d.defaclacl) as a where a.grantee = 0)
       ) as public_executes,
       (select coalesce(jsonb_agg(p.oid::regprocedure::text order by p.oid), '[]')
          from pg_proc as p
          join owner on owner.oid = p.proowner
         where has_function_privilege('public', p.oid, 'execute')) as public_routines,
       has_database_privilege('public', current_database(), 'temporary') as public_temporary,
       (select coalesce(jsonb_agg(line order by r.setdatabase), '[]')
          from pg_db_role_setting as r
          join app on app.oid = r.setrole
         cross join unnest(r.setconfig) as line
         where r.setdatabase in (0, (select d.oid from pg_database as d
                                      where d.datname = current_database()))) as of_app
"""


def judge(
    access: Access, *, schemas: tuple[str, ...], path_of_database: str | None, ours: bool
) -> Iterator[Finding]:
    """Yield what is wrong with roles and privileges.

    Args:
        access: who may do what.
        schemas: our schemas, in the order of the search path.
        path_of_database: the database's own search path, None when it has none.
        ours: the server is one of our runtimes; else only our roles may be given settings.
    """
    yield from _roles(access)
    yield from _login(access)
    if OWNER in access.roles:
        yield from _owner(access)
    if APP in access.roles:
        yield from _usage(access)
    if APP in access.roles or ours:
        yield from _search_path(access, schemas, path_of_database, ours)
    if access.public_temporary:
        yield Finding(
            "public-temporary",
            f"every login may make temporary tables in database {access.database}, "
            "and so shadow a table's name",
            _sql(f"revoke temporary on database {identifier(access.database)} from public"),
        )


def _roles(access: Access) -> Iterator[Finding]:
    for role, logs_in in ROLES.items():
        word = "login" if logs_in else "nologin"
        has = access.roles.get(role)
        if has is None:
            mend = _sql(f"create role {role} {word}")
            yield Finding("role-missing", f"role {role} does not exist", mend)
            continue
        if has["login"] != logs_in:
            can = "can" if has["login"] else "can't"
            mend = _sql(f"alter role {role} {word}")
            yield Finding("role-attributes", f"role {role} {can} log in", mend)
        if has["power"]:
            yield Finding(
                "role-attributes",
                f"role {role} has a power over the server that ta_lab2 never needs",
                _sql(
                    f"alter role {role} nosuperuser nocreaterole nocreatedb "
                    "noreplication nobypassrls"
                ),
            )
    for member, role, far, by in access.reach:
        through = "" if role == far else f" through {role}"
        yield Finding(
            "role-reach",
            f"role {member} is a member of {far}{through}",
            _sql(f"revoke {identifier(role)} from {member} granted by {identifier(by)}"),
        )
    if {APP, RESEARCH} <= access.roles.keys():
        yield from _research(access)


def _research(access: Access) -> Iterator[Finding]:
    grant = f"grant {RESEARCH} to {APP} with inherit false, set true"
    inherited = [edge["by"] for edge in access.research if edge["inherit"]]
    if inherited:
        yield Finding(
            "research-membership",
            f"role {APP} inherits from {RESEARCH}: it must switch to it, so that each step has "
            "only the privileges that it needs",
            _sql(f"{grant} granted by {identifier(inherited[0])}"),
        )
    elif not any(edge["set"] for edge in access.research):
        yield Finding(
            "research-membership",
            f"role {APP} may not switch to {RESEARCH}: no signal and no backtest would run",
            _sql(grant),
        )


def _login(access: Access) -> Iterator[Finding]:
    may_do_less = access.login in ROLES
    if access.is_superuser or access.is_app or may_do_less or APP not in access.roles:
        return
    yield Finding(
        "login",
        f"login {access.login} is neither a superuser nor a member of {APP}",
        _sql(f"grant {APP} to {identifier(access.login)}"),
    )


def _owner(access: Access) -> Iterator[Finding]:
    for schema in access.ours():
        facts = access.schemas[schema]
        if facts["owner"] != OWNER:
            yield Finding(
                "schema-owner",
                f"schema {schema} belongs to {facts['owner']}, not to {OWNER}",
                _sql(f"alter schema {schema} owner to {OWNER}"),
            )
    if not access.owner_creates:
        yield Finding(
            "owner-create",
            f"role {OWNER} may not create in schema public, where the verbs live",
            _sql(f"grant create on schema public to {OWNER}"),
        )
    if access.public_executes:
        yield Finding(
            "public-execute",
            f"every login may execute what {OWNER} will make in database {access.database}",
            _sql(
                f"alter default privileges for role {OWNER} revoke execute on routines from public"
            ),
        )
    if access.public_routines:
        first, more = access.public_routines[0], len(access.public_routines) - 1
        yield Finding(
            "routine-public",
            f"every login may execute {first}" + (f" and {more} more routines" if more else ""),
            _sql(f"revoke execute on routine {', '.join(access.public_routines)} from public"),
        )


def _usage(access: Access) -> Iterator[Finding]:
    closed = [name for name, facts in access.schemas.items() if not facts["used"]]
    ours = [name for name in ("public", *access.ours()) if name in closed]
    if ours:
        yield Finding(
            "schema-usage",
            f"role {APP} may not use schema {', '.join(ours)}",
            _sql(f"grant usage on schema {', '.join(ours)} to {APP}"),
        )
    if "cron" in closed:
        yield Finding(
            "cron-usage",
            f"role {APP} may not use schema cron, and owns the jobs",
            _sql(f"grant usage on schema cron to {APP}"),
        )


def _search_path(
    access: Access, schemas: tuple[str, ...], path_of_database: str | None, ours: bool
) -> Iterator[Finding]:
    of_app = dict(line.split("=", 1) for line in access.of_app).get("search_path")
    path = path_of_database if ours else of_app or path_of_database
    found = [part.strip(' "') for part in (path or "").split(",")]
    if [name for name in found if name in schemas] == list(schemas):
        return
    database = identifier(access.database)
    whose = f"database {database}" if ours else f"role {APP} in database {database}"
    yield Finding(
        "search-path",
        f"the search path of {whose} is {path or 'not set'}: our tables need their schema's name",
        _sql(f"alter {whose} set search_path = {', '.join(schemas)}"),
    )


def _sql(line: str) -> Mend:
    return Mend(line, "sql", SUPERUSER)
