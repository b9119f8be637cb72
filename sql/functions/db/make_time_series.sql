-- db.make_time_series(p_table, p_column, p_chunk): partition a table by time, as whether it was changed.
--
--     select db.make_time_series('bars.cmc_price_histories7', 'ts', '1 year');
--
-- The one place that knows how a table becomes a time series: a hypertable where
-- TimescaleDB is, an ordinary table elsewhere. Rows that are already there move along.
-- Repeating it changes nothing; another chunk interval holds for new chunks only.

create or replace function db.make_time_series(p_table regclass, p_column name, p_chunk interval)
returns boolean
language plpgsql
volatile parallel unsafe
as $$
declare
    v_schema name;
    v_name   name;
begin
    if not exists (select from pg_extension as e where e.extname = 'timescaledb') then
        return false;
    end if;
    select n.nspname, c.relname
    into v_schema, v_name
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.oid = p_table;
    if exists (
        select
        from timescaledb_information.dimensions as d
        where d.hypertable_schema = v_schema
          and d.hypertable_name = v_name
          and d.time_interval = p_chunk
    ) then
        return false;
    end if;
    if exists (
        select
        from timescaledb_information.hypertables as h
        where h.hypertable_schema = v_schema
          and h.hypertable_name = v_name
    ) then
        perform public.set_chunk_time_interval(p_table, p_chunk);
        return true;
    end if;
    -- Every table names its own indexes; the default ones on time alone would only cost.
    perform public.create_hypertable(
        p_table, public.by_range(p_column, p_chunk),
        create_default_indexes => false,
        migrate_data => true
    );
    return true;
end
$$;

comment on function db.make_time_series(regclass, name, interval) is
    'Partitions a table by time in chunks of the given interval; true when that changed something.';
