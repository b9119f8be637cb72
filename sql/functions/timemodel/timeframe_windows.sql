-- timemodel.timeframe_windows(p_tf_id, p_session_id, p_first, p_from, p_to): where a timeframe's bars begin and end, as one row per window.
--
--     select w.*
--     from timemodel.timeframe_windows(158, 'EQUITY', '1999-11-01', '2024-11-18', '2024-12-06') as w;
--
-- The windows that an asset with its first candle on p_first has between two dates, both included,
-- whole also where they reach beyond them. It is the definition that all bars are checked against.
--
-- Trading-aligned: session k, counted from 0 at p_first, is in window k div n + 1; n is the number
-- of days, or that of weeks times the session's days of a week. Calendar-aligned: days, weeks,
-- months or years are numbered along the calendar, and n of them make a window, counted from
-- unit 0 where the timeframe has an anchor, else from the first full one: no session of it comes
-- before p_first. Day 0 and the week of ISO's unit 0 begin on 1970-01-05, US weeks on 1970-01-04.
--
-- bar_seq counts windows from the first, empty ones included; a window without a session has no
-- row. first_session and last_session are scheduled ones, whether the asset has their candles or
-- not, and time_open and time_close their open and last millisecond. Sessions before the
-- calendar begins count as none; a window that it does not reach to the end of is an error.
--
-- requires: functions/timemodel/timeframe.sql, functions/timemodel/sessions.sql
-- requires: functions/timemodel/session_count.sql, functions/timemodel/session_offset.sql

create or replace function timemodel._unit(p_unit text, p_scheme text, p_date date)
returns integer
language sql
immutable parallel safe
as $$
select case p_unit
    when 'D' then p_date - date '1970-01-05'
    when 'W' then floor(
        (p_date - case p_scheme when 'US' then date '1970-01-04' else date '1970-01-05' end) / 7.0
    )::integer
    when 'M' then (extract(year from p_date) * 12 + extract(month from p_date) - 1)::integer
    when 'Y' then extract(year from p_date)::integer
end
$$;

comment on function timemodel._unit(text, text, date) is
    'Private: the number of the day, week, month or year that holds a date.';

create or replace function timemodel._unit_start(p_unit text, p_scheme text, p_number integer)
returns date
language sql
immutable parallel safe
as $$
select case p_unit
    when 'D' then date '1970-01-05' + p_number
    when 'W' then case p_scheme when 'US' then date '1970-01-04' else date '1970-01-05' end + 7 * p_number
    when 'M' then (date '0001-01-01' + make_interval(months => p_number - 12))::date
    when 'Y' then make_date(p_number, 1, 1)
end
$$;

comment on function timemodel._unit_start(text, text, integer) is
    'Private: the first date of the day, week, month or year with a number.';

create or replace function timemodel._trading_windows(
    p_count integer,
    p_session_id text,
    p_first date,
    p_to date
)
returns table (
    bar_seq       integer,
    starts_on     date,
    ends_on       date,
    first_session date,
    last_session  date,
    sessions      integer,
    time_open     timestamptz,
    time_close    timestamptz
)
language plpgsql
stable parallel safe
as $$
declare
    -- The place of the last session that is asked for, and the end of its window.
    v_place integer := timemodel.session_count(p_session_id, p_first, p_to) - 1;
    v_end   date;
begin
    if v_place < 0 then
        return;
    end if;
    v_end := timemodel.session_offset(
        p_session_id, p_first, v_place / p_count * p_count + p_count - 1
    );
    return query
    select
        (n.place / p_count)::integer + 1,
        min(n.session_date),
        max(n.session_date),
        min(n.session_date),
        max(n.session_date),
        count(*)::integer,
        min(n.time_open),
        max(n.time_close)
    from (
        select s.*, row_number() over (order by s.session_date) - 1 as place
        from timemodel.sessions(p_session_id, p_first, v_end) as s
    ) as n
    group by n.place / p_count;
end
$$;

comment on function timemodel._trading_windows(integer, text, date, date) is
    'Private: windows of so many sessions from the first, up to the one that holds a date.';

create or replace function timemodel._calendar_windows(
    p_timeframe timemodel.dim_timeframe,
    p_session timemodel.dim_sessions,
    p_first date,
    p_from date,
    p_to date
)
returns table (
    bar_seq       integer,
    starts_on     date,
    ends_on       date,
    first_session date,
    last_session  date,
    sessions      integer,
    time_open     timestamptz,
    time_close    timestamptz
)
language plpgsql
stable parallel safe
as $$
declare
    c_unit   constant text := p_timeframe.base_unit;
    c_scheme constant text := p_timeframe.calendar_scheme;
    c_count  constant integer := p_timeframe.tf_qty;
    v_unit   integer := timemodel._unit(c_unit, c_scheme, p_first);
    v_origin integer := 0;
    v_first  integer;
    v_from   integer;
    v_to     integer;
