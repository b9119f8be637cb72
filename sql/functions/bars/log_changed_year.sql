-- bars.log_changed_year(): make dirty what is annualised with a session's days, as a row trigger.
--
--     update timemodel.dim_sessions set annualisation_days = 250 where session_id = 'EQUITY';
--
-- Every row of every asset of that session: volatilities are of a year of so many sessions.
--
-- requires: functions/bars/log_changed_sessions.sql

create or replace function bars.log_changed_year()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    perform bars._log_sessions(new.session_id, '-infinity', 'infinity');
    return null;
end
$$;

comment on function bars.log_changed_year() is
    'After a session has another number of days a year: a dirty range over all of every asset of its.';

create or replace trigger log_changed_year
    after update of annualisation_days on timemodel.dim_sessions
    for each row
    when (old.annualisation_days <> new.annualisation_days)
    execute function bars.log_changed_year();
