-- features.calendars(p_session_ids, p_firsts, p_lasts): the calendars that candles of assets lie in, as a kernel is given them.
--
--     select c.places, c.sessions
--     from features.calendars('{CRYPTO,CRYPTO}', '{2024-01-01,2024-02-01}', '{2024-03-01,2024-03-01}') as c;
--
-- Of each asset its session, its first and its last candle. Assets of one session share a calendar, from the first candle
-- of them all to the last: places says for each asset which of sessions is its own, from 1.
--
-- requires: functions/features/sessions_between.sql

create or replace function features.calendars(
    p_session_ids text[],
    p_firsts timestamptz[],
    p_lasts timestamptz[],
    out places integer[],
    out sessions bytea[]
)
language plpgsql
stable parallel safe
as $$
declare
    v_session_ids text[];
begin
    select
        array_agg(c.session_id),
        array_agg(array_send(features.sessions_between(c.session_id, c.first_ts, c.last_ts)))
    into v_session_ids, sessions
    from (
        select a.session_id, min(a.first_ts) as first_ts, max(a.last_ts) as last_ts
        from unnest(p_session_ids, p_firsts, p_lasts) as a (session_id, first_ts, last_ts)
        group by a.session_id
    ) as c;
    places := array(
        select array_position(v_session_ids, a.session_id)
        from unnest(p_session_ids) with ordinality as a (session_id, place)
        order by a.place
    );
end
$$;

comment on function features.calendars(text[], timestamptz[], timestamptz[]) is
    'The sessions of assets, packed once for each of their calendars, and the place of each asset''s own.';