begin
    if p_timeframe.anchor is null then
        -- The first full unit.
        v_origin := v_unit + (timemodel.session_count(
            p_session.session_id,
            greatest(timemodel._unit_start(c_unit, c_scheme, v_unit), p_session.calendar_from),
            p_first
        ) > 1)::integer;
        v_first := 0;
    else
        v_first := floor(v_unit / c_count::double precision);
    end if;
    -- Units to windows: number w begins with unit v_origin + w * c_count.
    v_from := greatest(
        floor((timemodel._unit(c_unit, c_scheme, p_from) - v_origin) / c_count::double precision),
        v_first
    );
    v_to := floor((timemodel._unit(c_unit, c_scheme, p_to) - v_origin) / c_count::double precision);
    if v_to < v_from then
        return;
    end if;
    return query
    select
        g.number - v_first + 1,
        timemodel._unit_start(c_unit, c_scheme, v_origin + g.number * c_count),
        timemodel._unit_start(c_unit, c_scheme, v_origin + (g.number + 1) * c_count) - 1,
        g.first_session,
        g.last_session,
        g.sessions,
        g.time_open,
        g.time_close
    from (
        select
            n.number,
            min(n.session_date) as first_session,
            max(n.session_date) as last_session,
            count(*)::integer as sessions,
            min(n.time_open) as time_open,
            max(n.time_close) as time_close
        from (
            select
                s.*,
                floor(
                    (timemodel._unit(c_unit, c_scheme, s.session_date) - v_origin)
                    / c_count::double precision
                )::integer as number
            from timemodel.sessions(
                p_session.session_id,
                greatest(
                    timemodel._unit_start(c_unit, c_scheme, v_origin + v_from * c_count),
                    p_session.calendar_from
                ),
                timemodel._unit_start(c_unit, c_scheme, v_origin + (v_to + 1) * c_count) - 1
            ) as s
        ) as n
        group by n.number
    ) as g;
end
$$;

comment on function timemodel._calendar_windows(
    timemodel.dim_timeframe, timemodel.dim_sessions, date, date, date
) is
    'Private: windows of days, weeks, months or years between two dates, from the first of the asset on.';

create or replace function timemodel.timeframe_windows(
    p_tf_id integer,
    p_session_id text,
    p_first date,
    p_from date,
    p_to date
)
returns table (
    bar_seq          integer,
    starts_on        date,
    ends_on          date,
    first_session    date,
    last_session     date,
    sessions         integer,
    time_open        timestamptz,
    time_close       timestamptz,
    is_partial_start boolean
)
language plpgsql
stable parallel safe
as $$
declare
    v_timeframe timemodel.dim_timeframe := timemodel.timeframe(p_tf_id => p_tf_id);
    v_session   timemodel.dim_sessions := timemodel.session(p_session_id);
begin
    if timemodel.session_count(p_session_id, p_first, p_first) = 0 then
        raise exception '% is no session of %', p_first, p_session_id
            using errcode = 'TA109',
                  detail = 'It was given as the date of an asset''s first candle.',
                  hint = '`select next_session(...)` tells the next one.';
    end if;
    -- An error where a date is missing or outside the calendar.
    perform timemodel.is_24_7(p_session_id, p_from, p_to);
    return query
    select
        w.bar_seq, w.starts_on, w.ends_on, w.first_session, w.last_session, w.sessions,
        w.time_open, w.time_close, w.first_session < p_first
    from (
        select t.*
        from timemodel._trading_windows(
            v_timeframe.tf_qty
            * case v_timeframe.base_unit when 'W' then v_session.trading_days_per_week else 1 end,
            p_session_id, p_first, p_to
        ) as t
        where v_timeframe.alignment = 'trading'
        union all
        select c.*
        from timemodel._calendar_windows(v_timeframe, v_session, p_first, p_from, p_to) as c
        where v_timeframe.alignment = 'calendar'
    ) as w
    where w.ends_on >= p_from
      and w.starts_on <= p_to
    order by w.bar_seq;
end
$$;

comment on function timemodel.timeframe_windows(integer, text, date, date, date) is
    'The windows of a timeframe between two dates, for an asset whose first candle is of p_first.';

grant execute on function timemodel._unit(text, text, date) to ta_lab2_research;
grant execute on function timemodel._unit_start(text, text, integer) to ta_lab2_research;
grant execute on function timemodel._trading_windows(integer, text, date, date) to ta_lab2_research;
grant execute on function timemodel._calendar_windows(
    timemodel.dim_timeframe, timemodel.dim_sessions, date, date, date
) to ta_lab2_research;
grant execute on function timemodel.timeframe_windows(integer, text, date, date, date)
to ta_lab2_research;
