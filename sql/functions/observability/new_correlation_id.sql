-- observability.new_correlation_id(): an id that nothing has yet, as 32 hex digits.
--
--     select set_config('ta_lab2.correlation_id', observability.new_correlation_id(), false);
--
-- Put like this into a session, all that the session records has it until it ends.
-- An OpenTelemetry trace id has the same form and may stand in its place.

create or replace function observability.new_correlation_id()
returns text
language sql
volatile parallel safe
as $$
select replace(gen_random_uuid()::text, '-', '')
$$;

comment on function observability.new_correlation_id() is
    'A new random correlation id, 32 hex digits.';

grant execute on function observability.new_correlation_id() to ta_lab2_research;
