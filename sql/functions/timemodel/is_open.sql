-- timemodel.is_open(p_session_id, p_at): whether the market is open at a moment, as true or false.
--
--     select timemodel.is_open('EQUITY', now());
--
-- True at the opening, false at the close.
--
-- requires: functions/timemodel/session_date.sql

create or replace function timemodel.is_open(p_session_id text, p_at timestamptz)
returns boolean
language sql
stable strict parallel safe
as $$
select timemodel.session_date(p_session_id, p_at) is not null
$$;

comment on function timemodel.is_open(text, timestamptz) is
    'Whether a session is under way at the moment.';

grant execute on function timemodel.is_open(text, timestamptz) to ta_lab2_research;
