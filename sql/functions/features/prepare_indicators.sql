-- features.prepare_indicators(): give cmc_ta_daily the columns that active indicators lack, as how many came.
--
--     select features.prepare_indicators();
--
-- What a refresh does once, before its assets: these run no DDL. A column needs the table for a moment
-- and waits two seconds for it; a table that is busy all the time gets it in a later refresh, and
-- till then the indicator is left out.
--
-- requires: functions/indicators/column_names.sql

create or replace function features._add_column(p_kind text, p_params jsonb)
returns integer
language plpgsql
volatile parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_waits  text := current_setting('lock_timeout');
    v_params jsonb := indicators.parameters(p_kind, p_params);
    v_column text;
    v_added  integer := 0;
begin
    if not exists (
        select
        from features.dim_indicators as i
        where i.kind = p_kind
          and i.params = v_params
          and i.is_active
    ) then
        raise exception 'dim_indicators has no active row % %', p_kind, v_params
            using errcode = 'TA413',
                  hint = 'Insert it there; the next refresh adds its columns.';
    end if;
    perform set_config('lock_timeout', '2s', true);
    for v_column in
        select c.name
        from unnest(indicators.column_names(p_kind, v_params)) with ordinality as c (name, place)
        where not exists (
            select
            from pg_attribute as a
            where a.attrelid = 'features.cmc_ta_daily'::regclass
              and not a.attisdropped
              and a.attname = c.name
        )
        order by c.place
    loop
        execute format(
            'alter table features.cmc_ta_daily add column if not exists %I double precision', v_column
        );
        execute format(
            'comment on column features.cmc_ta_daily.%I is %L',
            v_column,
            format(
                '%s Parameters: %s. Null in its warm-up.',
                (select k.description from indicators.kinds() as k where k.kind = p_kind),
                (
                    select string_agg(format('%s %s', p.key, p.value), ', ' order by p.key)
                    from jsonb_each_text(v_params) as p
                )
            )
        );
        v_added := v_added + 1;
    end loop;
    perform set_config('lock_timeout', v_waits, true);
    return v_added;
end
$$;

comment on function features._add_column(text, jsonb) is
    'Private: adds the missing columns of one active row of dim_indicators to cmc_ta_daily, nullable; how many.';

create or replace function features.prepare_indicators()
returns integer
language plpgsql
volatile parallel unsafe
as $$
declare
    v_row   record;
    v_added integer := 0;
begin
    for v_row in
        select i.kind, i.params, i.columns
        from features.dim_indicators as i
        where i.is_active
          and exists (
              select
              from unnest(i.columns) as c (name)
              where not exists (
                  select
                  from pg_catalog.pg_attribute as a
                  where a.attrelid = 'features.cmc_ta_daily'::regclass
                    and not a.attisdropped
                    and a.attname = c.name
              )
          )
        order by i.indicator_id
    loop
        begin
            v_added := v_added + features._add_column(v_row.kind, v_row.params);
        exception when lock_not_available then
            raise warning 'refresh_features: cmc_ta_daily is busy, % waits for the next refresh', v_row.columns[1];
        end;
    end loop;
    if v_added > 0 then
        -- An earlier refresh may have found the row without its columns, and taken the ranges of its insert.
        insert into bars.dirty_range (id, consumer, from_ts, to_ts)
        select a.id, 'indicators', 'infinity', 'infinity'
        from bars.dim_assets as a;
    end if;
    return v_added;
end
$$;

comment on function features.prepare_indicators() is
    'Adds the columns of active indicators that cmc_ta_daily lacks, and makes every asset due for them; how many.';
