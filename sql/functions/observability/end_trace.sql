-- observability.end_trace(p_trace_id, p_status, p_metadata, p_end_time): keep how something ended, as void.
--
--     perform observability.end_trace(v_trace, 'failed', '{"sqlstate": "23514"}');
--
-- Metadata is added to what is there. A clock that was set back makes the end the start,
-- never an error: what ran must not fail for it.
--
-- requires: functions/observability/checked_object.sql, functions/observability/checked_word.sql

create or replace function observability.end_trace(
    p_trace_id uuid,
    p_status text default 'done',
    p_metadata jsonb default '{}',
    p_end_time timestamptz default clock_timestamp()
)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    v_ended text;
begin
    update observability.traces as t
    set end_time = greatest(t.start_time, coalesce(p_end_time, clock_timestamp())),
        status = observability.checked_word('status', p_status, '{done,partial,failed,abandoned}'),
        metadata = t.metadata || observability.checked_object('metadata', p_metadata)
    where t.trace_id = p_trace_id
      and t.status = 'running';
    if found then
        return;
    end if;
    select format('It is %s since %s.', t.status, t.end_time)
    into v_ended
    from observability.traces as t
    where t.trace_id = p_trace_id;
    if found then
        raise exception 'trace % has ended already', p_trace_id
            using errcode = 'TA71A',
                  detail = v_ended,
                  hint = 'End a trace once.';
    end if;
    raise exception 'no trace %', coalesce(p_trace_id::text, 'null')
        using errcode = 'TA719',
              hint = 'start_trace returns the id; a transaction that rolled back took its trace along.';
end
$$;

comment on function observability.end_trace(uuid, text, jsonb, timestamptz) is
    'Ends a running trace, by default as done and now.';
