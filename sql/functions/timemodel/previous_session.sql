-- timemodel.previous_session(p_session_id, p_date): the last session before a date, as its date.
--
--     select timemodel.previous_session('EQUITY', '2024-03-29');   -- Good Friday: 2024-03-28
--
-- The date itself, session or not, is never the answer.
--
-- requires: functions/timemodel/session_offset.sql

create or replace function timemodel.previous_session(p_session_id text, p_date date)
returns date
language sql
stable strict parallel safe
as $$
select timemodel.session_offset(p_session_id, p_date, -1)
$$;

comment on function timemodel.previous_session(text, date) is
    'The date of the last session before the date.';

grant execute on function timemodel.previous_session(text, date) to ta_lab2_research;
