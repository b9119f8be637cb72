-- timemodel.session_count(p_session_id, p_from, p_to): how many sessions a range has, as a number.
--
--     select timemodel.session_count('EQUITY', '2024-01-01', '2024-12-31');   -- 252
--
-- Both ends belong to the range; 0 when it is empty.
--
-- requires: functions/timemodel/is_24_7.sql

create or replace function timemodel.session_count(p_session_id text, p_from date, p_to date)
returns integer
language plpgsql
stable parallel safe
as $$
begin
    if timemodel.is_24_7(p_session_id, p_from, p_to) then
        return greatest(p_to - p_from + 1, 0);
    end if;
    return (
        select count(*)
        from timemodel.session_calendar as c
        where c.session_id = p_session_id
          and c.session_date between p_from and p_to
    );
end
$$;

comment on function timemodel.session_count(text, date, date) is
    'The number of scheduled sessions from one date to another, both included.';

grant execute on function timemodel.session_count(text, date, date) to ta_lab2_research;
