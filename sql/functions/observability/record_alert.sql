-- observability.record_alert(p_alert_type, p_severity, p_message, p_problem, ...): say that somebody should look, as the alert_id.
--
--     select observability.record_alert('ingest.stale', 'warning', 'no candle of today', 'ingest stale 1');
--
-- p_problem names something that goes on: raised again, it is the same alert with one more
-- occurrence, until resolve_alert(p_problem); after that it is a new one. Without it the alert
-- is an event, for which an insert is enough, so that research may call it too.
--
-- requires: functions/observability/correlation_id.sql, functions/observability/checked_name.sql
-- requires: functions/observability/checked_object.sql, functions/observability/checked_word.sql

create or replace function observability.record_alert(
    p_alert_type text,
    p_severity text,
    p_message text,
    p_problem text default null,
    p_metadata jsonb default '{}',
    p_correlation_id text default null
)
returns uuid
language plpgsql
volatile parallel unsafe
as $$
declare
    v_id          uuid := gen_random_uuid();
    v_correlation text := observability.correlation_id(p_correlation_id);
    v_type        text := observability.checked_name('alert type', p_alert_type);
    v_metadata    jsonb := observability.checked_object('metadata', p_metadata);
    v_severity    text := observability.checked_word('severity', p_severity, '{info,warning,critical}');
begin
    if coalesce(p_message, '') = '' or p_problem = '' then
        raise exception 'an alert says what happened'
            using errcode = 'TA71B',
                  detail = format('Message is %L, problem is %L.', p_message, p_problem),
                  hint = 'Give a message; leave the problem out where nothing goes on.';
    end if;
    if p_problem is null then
        insert into observability.alerts as a (
            alert_id, correlation_id, alert_type, severity, message, metadata
        )
        values (v_id, v_correlation, v_type, v_severity, p_message, v_metadata);
        return v_id;
    end if;
    insert into observability.alerts as a (
        alert_id, correlation_id, alert_type, severity, message, problem, metadata
    )
    values (v_id, v_correlation, v_type, v_severity, p_message, p_problem, v_metadata)
    on conflict (problem) where resolved_at is null do update
    set correlation_id = excluded.correlation_id,
        severity = excluded.severity,
        message = excluded.message,
        metadata = excluded.metadata,
        occurrences = a.occurrences + 1,
        last_raised_at = excluded.last_raised_at
    returning a.alert_id into v_id;
    return v_id;
end
$$;

comment on function observability.record_alert(text, text, text, text, jsonb, text) is
    'Raises an alert; one that goes on is counted in the row that it has. The alert_id.';

grant execute on function observability.record_alert(text, text, text, text, jsonb, text)
    to ta_lab2_research;
