-- observability.end_run(p_run_id, p_status, p_metadata, p_end_time): close a run of start_run, as void.
--
--     perform observability.end_run(v_run, 'partial', '{"failed": 1}');
--
-- requires: functions/observability/set_workflow_state.sql, functions/observability/end_trace.sql

create or replace function observability.end_run(
    p_run_id uuid,
    p_status text,
    p_metadata jsonb default '{}',
    p_end_time timestamptz default clock_timestamp()
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    perform observability.end_trace(p_run_id, p_status, p_metadata, p_end_time);
    perform observability.set_workflow_state(t.operation, 'finished', p_status, p_metadata, p_run_id)
    from observability.traces as t
    where t.trace_id = p_run_id;
end
$$;

comment on function observability.end_run(uuid, text, jsonb, timestamptz) is
    'Ends a run''s workflow and root trace with the same status and metadata.';
