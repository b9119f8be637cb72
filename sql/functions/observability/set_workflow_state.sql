-- observability.set_workflow_state(p_type, p_phase, p_status, ...): keep where a workflow stands, as its workflow_id.
--
--     v_id := observability.set_workflow_state('nightly', 'features');
--     perform observability.set_workflow_state('nightly', 'signals', p_workflow_id => v_id);
--     perform observability.set_workflow_state('nightly', 'finished', 'done', p_workflow_id => v_id);
--
-- Without p_workflow_id it begins one. Metadata is added to what is there. One that has ended
-- stays as it is.
--
-- requires: functions/observability/correlation_id.sql, functions/observability/checked_name.sql
-- requires: functions/observability/checked_object.sql, functions/observability/checked_word.sql

create or replace function observability.set_workflow_state(
    p_type text,
    p_phase text,
    p_status text default 'running',
    p_metadata jsonb default '{}',
    p_workflow_id uuid default null,
    p_correlation_id text default null
)
returns uuid
language plpgsql
volatile parallel unsafe
as $$
declare
    v_type     text := observability.checked_name('workflow type', p_type);
    v_phase    text := observability.checked_name('phase', p_phase);
    v_metadata jsonb := observability.checked_object('metadata', p_metadata);
    v_status   text := observability.checked_word('status', p_status, '{running,done,partial,failed,abandoned}');
    v_id       uuid := gen_random_uuid();
    v_ended    text;
begin
    if p_workflow_id is null then
        insert into observability.workflow_state as w (
            workflow_id, correlation_id, type, phase, status, metadata
        )
        values (
            v_id, observability.correlation_id(p_correlation_id), v_type, v_phase, v_status, v_metadata
        );
        return v_id;
    end if;
    update observability.workflow_state as w
    set phase = v_phase,
        status = v_status,
        updated_at = greatest(w.updated_at, clock_timestamp()),
        metadata = w.metadata || v_metadata
    where w.workflow_id = p_workflow_id
      and w.type = v_type
      and w.status = 'running';
    if found then
        return p_workflow_id;
    end if;
    select format('It is %s since %s.', w.status, w.updated_at)
    into v_ended
    from observability.workflow_state as w
    where w.workflow_id = p_workflow_id
      and w.type = v_type;
    if found then
        raise exception 'workflow % has ended already', p_workflow_id
            using errcode = 'TA71D',
                  detail = v_ended,
                  hint = 'Begin another one: leave out p_workflow_id.';
    end if;
    raise exception 'no workflow % of type %', p_workflow_id, v_type
        using errcode = 'TA71C',
              hint = 'Leave out p_workflow_id to begin one.';
end
$$;

comment on function observability.set_workflow_state(text, text, text, jsonb, uuid, text) is
    'Begins a workflow, or moves a running one to a phase and status; its workflow_id.';

grant execute on function observability.set_workflow_state(text, text, text, jsonb, uuid, text)
    to ta_lab2_research;
