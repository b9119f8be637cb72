-- timemodel.sessions(p_session_id, p_from, p_to): the expected sessions of a range, as one row per session.
--
--     select * from timemodel.sessions('EQUITY', '2024-11-25', '2024-11-29');
--
--     -- the session seven sessions earlier, for all of a range at once
--     select s.session_date, b.session_date
--     from timemodel.sessions('EQUITY', '2024-01-01', '2024-12-31') as s
--     join timemodel.sessions('EQUITY', '2023-01-01', '2024-12-31') as b on b.session_no = s.session_no - 7;
--
-- Both ends belong to the range; nothing when it is empty or has no session. time_close is
-- the last millisecond of the session, as a candle is stamped; session_close() gives the first
-- moment after it. session_no counts up by one a session: from the first of the calendar, or
-- from 1970-01-01 for what is always open. It may shift when the calendar is refreshed, so only
-- differences mean anything and it is nothing to store.
--
-- requires: functions/timemodel/is_24_7.sql

create or replace function timemodel.sessions(p_session_id text, p_from date, p_to date)
returns table (
    session_date date,
    session_no   integer,
    time_open    timestamptz,
    time_close   timestamptz
)
-- plpgsql: the checks run even where a planner would find nothing to join them to
language plpgsql
stable parallel safe rows 5000
as $$
begin
    if timemodel.is_24_7(p_session_id, p_from, p_to) then
        return query
        select
            d.day,
            d.day - date '1970-01-01',
            d.day::timestamp at time zone 'UTC',
            (d.day + time '23:59:59.999') at time zone 'UTC'
        from (
            select p_from + n.days as day
            from generate_series(0, p_to - p_from) as n (days)
        ) as d;
    else
        return query
        select c.session_date, c.session_no, c.opens_at, c.closes_at - interval '1 millisecond'
        from timemodel.session_calendar as c
        where c.session_id = p_session_id
          and c.session_date between p_from and p_to
        order by c.session_date;
    end if;
end
$$;

comment on function timemodel.sessions(text, date, date) is
    'The scheduled sessions from one date to another, both included, with open and last millisecond.';

grant execute on function timemodel.sessions(text, date, date) to ta_lab2_research;
