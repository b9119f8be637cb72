-- timemodel.market_date(p_session_id, p_at): the session that a moment means, as a date.
--
--     select timemodel.market_date('EQUITY', '2024-07-03 23:59:59.999+00');   -- 2024-07-03
--
-- The session under way, also when it opened on the evening before; between sessions, and outside
-- the calendar, the date on the exchange's clock, whether that is a session or not.
--
-- requires: functions/timemodel/session.sql

create or replace function timemodel.market_date(p_session_id text, p_at timestamptz)
returns date
language plpgsql
stable strict parallel safe
as $$
declare
    v_session timemodel.dim_sessions := timemodel.session(p_session_id);
    v_local   date := (p_at at time zone v_session.timezone)::date;
begin
    return coalesce(
        (
            select c.session_date
            from timemodel.session_calendar as c
            where c.session_id = p_session_id
              and c.session_date between v_local - 1 and v_local + 1
              and c.opens_at <= p_at
              and c.closes_at > p_at
        ),
        v_local
    );
end
$$;

comment on function timemodel.market_date(text, timestamptz) is
    'The date of the session under way at the moment, else the date on the exchange''s clock.';

grant execute on function timemodel.market_date(text, timestamptz) to ta_lab2_research;
