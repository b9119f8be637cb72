-- observability.record_trace(p_operation, p_start_time, p_end_time, ...): keep what ran when, as its trace_id.
--
--     select observability.record_trace('ingest.file', v_began, clock_timestamp(), p_parent_id => v_run);
--
-- For what is over; what begins now and ends later: start_trace and end_trace. A child is
-- recorded under its parent's correlation id. An insert is all that it needs, so research may
-- call it too.
--
-- requires: functions/observability/correlation_id.sql, functions/observability/checked_name.sql
-- requires: functions/observability/checked_object.sql, functions/observability/checked_word.sql

create or replace function observability._insert_trace(
    p_trace_id uuid,
    p_operation text,
    p_start_time timestamptz,
    p_end_time timestamptz,
    p_status text,
    p_metadata jsonb,
    p_parent_id uuid,
    p_correlation_id text
)
returns uuid
language plpgsql
volatile parallel unsafe
as $$
declare
    v_id          uuid := coalesce(p_trace_id, gen_random_uuid());
    v_correlation text := observability.correlation_id(p_correlation_id);
begin
    insert into observability.traces as t (
        trace_id, correlation_id, parent_id, operation, start_time, end_time, status, metadata
    )
    values (
        v_id,
        v_correlation,
        p_parent_id,
        observability.checked_name('operation', p_operation),
        p_start_time,
        p_end_time,
        p_status,
        observability.checked_object('metadata', p_metadata)
    );
    return v_id;
exception when foreign_key_violation then
    raise exception 'no trace % to be the parent', p_parent_id
        using errcode = 'TA717',
              detail = format('Looked for with the correlation id %s.', v_correlation),
              hint = 'Record a child under its parent''s correlation id: pass it, or set ta_lab2.correlation_id.';
end
$$;

comment on function observability._insert_trace(
    uuid, text, timestamptz, timestamptz, text, jsonb, uuid, text
) is 'Private: inserts a trace, running or over; raises TA717 for a parent that is not there.';

grant execute on function observability._insert_trace(
    uuid, text, timestamptz, timestamptz, text, jsonb, uuid, text
) to ta_lab2_research;

create or replace function observability.record_trace(
    p_operation text,
    p_start_time timestamptz,
    p_end_time timestamptz,
    p_status text default 'done',
    p_metadata jsonb default '{}',
    p_parent_id uuid default null,
    p_correlation_id text default null
)
returns uuid
language plpgsql
volatile parallel unsafe
as $$
begin
    if p_start_time is null or p_end_time is null or p_end_time < p_start_time then
        raise exception 'a trace ends after its start'
            using errcode = 'TA718',
                  detail = format(
                      '%s: from %s to %s.', p_operation,
                      coalesce(p_start_time::text, 'null'), coalesce(p_end_time::text, 'null')
                  ),
                  hint = 'Give both times, the start first; what still runs is begun by start_trace.';
    end if;
    return observability._insert_trace(
        null, p_operation, p_start_time, p_end_time,
        observability.checked_word('status', p_status, '{done,partial,failed,abandoned}'),
        p_metadata, p_parent_id, p_correlation_id
    );
end
$$;

comment on function observability.record_trace(
    text, timestamptz, timestamptz, text, jsonb, uuid, text
) is 'Records something that ran and is over; its trace_id.';

grant execute on function observability.record_trace(
    text, timestamptz, timestamptz, text, jsonb, uuid, text
) to ta_lab2_research;
