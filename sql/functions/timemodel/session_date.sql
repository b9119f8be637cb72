-- timemodel.session_date(p_session_id, p_at): the session that is under way at a moment, as its date.
--
--     select timemodel.session_date('EQUITY', '2024-07-03 16:59:59.999+00');   -- 2024-07-03
--
-- Null when the market is closed. A session holds its opening and not its close; where one
-- session opens as another closes, the moment belongs to the later. A session may open on the
-- evening before its date.
--
-- requires: functions/timemodel/is_24_7.sql

create or replace function timemodel.session_date(p_session_id text, p_at timestamptz)
returns date
language plpgsql
stable strict parallel safe
as $$
declare
    v_today date := (p_at at time zone 'UTC')::date;
begin
    if timemodel.is_24_7(p_session_id, v_today, v_today) then
        return v_today;
    end if;
    return (
        select c.session_date
        from timemodel.session_calendar as c
        where c.session_id = p_session_id
          and c.session_date between v_today - 2 and v_today + 2
          and c.opens_at <= p_at
          and c.closes_at > p_at
    );
end
$$;

comment on function timemodel.session_date(text, timestamptz) is
    'The date of the session that is under way at the moment; null when the market is closed.';

grant execute on function timemodel.session_date(text, timestamptz) to ta_lab2_research;
