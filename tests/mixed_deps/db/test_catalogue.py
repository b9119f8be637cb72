"""What must hold for every table and routine of a migrated database, read from the catalogue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ta_lab2.db import routines
from ta_lab2.db.slices import SLICES
from tests.support import golden

ROOT = Path(__file__).parents[3]
FILES = routines.discover(ROOT / "sql")
SCHEMAS = ["ta_meta", *SLICES]


def rows(tx, query, *parameters):
    return tx.execute(query, parameters).fetchall()


def none(tx, query, *parameters):
    """Whatever the query finds breaks the rule that the test's name says."""
    assert rows(tx, query, *parameters) == []


def test_no_routine_stands_without_its_file(tx):
    assert routines.orphans(tx, FILES) == []


def test_everything_in_our_schemas_belongs_to_the_owner(tx):
    none(
        tx,
        """
        select n.nspname || '.' || x.name, x.owner::regrole::text
        from pg_namespace as n
        cross join lateral (
            select c.relname, c.relowner from pg_class as c where c.relnamespace = n.oid
            union all
            select p.proname, p.proowner from pg_proc as p where p.pronamespace = n.oid
            union all
            select '', n.nspowner
        ) as x (name, owner)
        where n.nspname = any (%s) and x.owner <> 'ta_lab2_owner'::regrole
          -- Only its owner may refresh a continuous aggregate, and the app does.
          and not exists (
              select
              from timescaledb_information.continuous_aggregates as a
              where a.view_schema = n.nspname and a.view_name = x.name
                and a.view_owner = 'ta_lab2_app'
          )
        """,
        [*SCHEMAS, "published"],
    )


def test_every_routine_is_commented(tx):
    none(
        tx,
        """
        select p.oid::regprocedure::text
        from pg_proc as p
        where p.proowner = 'ta_lab2_owner'::regrole
          and obj_description(p.oid, 'pg_proc') is null
        """,
    )


def test_every_table_view_and_column_is_commented(tx):
    none(
        tx,
        """
        select n.nspname || '.' || c.relname, a.attname
        from pg_class as c
        join pg_namespace as n on n.oid = c.relnamespace
        left join pg_attribute as a
            on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and c.relkind <> 'v'
        where n.nspname = any (%s)
          and c.relkind in ('r', 'p', 'v', 'm')
          and c.relname <> 'alembic_version'
          and (
              obj_description(c.oid, 'pg_class') is null
              or (a.attnum is not null and col_description(c.oid, a.attnum) is null)
          )
        """,
        [*SCHEMAS, "published"],
    )


def test_indicators_are_pure(tx):
    none(
        tx,
        """
        select p.oid::regprocedure::text
        from pg_proc as p
        where p.pronamespace = 'indicators'::regnamespace
          -- What shares a module with the kernels of a session gives nothing.
          and p.prorettype <> 'void'::regtype
          and (p.provolatile <> 'i' or p.proparallel <> 's')
        """,
    )


def test_no_procedure_has_a_setting_or_runs_as_its_owner(tx):
    none(
        tx,
        """
        select p.oid::regprocedure::text
        from pg_proc as p
        where p.proowner = 'ta_lab2_owner'::regrole
          and p.prokind = 'p' and (p.prosecdef or p.proconfig is not null)
        """,
    )


def test_a_definer_pins_its_search_path_and_has_its_decision(tx):
    decisions = (ROOT / "DECISIONS.md").read_text()
    for name, config in rows(
        tx,
        """
        select p.pronamespace::regnamespace || '.' || p.proname, p.proconfig
        from pg_proc as p
        where p.proowner = 'ta_lab2_owner'::regrole and p.prosecdef
        """,
    ):
        assert config == ["search_path=pg_catalog, pg_temp"], name
        assert name in decisions, f"write into DECISIONS.md why {name} runs as its owner"


def test_public_may_execute_nothing_of_ours(tx):
    none(
        tx,
        """
        select p.oid::regprocedure::text
        from pg_proc as p
        where p.proowner = 'ta_lab2_owner'::regrole
          and (
              p.proacl is null
              or exists (select from aclexplode(p.proacl) as a where a.grantee = 0)
          )
        """,
    )


def test_state_does_not_depend_on_behaviour(tx):
    """No check, index or generated column calls a routine of ours: a new text would break it."""
    found = rows(
        tx,
        """
        select d.classid::regclass::text, d.objid
        from pg_depend as d
        join pg_proc as p on p.oid = d.refobjid and d.refclassid = 'pg_proc'::regclass
        where p.proowner = 'ta_lab2_owner'::regrole
          and d.classid in ('pg_constraint'::regclass, 'pg_class'::regclass, 'pg_attrdef'::regclass)
        """,
    )
    assert found == []


def test_every_table_has_a_class_and_the_reverse(tx):
    registered = set(
        rows(tx, "select t.schema_name || '.' || t.table_name from ta_meta.table_class as t")
    )
    standing = set(
        rows(
            tx,
            """
            select n.nspname || '.' || c.relname
            from pg_class as c
            join pg_namespace as n on n.oid = c.relnamespace
            where n.nspname = any (%s) and c.relkind in ('r', 'p')
            """,
            SCHEMAS,
        )
    )
    assert standing - registered == set(), "insert them into ta_meta.table_class in their revision"
    assert registered - standing == set()


ASSETS = """
    select format('%%I.%%I', t.schema_name, t.table_name)::regclass as oid
    from ta_meta.table_class as t
    where t.class = 'asset'
"""


