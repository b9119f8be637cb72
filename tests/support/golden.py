"""Golden listings: what the catalogue holds, as text that a review can read as a diff."""

from __future__ import annotations

from pathlib import Path

import psycopg

FOLDER = Path(__file__).parents[1] / "golden"

_SCHEMAS = """
    select n.oid, n.nspname
    from pg_namespace as n
    where n.nspowner = 'ta_lab2_owner'::regrole
"""

SCHEMA = f"""
with ours as ({_SCHEMAS}),
relation as (
    select c.oid, o.nspname || '.' || c.relname as name, c.relkind, c.relpersistence
    from pg_class as c
    join ours as o on o.oid = c.relnamespace
    where c.relkind in ('r', 'v', 'm', 'p', 'S')
      -- Only TimescaleDB's community edition has them.
      and c.relname not like '%_continuous'
),
line as (
    select r.name, 0 as part, 0 as place,
        case r.relkind when 'v' then 'view ' when 'm' then 'materialized view '
            when 'S' then 'sequence ' else 'table ' end || r.name
        || case when r.relpersistence = 'u' then ' unlogged' else '' end
        || coalesce(
            (select format(' (%s%s)', t.class, ', ' || t.time_column || ' by ' || t.chunk_interval)
             from ta_meta.table_class as t
             where t.schema_name || '.' || t.table_name = r.name and t.time_column is not null),
            (select format(' (%s)', t.class)
             from ta_meta.table_class as t
             where t.schema_name || '.' || t.table_name = r.name),
            ''
        ) as text
    from relation as r
    union all
    select r.name, 1, a.attnum,
        format(
            '    %s %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
            case when a.attnotnull then ' not null' else '' end,
            case when a.attidentity <> '' then ' identity' else '' end,
            ' default ' || pg_get_expr(d.adbin, d.adrelid)
        )
    from relation as r
    join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef as d on d.adrelid = r.oid and d.adnum = a.attnum
    union all
    select r.name, 2, row_number() over (partition by r.oid order by k.conname),
        format('    %s %s', k.conname, pg_get_constraintdef(k.oid))
    from relation as r
    join pg_constraint as k on k.conrelid = r.oid
    where k.contype <> 'n'
    union all
    select r.name, 3, row_number() over (partition by r.oid order by i.indexrelid::regclass::text),
        '    ' || pg_get_indexdef(i.indexrelid)
    from relation as r
    join pg_index as i on i.indrelid = r.oid
    where not exists (select from pg_constraint as k where k.conindid = i.indexrelid)
    union all
    select r.name, 4, row_number() over (partition by r.oid order by t.tgname),
        '    ' || pg_get_triggerdef(t.oid)
    from relation as r
    join pg_trigger as t on t.tgrelid = r.oid and not t.tgisinternal
    -- Some versions of TimescaleDB have it, and others not.
    where t.tgname <> 'ts_insert_blocker'
)
select l.text from line as l order by l.name, l.part, l.place
"""

ROUTINES = """
select format(
    '%s %s.%s(%s)%s %s %s%s',
    case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
    n.nspname, p.proname, pg_get_function_arguments(p.oid),
    case when p.prokind = 'p' then '' else ' returns ' || pg_get_function_result(p.oid) end,
    case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
    case p.proparallel when 's' then 'safe' when 'r' then 'restricted' else 'unsafe' end,
    case when p.prosecdef then ' definer' else '' end
)
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
where p.proowner = 'ta_lab2_owner'::regrole
order by n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)
"""

# Who may do what, beyond the owner: a new line here is a decision about safety.
PRIVILEGES = f"""
with ours as ({_SCHEMAS}),
granted as (
    select 'schema ' || n.nspname as what, n.nspacl as acl
    from pg_namespace as n
    join ours as o on o.oid = n.oid
    union all
    select 'table ' || o.nspname || '.' || c.relname, c.relacl
    from pg_class as c
    join ours as o on o.oid = c.relnamespace
    where c.relkind in ('r', 'v', 'm', 'p', 'S')
      and c.relname not like '%_continuous'
    union all
    select 'routine ' || p.oid::regprocedure::text, p.proacl
    from pg_proc as p
    where p.proowner = 'ta_lab2_owner'::regrole
)
select format(
    '%s: %s %s', g.what, coalesce(r.rolname, 'PUBLIC'),
    string_agg(lower(a.privilege_type), ', ' order by a.privilege_type)
)
from granted as g
cross join lateral aclexplode(g.acl) as a
left join pg_roles as r on r.oid = a.grantee
where a.grantee <> 'ta_lab2_owner'::regrole
group by g.what, r.rolname
order by g.what, r.rolname
"""

LISTINGS = {"schema.txt": SCHEMA, "routines.txt": ROUTINES, "privileges.txt": PRIVILEGES}


def listing(conn: psycopg.Connection, name: str) -> str:
    """The catalogue's present text for one golden file."""
    conn.execute("set local search_path = pg_catalog")
    return "".join(f"{line}\n" for (line,) in conn.execute(LISTINGS[name].encode()))
