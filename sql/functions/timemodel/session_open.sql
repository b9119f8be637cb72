-- timemodel.session_open(p_session_id, p_date): when the session of a date opens, as a moment in time.
--
--     select timemodel.session_open('EQUITY', '2024-07-03');   -- 13:30 UTC
--
-- Null when the date has no session: a weekend, a holiday.
--
-- requires: functions/timemodel/is_24_7.sql

create or replace function timemodel.session_open(p_session_id text, p_date date)
returns timestamptz
language plpgsql
stable strict parallel safe
as $$
begin
    if timemodel.is_24_7(p_session_id, p_date, p_date) then
        return p_date::timestamp at time zone 'UTC';
    end if;
    return (
        select c.opens_at
        from timemodel.session_calendar as c
        where c.session_id = p_session_id
          and c.session_date = p_date
    );
end
$$;

comment on function timemodel.session_open(text, date) is
    'When the session of this date opens; null when the date has none.';

grant execute on function timemodel.session_open(text, date) to ta_lab2_research;
