-- observability.record_metric(p_metric_name, p_value, p_tags, ...): keep a measured number, as its metric_id.
--
--     select observability.record_metric('ingest.seconds', 1.5, '{"source": "cmc"}');
--
-- Put the unit into the name. Tags are few, flat and repeat: they are what one groups by.
-- What is recorded in a transaction that rolls back was never recorded.
-- An insert is all that it needs, so research may call it too.
--
-- requires: functions/observability/correlation_id.sql, functions/observability/checked_name.sql
-- requires: functions/observability/checked_object.sql

create or replace function observability._checked_tags(p_tags jsonb)
returns jsonb
language plpgsql
immutable parallel safe
as $$
declare
    v_tags jsonb := observability.checked_object('tags', p_tags);
    v_name text;
begin
    select t.key
    into v_name
    from jsonb_each(v_tags) as t
    where t.key !~ '^[a-z][a-z0-9_.]*$'
       or jsonb_typeof(t.value) not in ('string', 'number', 'boolean')
       or length(t.value #>> '{}') > 200
    limit 1;
    if found then
        raise exception 'the tag % is not a lower case name with a short plain value', left(v_name, 100)
            using errcode = 'TA715',
                  detail = format('Given is %s.', left((v_tags -> v_name)::text, 200)),
                  hint = 'Tags hold text of at most 200 characters, numbers, true or false.';
    end if;
    return v_tags;
end
$$;

comment on function observability._checked_tags(jsonb) is
    'Private: the given tags, {} for null; raises TA714 or TA715 unless they are flat.';

grant execute on function observability._checked_tags(jsonb) to ta_lab2_research;

create or replace function observability.record_metric(
    p_metric_name text,
    p_value double precision,
    p_tags jsonb default '{}',
    p_recorded_at timestamptz default clock_timestamp(),
    p_correlation_id text default null
)
returns uuid
language plpgsql
volatile parallel unsafe
as $$
declare
    v_id uuid := gen_random_uuid();
begin
    -- NaN is greater than every number, infinity included.
    if p_value is null or p_value >= 'infinity' or p_value = '-infinity' then
        raise exception 'the value of a metric is a finite number'
            using errcode = 'TA716',
                  detail = format('%s is %s.', p_metric_name, coalesce(p_value::text, 'null')),
                  hint = 'Leave out what could not be measured.';
    end if;
    insert into observability.metrics as m (metric_id, correlation_id, metric_name, value, tags, recorded_at)
    values (
        v_id,
        observability.correlation_id(p_correlation_id),
        observability.checked_name('metric name', p_metric_name),
        p_value,
        observability._checked_tags(p_tags),
        coalesce(p_recorded_at, clock_timestamp())
    );
    return v_id;
end
$$;

comment on function observability.record_metric(text, double precision, jsonb, timestamptz, text) is
    'Records one measured number; its metric_id.';

grant execute on function observability.record_metric(text, double precision, jsonb, timestamptz, text)
    to ta_lab2_research;
