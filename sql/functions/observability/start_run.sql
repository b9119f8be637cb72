-- observability.start_run(p_type, p_metadata, p_correlation_id): begin a verb's run, as its id.
--
--     v_run := observability.start_run('refresh_features');
--     commit;
--     ...
--     perform observability.end_run(v_run, 'done');
--
-- A run is one row of workflow_state and the root of a trace tree, both with the same id. It
-- remembers its statement, so that abandoned_runs finds those that died. Commit right after.
--
-- requires: functions/observability/set_workflow_state.sql, functions/observability/start_trace.sql
-- requires: functions/observability/backend_identity.sql

create or replace function observability.start_run(
    p_type text,
    p_metadata jsonb default '{}',
    p_correlation_id text default null
)
returns uuid
language plpgsql
volatile parallel unsafe
as $$
declare
    v_correlation text := observability.correlation_id(p_correlation_id);
begin
    return observability.start_trace(
        p_type,
        p_correlation_id => v_correlation,
        p_trace_id => observability.set_workflow_state(
            p_type, 'running', 'running',
            observability.checked_object('metadata', p_metadata)
                || jsonb_build_object('backend', observability.backend_identity()),
            p_correlation_id => v_correlation
        )
    );
end
$$;

comment on function observability.start_run(text, jsonb, text) is
    'Begins a run: a workflow and a root trace of one id, which is returned.';
