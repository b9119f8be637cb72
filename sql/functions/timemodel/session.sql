-- timemodel.session(p_session_id): the row of a session, as dim_sessions holds it.
--
--     select s.timezone, s.market_open from timemodel.session('EQUITY') as s;
--
-- A name that no session has is an error, never a null.

create or replace function timemodel.session(p_session_id text)
returns timemodel.dim_sessions
language plpgsql
stable parallel safe
as $$
declare
    v_session timemodel.dim_sessions;
begin
    select s.*
    into v_session
    from timemodel.dim_sessions as s
    where s.session_id = p_session_id;
    if not found then
        raise exception 'no session is called %', p_session_id
            using errcode = 'TA101',
                  detail = (
                      select format('Known are %s.', string_agg(s.session_id, ', ' order by s.session_id))
                      from timemodel.dim_sessions as s
                  ),
                  hint = 'Another exchange is a row of dim_sessions, then `ta-lab2 calendar refresh`.';
    end if;
    return v_session;
end
$$;

comment on function timemodel.session(text) is
    'The row of dim_sessions with this name; an error when there is none.';

grant execute on function timemodel.session(text) to ta_lab2_research;
