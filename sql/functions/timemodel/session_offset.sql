-- timemodel.session_offset(p_session_id, p_date, p_sessions): the session so many sessions later, as its date.
--
--     select timemodel.session_offset('EQUITY', '2024-11-29', -7);    -- 2024-11-19
--     select timemodel.session_offset('EQUITY', '2024-11-28', 1);     -- 2024-11-29: Thanksgiving is none
--
-- A negative number counts backwards. The date itself, session or not, is never counted: 1 is
-- the next session, -1 the previous; 0 is the date's own, null when it has none. A place
-- outside the calendar is an error. For many dates at once join session_no, see sessions().
--
-- requires: functions/timemodel/is_24_7.sql

create or replace function timemodel.session_offset(
    p_session_id text,
    p_date date,
    p_sessions integer
)
returns date
language plpgsql
stable strict parallel safe
as $$
declare
    v_found date;
begin
    if timemodel.is_24_7(p_session_id, p_date, p_date) then
        if p_sessions between date '0001-01-01' - p_date and date '9999-12-31' - p_date then
            v_found := p_date + p_sessions;
        end if;
    elsif p_sessions = 0 then
        return (
            select c.session_date
            from timemodel.session_calendar as c
            where c.session_id = p_session_id
              and c.session_date = p_date
        );
    else
        -- Forwards from the last session up to the date, backwards from the first one from the
        -- date on, whose number is one more than that of the last session before the date.
        select c.session_date
        into v_found
        from timemodel.session_calendar as c
        where c.session_id = p_session_id
          and c.session_no = p_sessions::bigint + case when p_sessions < 0 then 1 else 0 end + coalesce(
              (
                  select b.session_no
                  from timemodel.session_calendar as b
                  where b.session_id = p_session_id
                    and b.session_date < p_date + case when p_sessions < 0 then 0 else 1 end
                  order by b.session_date desc
                  limit 1
              ),
              -1
          );
    end if;
    if v_found is null then
        perform timemodel._raise_outside(
            p_session_id,
            format(
                '%s sessions %s %s',
                abs(p_sessions::bigint),
                case when p_sessions < 0 then 'before' else 'after' end,
                p_date
            )
        );
    end if;
    return v_found;
end
$$;

comment on function timemodel.session_offset(text, date, integer) is
    'The date of the n-th session after the date, or before it when n is negative, itself not counted.';

grant execute on function timemodel.session_offset(text, date, integer) to ta_lab2_research;
