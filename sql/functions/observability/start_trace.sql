-- observability.start_trace(p_operation, p_metadata, ...): keep that something begins, as its trace_id.
--
--     v_trace := observability.start_trace('ingest.file', '{"file": "1_bitcoin.csv"}');
--     ...
--     perform observability.end_trace(v_trace);
--
-- requires: functions/observability/record_trace.sql

create or replace function observability.start_trace(
    p_operation text,
    p_metadata jsonb default '{}',
    p_parent_id uuid default null,
    p_correlation_id text default null,
    p_trace_id uuid default null
)
returns uuid
language sql
volatile parallel unsafe
as $$
select observability._insert_trace(
    p_trace_id, p_operation, clock_timestamp(), null, 'running', p_metadata, p_parent_id, p_correlation_id
)
$$;

comment on function observability.start_trace(text, jsonb, uuid, text, uuid) is
    'Records that something begins now; its trace_id, for end_trace.';

grant execute on function observability.start_trace(text, jsonb, uuid, text, uuid) to ta_lab2_research;
