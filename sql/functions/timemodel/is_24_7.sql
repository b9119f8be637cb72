-- timemodel.is_24_7(p_session_id, p_from, p_to): whether a session is always open, as true or false.
--
--     select timemodel.is_24_7('EQUITY', '2024-01-01', '2024-12-31');
--
-- Every routine of the time model asks here first: an unknown session, a session without
-- calendar and a date that the calendar does not cover are errors, never a null or an empty
-- result. What is always open is covered from the year 1 to the year 9999.
--
-- requires: functions/timemodel/session.sql

create or replace function timemodel._raise_outside(p_session_id text, p_what text)
returns void
language plpgsql
stable parallel safe
as $$
declare
    v_session timemodel.dim_sessions := timemodel.session(p_session_id);
begin
    raise exception 'the calendar of % does not reach %', p_session_id, p_what
        using errcode = 'TA103',
              detail = format(
                  'It covers %s to %s.',
                  coalesce(v_session.calendar_from, '0001-01-01'),
                  coalesce(v_session.calendar_to, '9999-12-31')
              ),
              hint = case
                  when v_session.is_24_7 then 'Ask for dates in between.'
                  else format(
                      '`ta-lab2 calendar refresh --session %s` loads 1990 to two years ahead.',
                      p_session_id
                  )
              end;
end
$$;

comment on function timemodel._raise_outside(text, text) is
    'Private: raises the error for what lies outside a session''s calendar.';

create or replace function timemodel.is_24_7(p_session_id text, p_from date, p_to date)
returns boolean
language plpgsql
stable parallel safe
as $$
declare
    v_session timemodel.dim_sessions;
begin
    if num_nulls(p_session_id, p_from, p_to) > 0 then
        raise exception 'a session and its dates are needed, not null'
            using errcode = '22004',
                  hint = 'A null would look like a market that never opens.';
    end if;
    v_session := timemodel.session(p_session_id);
    if not v_session.is_24_7 and v_session.calendar_from is null then
        raise exception 'the session % has no calendar yet', p_session_id
            using errcode = 'TA102',
                  detail = 'Its holidays and early closes are not known.',
                  hint = format('Run `ta-lab2 calendar refresh --session %s`.', p_session_id);
    end if;
    if least(p_from, p_to) < coalesce(v_session.calendar_from, '0001-01-01') then
        perform timemodel._raise_outside(p_session_id, least(p_from, p_to)::text);
    elsif greatest(p_from, p_to) > coalesce(v_session.calendar_to, '9999-12-31') then
        perform timemodel._raise_outside(p_session_id, greatest(p_from, p_to)::text);
    end if;
    return v_session.is_24_7;
end
$$;

comment on function timemodel.is_24_7(text, date, date) is
    'Whether the session is always open; an error unless its calendar covers both dates.';

grant execute on function timemodel._raise_outside(text, text) to ta_lab2_research;
grant execute on function timemodel.is_24_7(text, date, date) to ta_lab2_research;
