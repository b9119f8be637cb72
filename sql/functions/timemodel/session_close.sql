-- timemodel.session_close(p_session_id, p_date): when the session of a date closes, as a moment in time.
--
--     select timemodel.session_close('EQUITY', '2024-07-03');   -- 17:00 UTC, an early close
--
-- The first moment after the session: a candle of it is stamped a millisecond earlier.
-- Null when the date has no session: a weekend, a holiday.
--
-- requires: functions/timemodel/is_24_7.sql

create or replace function timemodel.session_close(p_session_id text, p_date date)
returns timestamptz
language plpgsql
stable strict parallel safe
as $$
begin
    if timemodel.is_24_7(p_session_id, p_date, p_date) then
        return (p_date + 1)::timestamp at time zone 'UTC';
    end if;
    return (
        select c.closes_at
        from timemodel.session_calendar as c
        where c.session_id = p_session_id
          and c.session_date = p_date
    );
end
$$;

comment on function timemodel.session_close(text, date) is
    'When the session of this date closes, its first moment after; null when the date has none.';

grant execute on function timemodel.session_close(text, date) to ta_lab2_research;
