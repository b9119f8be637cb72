-- timemodel.load_calendar(p_session_id, p_from, p_to, p_dates, p_opens, p_closes, p_early): replace a session's calendar, as counts.
--
--     select * from timemodel.load_calendar(
--         'EQUITY', '2024-07-01', '2024-07-04',
--         '{2024-07-01,2024-07-02,2024-07-03}',
--         '{2024-07-01 13:30Z,2024-07-02 13:30Z,2024-07-03 13:30Z}',
--         '{2024-07-01 20:00Z,2024-07-02 20:00Z,2024-07-03 17:00Z}',
--         '{false,false,true}'
--     );
--
-- `ta-lab2 calendar refresh` calls it with what exchange_calendars knows. The arrays are all
-- sessions from p_from to p_to, and what is stored becomes just that; only rows that differ are
-- written. A calendar never loses dates that it covered, and one that does not fit the hours
-- and the zone of dim_sessions is refused: then nothing is changed. Two loads of one session
-- follow each other.
--
-- requires: functions/timemodel/session.sql

create or replace function timemodel._refuse_calendar(p_session_id text, p_fault text)
returns void
language plpgsql
stable parallel safe
as $$
begin
    raise exception 'this calendar does not fit the session %', p_session_id
        using errcode = 'TA105',
              detail = p_fault,
              hint = 'Nothing was changed. Look at calendar, timezone, market_open and market_close in dim_sessions.';
end
$$;

comment on function timemodel._refuse_calendar(text, text) is
    'Private: raises the error for a calendar that can''t be that of the session.';

create or replace function timemodel.load_calendar(
    p_session_id text,
    p_from date,
    p_to date,
    p_dates date[],
    p_opens timestamptz[],
    p_closes timestamptz[],
    p_early boolean[]
)
returns table (inserted bigint, changed bigint, removed bigint)
language plpgsql
volatile parallel unsafe
-- A whole calendar is joined to a whole calendar, however few rows the statistics expect.
set enable_nestloop = off
as $$
declare
    v_session timemodel.dim_sessions;
    v_fault   text;
begin
    perform from timemodel.dim_sessions as s where s.session_id = p_session_id for no key update;
    v_session := timemodel.session(p_session_id);
    if v_session.is_24_7 then
        raise exception 'the session % is always open and has no calendar', p_session_id
            using errcode = 'TA104',
                  hint = 'There is nothing to load: its sessions are the UTC days.';
    end if;
    if num_nulls(p_from, p_to) > 0 or coalesce(cardinality(p_dates), 0) = 0 then
        perform timemodel._refuse_calendar(p_session_id, 'Its first date, its last date or all sessions are missing.');
    end if;
    if p_from > v_session.calendar_from or p_to < v_session.calendar_to then
        raise exception 'this calendar of % covers less than the stored one', p_session_id
            using errcode = 'TA106',
                  detail = format(
                      '%s to %s instead of %s to %s; nothing was changed.',
                      p_from, p_to, v_session.calendar_from, v_session.calendar_to
                  ),
                  hint = 'Look at the machine''s clock and the version of exchange_calendars.';
    end if;

    with given as (
        select
            g.session_date,
            g.opens_at at time zone v_session.timezone as opens,
            g.closes_at at time zone v_session.timezone as closes,
            g.opens_at,
            g.closes_at,
            g.is_early_close,
            lag(g.session_date) over (order by g.session_date) as date_before,
            lag(g.closes_at) over (order by g.session_date) as closed_before
        from unnest(p_dates, p_opens, p_closes, p_early)
            as g (session_date, opens_at, closes_at, is_early_close)
    ), judged as (
        select
            g.session_date,
            case
                when num_nulls(g.session_date, g.opens_at, g.closes_at, g.is_early_close) > 0
                    then 'A date, an opening, a close or whether that is early is missing.'
                when g.session_date not between p_from and p_to
                    then format('%s lies outside %s to %s.', g.session_date, p_from, p_to)
                when g.session_date = g.date_before
                    then format('%s is given twice.', g.session_date)
                when g.opens_at >= g.closes_at
                    then format('The session of %s closes before it opens.', g.session_date)
                when g.opens_at < g.closed_before
                    then format('The session of %s opens before the one before it closes.', g.session_date)
                when g.opens::date - g.session_date not between -1 and 0
                    or g.closes::date - g.session_date not between 0 and 1
                    then format('The session of %s is on another date in %s.', g.session_date, v_session.timezone)
            end as fault
        from given as g
    )
    select coalesce(
        (select j.fault from judged as j where j.fault is not null order by j.session_date limit 1),
        -- Hours have changed in the past: the last year tells.
        (
            select format(
                'In its last year it opens at %s and closes at %s in %s, never at %s and %s.',
                mode() within group (order by g.opens::time),
                mode() within group (order by g.closes::time),
                v_session.timezone, v_session.market_open, v_session.market_close
            )
            from given as g
            where g.session_date > p_to - 366
            having not coalesce(
                bool_or(
                    g.opens::time = v_session.market_open
                    and g.closes::time = v_session.market_close
                ),
                false
            )
        )
    )
    into v_fault;
    if v_fault is not null then
        perform timemodel._refuse_calendar(p_session_id, v_fault);
    end if;

    return query
    with given as (
        select g.*, row_number() over (order by g.session_date) - 1 as session_no
        from unnest(p_dates, p_opens, p_closes, p_early)
            as g (session_date, opens_at, closes_at, is_early_close)
    ), compared as (
        select
            g.*,
            c.session_id is null as is_new,
            (c.session_no, c.opens_at, c.closes_at, c.is_early_close)
                is distinct from (g.session_no, g.opens_at, g.closes_at, g.is_early_close) as differs
        from given as g
        left join timemodel.session_calendar as c
            on c.session_id = p_session_id
            and c.session_date = g.session_date
    ), dropped as (
        delete from timemodel.session_calendar as c
        where c.session_id = p_session_id
          and c.session_date <> all (p_dates)
        returning 1
    ), written as (
        insert into timemodel.session_calendar as c (
            session_id, session_date, session_no, opens_at, closes_at, is_early_close
        )
        select
            p_session_id, n.session_date, n.session_no, n.opens_at, n.closes_at, n.is_early_close
        from compared as n
        where n.differs
        on conflict (session_id, session_date) do update
        set session_no = excluded.session_no,
            opens_at = excluded.opens_at,
            closes_at = excluded.closes_at,
            is_early_close = excluded.is_early_close
    ), covered as (
        update timemodel.dim_sessions as s
        set calendar_from = p_from,
            calendar_to = p_to
        where s.session_id = p_session_id
          and (s.calendar_from, s.calendar_to) is distinct from (p_from, p_to)
    )
    select
        count(*) filter (where n.is_new),
        count(*) filter (where n.differs and not n.is_new),
        (select count(*) from dropped)
    from compared as n;
end
$$;

comment on function timemodel.load_calendar(text, date, date, date[], timestamptz[], timestamptz[], boolean[]) is
    'Makes the stored calendar of a session equal to the given one and says how many rows that took.';
