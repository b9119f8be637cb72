-- db.keep_histories(): keep the versions of every dim_ table from now on, as how many tables are new to it.
--
--     select db.keep_histories();
--
-- The last step of a migration, so that no revision has to think of it: every table of class dim
-- whose name begins with dim_ gets the triggers that write db.row_versions, and what a migration
-- changed in it without them (a new column) becomes a version.
--
-- A version counts from the begin of its transaction. Where another that began later has written
-- the row first, it counts from a microsecond after that one: versions never overlap. Versions that a
-- transaction wrote and replaced itself are not kept: nobody ever saw them. A row whose key
-- changes is deleted under the old one and new under the other.

create or replace function db._key_of(p_table regclass, p_content jsonb)
returns jsonb
language sql
stable parallel safe
as $$
select jsonb_object_agg(a.attname, p_content -> a.attname::text)
from pg_catalog.pg_index as i
join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
where i.indrelid = p_table
  and i.indisprimary
$$;

comment on function db._key_of(regclass, jsonb) is
    'Private: the primary key of a row of that table.';

create or replace function db._replace_versions(p_table regclass, p_old jsonb[], p_new jsonb[])
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    v_schema text;
    v_table  text;
    v_gone   jsonb[];
    v_come   jsonb[];
begin
    select
        array_agg(o.key) filter (where o.key is not null),
        array_agg(n.content) filter (where n.key is not null)
    into v_gone, v_come
    from (select db._key_of(p_table, u.content), u.content from unnest(p_old) as u (content)) as o (key, content)
    full join (select db._key_of(p_table, u.content), u.content from unnest(p_new) as u (content)) as n (key, content)
        on n.key = o.key
    where n.content is distinct from o.content;

    select n.nspname, c.relname
    into v_schema, v_table
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.oid = p_table;

    delete from db.row_versions as v
    where v.schema_name = v_schema
      and v.table_name = v_table
      and v.key = any (v_gone)
      and v.valid_to is null
      and v.written_by = pg_current_xact_id()::text
      -- In a database that was restored elsewhere an old number may come again.
      and v.valid_from >= now();

    update db.row_versions as v
    set valid_to = greatest(now(), v.valid_from + interval '1 microsecond')
    where v.schema_name = v_schema
      and v.table_name = v_table
      and v.key = any (v_gone)
      and v.valid_to is null;

    insert into db.row_versions as v (
        schema_name, table_name, key, valid_from, content, changed_by, written_by
    )
    select
        v_schema, v_table, k.key,
        greatest(
            now(),
            (
                select max(b.valid_to)
                from db.row_versions as b
                where b.schema_name = v_schema
                  and b.table_name = v_table
                  and b.key = k.key
            )
        ),
        c.content, session_user, pg_current_xact_id()::text
    from unnest(v_come) as c (content)
    cross join lateral db._key_of(p_table, c.content) as k (key);
end
$$;

comment on function db._replace_versions(regclass, jsonb[], jsonb[]) is
    'Private: ends the versions of rows that differ or are gone, and begins those of their successors.';

-- Whoever writes a dim_ table must not be able to write its history by hand.
revoke execute on function db._replace_versions(regclass, jsonb[], jsonb[]) from ta_lab2_app;

create or replace function db._log_inserted()
returns trigger
language plpgsql
volatile parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform db._replace_versions(tg_relid, null, (select array_agg(to_jsonb(n)) from new_rows as n));
    return null;
end
$$;

comment on function db._log_inserted() is
    'Private: after an insert into a dim_ table, begins the versions of the new rows.';

create or replace function db._log_updated()
returns trigger
language plpgsql
volatile parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform db._replace_versions(
        tg_relid,
        (select array_agg(to_jsonb(o)) from old_rows as o),
        (select array_agg(to_jsonb(n)) from new_rows as n)
    );
    return null;
end
$$;

comment on function db._log_updated() is
    'Private: after an update of a dim_ table, ends and begins the versions of the rows that differ.';

create or replace function db._log_deleted()
returns trigger
language plpgsql
volatile parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform db._replace_versions(tg_relid, (select array_agg(to_jsonb(o)) from old_rows as o), null);
    return null;
end
$$;

comment on function db._log_deleted() is
    'Private: after a delete from a dim_ table, ends the versions of the rows that are gone.';

create or replace function db._open_versions(p_table regclass)
returns jsonb[]
language sql
stable parallel safe
as $$
select array_agg(v.content)
from db.row_versions as v
join pg_catalog.pg_namespace as n on n.nspname = v.schema_name
join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = v.table_name
where c.oid = p_table
  and v.valid_to is null
$$;

comment on function db._open_versions(regclass) is
    'Private: the rows of the table as its history has them now.';

create or replace function db._log_truncated()
returns trigger
language plpgsql
volatile parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform db._replace_versions(tg_relid, db._open_versions(tg_relid), null);
    return null;
end
$$;

comment on function db._log_truncated() is
    'Private: before a truncate of a dim_ table, ends the versions of all rows.';

create or replace function db._keep_history(p_table regclass)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    v_standing jsonb[];
    v_known    jsonb[];
    v_trigger  record;
begin
    for v_trigger in
        select t.name, t.clauses
        from (values
            ('history_inserted', 'after insert on %s referencing new table as new_rows'),
            ('history_updated', 'after update on %s referencing old table as old_rows new table as new_rows'),
            ('history_deleted', 'after delete on %s referencing old table as old_rows'),
            ('history_truncated', 'before truncate on %s')
        ) as t (name, clauses)
        -- One that stands is left alone: making it would lock out whoever writes the table.
        where not exists (
            select
            from pg_catalog.pg_trigger as g
            where g.tgrelid = p_table
              and g.tgname = t.name
        )
    loop
        execute format(
            'create trigger %I ' || v_trigger.clauses || ' for each statement execute function db.%I()',
            v_trigger.name, p_table, replace(v_trigger.name, 'history', '_log')
        );
    end loop;
    execute format('select array_agg(to_jsonb(t)) from %s as t', p_table) into v_standing;
    -- In the shape that the table has today: a column that came and is null makes no version.
    execute format(
        'select array_agg(to_jsonb(jsonb_populate_record(null::%1$s, u.content)))'
            ' from unnest(db._open_versions(%1$L)) as u (content)',
        p_table
    ) into v_known;
    perform db._replace_versions(p_table, v_known, v_standing);
end
$$;

comment on function db._keep_history(regclass) is
    'Private: makes the triggers that the table lacks, and versions of what differs from its history.';

create or replace function db.keep_histories()
returns integer
language plpgsql
volatile parallel unsafe
as $$
declare
    v_new integer;
begin
    perform db._keep_history(format('%I.%I', c.schema_name, c.table_name)::regclass)
    from ta_meta.table_class as c
    where c.class = 'dim'
      and c.table_name like 'dim\_%';
    update ta_meta.table_class as c
    set history_from = now()
    where c.class = 'dim'
      and c.table_name like 'dim\_%'
      and c.history_from is null;
    get diagnostics v_new = row_count;
    return v_new;
end
$$;

comment on function db.keep_histories() is
    'Makes every dim_ table keep its history; the number of tables that did not yet.';
