-- db.make_registered_time_series(): partition every table whose class says so, as how many changed.
--
--     select db.make_registered_time_series();
--
-- The last step of a migration: a revision writes the time column and the chunk interval
-- into ta_meta.table_class, and routines, which it may not use, do the rest.
--
-- requires: functions/db/make_time_series.sql

create or replace function db.make_registered_time_series()
returns integer
language sql
volatile parallel unsafe
as $$
select count(*) filter (
    where db.make_time_series(
        format('%I.%I', c.schema_name, c.table_name)::regclass, c.time_column, c.chunk_interval
    )
)::integer
from ta_meta.table_class as c
where c.time_column is not null
$$;

comment on function db.make_registered_time_series() is
    'Partitions every table that ta_meta.table_class gives a time column; the number that changed.';
