-- db.as_it_stood(p_table, p_at): the rows that a dim_ table had at a moment, as that table's rows.
--
--     select s.* from db.as_it_stood(null::features.dim_ema_periods, '2026-06-01 06:00+00') as s;
--
-- A version counts when valid_from <= p_at < valid_to, a transaction from its begin, whenever it
-- committed: what is still running at p_at may yet change the answer. The rows have the columns of today;
-- one that the table did not have then is null. A moment before the history began is an error.

create or replace function db.as_it_stood(p_table anyelement, p_at timestamptz)
returns setof anyelement
language plpgsql
stable parallel safe
as $$
declare
    v_schema text;
    v_table  text;
    v_from   timestamptz;
begin
    if p_at is null then
        raise exception 'no moment is given'
            using errcode = 'TAD01',
                  detail = 'p_at is null.',
                  hint = 'Give the moment, such as now().';
    end if;
    select n.nspname, c.relname, m.history_from
    into v_schema, v_table, v_from
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join ta_meta.table_class as m
        on m.schema_name = n.nspname
        and m.table_name = c.relname
    where c.reltype = pg_typeof(p_table);
    if v_from is null then
        raise exception '% is no table that keeps its history', pg_typeof(p_table)
            using errcode = 'TAD02',
                  detail = format(
                      'These do: %s.',
                      (
                          select string_agg(m.table_name, ', ' order by m.table_name)
                          from ta_meta.table_class as m
                          where m.history_from is not null
                      )
                  ),
                  hint = 'Give a null of the table''s row type, such as null::dim_ema_periods.';
    end if;
    if p_at < v_from then
        raise exception 'the history of % does not reach back to %', v_table, p_at
            using errcode = 'TAD03',
                  detail = format('It began at %s.', v_from),
                  hint = 'Ask for that moment or a later one.';
    end if;
    -- Dynamic: the row's type is known by the call only.
    return query execute format(
        'select r.* from db.row_versions as v'
            ' cross join lateral jsonb_populate_record(null::%I.%I, v.content) as r'
            ' where v.schema_name = $1 and v.table_name = $2'
            ' and v.valid_from <= $3 and (v.valid_to > $3 or v.valid_to is null)'
            ' order by v.key',
        v_schema, v_table
    ) using v_schema, v_table, p_at;
end
$$;

comment on function db.as_it_stood(anyelement, timestamptz) is
    'The rows of a dim_ table at p_at, in its columns of today; p_table is a null of its row type.';

grant execute on function db.as_it_stood(anyelement, timestamptz) to ta_lab2_research;
