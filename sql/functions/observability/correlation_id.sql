-- observability.correlation_id(p_given): the id under which to record now, as 32 hex digits.
--
--     select observability.correlation_id();
--
-- The given one, else the session's setting ta_lab2.correlation_id, else a new one, which
-- becomes the setting until the transaction ends: nested calls share it, sessions never do.
--
-- requires: functions/observability/new_correlation_id.sql

create or replace function observability.correlation_id(p_given text default null)
returns text
language plpgsql
volatile parallel unsafe
as $$
declare
    v_id text := coalesce(p_given, nullif(current_setting('ta_lab2.correlation_id', true), ''));
begin
    if v_id is null then
        return set_config('ta_lab2.correlation_id', observability.new_correlation_id(), true);
    end if;
    if v_id !~ '^[0-9a-f]{32}$' then
        raise exception 'a correlation id is 32 hex digits in lower case'
            using errcode = 'TA711',
                  detail = format('Given is %L.', left(v_id, 100)),
                  hint = 'Take one from observability.new_correlation_id(), or reset ta_lab2.correlation_id.';
    end if;
    return v_id;
end
$$;

comment on function observability.correlation_id(text) is
    'The given correlation id, else the session''s, else a new one for this transaction.';

grant execute on function observability.correlation_id(text) to ta_lab2_research;
