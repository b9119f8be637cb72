-- db.make_rollup(p_name, p_source, p_time, p_bucket, p_keys, p_values, p_role): make a rollup of a time series, as void.
--
--     perform db.make_rollup(
--         'bars.intraday_1h_continuous', 'bars.intraday_candles', 'ts', '1 hour', '{id,resolution}',
--         'max(s.high) as high', 'ta_lab2_app'
--     );
--
-- The one place that knows what a continuous aggregate is; only where db.can_roll_up(). It is
-- empty until db.refresh_rollup. p_values are aggregates of the source, s, each with its name.
-- TimescaleDB lets nobody but the owner refresh, and a procedure that does can't run as its
-- owner. So the rollup belongs to p_role, which may read it but not write: what is written into
-- an aggregate stays wrong until somebody forces a refresh.

create or replace function db.make_rollup(
    p_name text,
    p_source regclass,
    p_time name,
    p_bucket interval,
    p_keys name[],
    p_values text,
    p_role name
)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    v_keys   text := (
        select string_agg(format('%I', k.key), ', ' order by k.place)
        from unnest(p_keys) with ordinality as k (key, place)
    );
    v_bucket text := format('public.time_bucket(%L::interval, s.%I)', p_bucket, p_time);
    v_schema text := split_part(p_name, '.', 1);
    v_owner  name := current_user;
    v_table  text;
begin
    -- The right to create there, and only for this moment.
    execute format('grant create on schema %I to %I', v_schema, p_role);
    perform set_config('role', p_role, true);
    -- Dynamic: on the other edition the statement may not even be tried.
    execute format(
        'create materialized view %s with (timescaledb.continuous, timescaledb.create_group_indexes = false) as'
            ' select %s, %s as %I, %s from %s as s group by %s, %s with no data',
        p_name, v_keys, v_bucket, p_time, p_values, p_source, v_keys, v_bucket
    );
    select format('%I.%I', a.materialization_hypertable_schema, a.materialization_hypertable_name)
    into v_table
    from timescaledb_information.continuous_aggregates as a
    where format('%I.%I', a.view_schema, a.view_name)::regclass = p_name::regclass;
    execute format(
        'comment on view %s is %L', p_name, format('Continuous aggregate of %s by %s.', p_source, p_bucket)
    );
    execute format('create index on %s (%s, %I)', p_name, v_keys, p_time);
    execute format('grant select on %s to %I', p_name, v_owner);
    -- What is taken away from the view goes from the table behind it too, which a refresh writes.
    execute format('revoke all on %s from %I', p_name, p_role);
    execute format('grant select on %s to %I', p_name, p_role);
    execute format('grant insert, update, delete on %s to %I', v_table, p_role);
    perform set_config('role', v_owner, true);
    execute format('revoke create on schema %I from %I', v_schema, p_role);
end
$$;

comment on function db.make_rollup(text, regclass, name, interval, name[], text, name) is
    'Makes an empty continuous aggregate that the given role may refresh.';