def test_an_asset_table_is_led_by_id(tx):
    none(
        tx,
        f"""
        select a.oid::regclass::text
        from ({ASSETS}) as a
        where not exists (
            select
            from pg_index as i
            join pg_attribute as c on c.attrelid = i.indrelid and c.attnum = i.indkey[0]
            where i.indrelid = a.oid and i.indisprimary
              and c.attname = 'id' and c.atttypid = 'integer'::regtype
        )
        """,
    )


def test_every_unique_rule_of_an_asset_table_contains_id(tx):
    none(
        tx,
        f"""
        select i.indexrelid::regclass::text
        from ({ASSETS}) as a
        join pg_index as i on i.indrelid = a.oid and i.indisunique
        where not exists (
            select
            from pg_attribute as c
            where c.attrelid = a.oid and c.attname = 'id' and c.attnum = any (i.indkey::int2[])
        )
        """,
    )


def test_an_asset_table_has_no_serial_or_identity(tx):
    none(
        tx,
        f"""
        select a.oid::regclass::text, c.attname
        from ({ASSETS}) as a
        join pg_attribute as c on c.attrelid = a.oid and c.attnum > 0
        left join pg_attrdef as d on d.adrelid = a.oid and d.adnum = c.attnum
        where c.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) like 'nextval(%%'
        """,
    )


def test_foreign_keys_keep_to_the_classes(tx):
    """Asset tables reference asset (by id) or dim tables; the others none of the asset class."""
    for name, own, other, columns in rows(
        tx,
        """
        select k.conrelid::regclass || ' ' || k.conname, f.class, t.class,
            array(
                select a.attname::text
                from pg_attribute as a
                where a.attrelid = k.conrelid and a.attnum = any (k.conkey)
            )
        from pg_constraint as k
        join ta_meta.table_class as f
            on format('%%I.%%I', f.schema_name, f.table_name)::regclass = k.conrelid
        join ta_meta.table_class as t
            on format('%%I.%%I', t.schema_name, t.table_name)::regclass = k.confrelid
        where k.contype = 'f'
        """,
    ):
        if own == "asset":
            assert other in {"asset", "dim"}, name
            assert other == "dim" or "id" in columns, f"{name} must contain id"
        else:
            assert other != "asset", name


def test_a_registered_time_series_is_partitioned_as_registered(tx):
    registered = rows(
        tx,
        """
        select t.schema_name, t.table_name, t.time_column, t.chunk_interval
        from ta_meta.table_class as t
        where t.time_column is not null
        order by 1, 2
        """,
    )
    assert registered == rows(
        tx,
        """
        select d.hypertable_schema::text, d.hypertable_name::text,
            d.column_name::text, d.time_interval
        from timescaledb_information.dimensions as d
        -- What continuous aggregates are kept in.
        where d.hypertable_schema <> '_timescaledb_internal'
        order by 1, 2
        """,
    )


def test_every_dim_table_keeps_its_history(tx):
    """The migration sees to it; who adds one has nothing to do but to register it."""
    none(
        tx,
        """
        select n.nspname || '.' || c.relname
        from pg_class as c
        join pg_namespace as n on n.oid = c.relnamespace
        left join ta_meta.table_class as t
            on t.schema_name = n.nspname and t.table_name = c.relname
            and t.class = 'dim' and t.history_from is not null
        where n.nspname = any (%s) and c.relkind in ('r', 'p') and c.relname like 'dim\\_%%'
          and (
              t.history_from is null
              or 4 <> (
                  select count(*)
                  from pg_trigger as g
                  where g.tgrelid = c.oid and g.tgname like 'history\\_%%' and g.tgenabled = 'O'
              )
          )
        """,
        SCHEMAS,
    )


def test_plpgsql_check_has_nothing_to_say(own_db, autocommit):
    conn = autocommit(own_db)
    conn.execute("create extension if not exists plpgsql_check")
    found = conn.execute(
        """
        select p.oid::regprocedure::text, c.lineno, c.level, c.message
        from pg_proc as p
        join pg_language as l on l.oid = p.prolang and l.lanname = 'plpgsql'
        left join pg_trigger as t on t.tgfoid = p.oid and not t.tgisinternal and t.tgparentid = 0
        cross join lateral public.plpgsql_check_function_tb(
            p.oid, coalesce(t.tgrelid, 0),
            newtable => t.tgnewtable, oldtable => t.tgoldtable,
            fatal_errors => false, extra_warnings => true, performance_warnings => false
        ) as c
        where p.proowner = 'ta_lab2_owner'::regrole
          and (p.prorettype <> 'trigger'::regtype or t.oid is not null)
          and c.level <> 'performance'
        """
    ).fetchall()
    assert found == []


@pytest.mark.parametrize("name", golden.LISTINGS)
def test_the_golden_listing_is_current(tx, name, request):
    path = golden.FOLDER / name
    standing = golden.listing(tx, name)
    if request.config.getoption("--update-golden"):
        path.write_text(standing)
    assert path.read_text() == standing, f"review it: pytest --update-golden, then git diff {name}"


def test_the_files_make_just_the_routines_that_stand(tx):
    standing = {
        re.sub(r"\(.*", "", line.split(" ", 1)[1])
        for line in golden.listing(tx, "routines.txt").splitlines()
    }
    assert {name for file in FILES for _, name in file.creates} == standing
