-- features.sessions_between(p_id|p_session_id, p_from, p_to): the ts of scheduled sessions, in order.
--
--     select features.sessions_between(1, min(b.ts), max(b.ts))
--     from bars.cmc_price_histories7 as b
--     where b.id = 1;
--
-- Of a session, or of an asset's. Both ends included; null when there are none.
--
-- requires: functions/timemodel/sessions.sql

create or replace function features.sessions_between(p_session_id text, p_from timestamptz, p_to timestamptz)
returns timestamptz[]
language plpgsql
stable strict parallel safe
as $$
begin
    return (
        select array_agg(s.time_close order by s.time_close)
        from timemodel.dim_sessions as d
        -- A session may end on the day after its date.
        cross join lateral timemodel.sessions(
            d.session_id,
            greatest((p_from at time zone d.timezone)::date - 1, d.calendar_from),
            (p_to at time zone d.timezone)::date
        ) as s
        where d.session_id = p_session_id
          and s.time_close between p_from and p_to
    );
end
$$;

comment on function features.sessions_between(text, timestamptz, timestamptz) is
    'The ts of every scheduled session between two moments, both included.';

create or replace function features.sessions_between(p_id integer, p_from timestamptz, p_to timestamptz)
returns timestamptz[]
language plpgsql
stable strict parallel safe
as $$
begin
    return (
        select features.sessions_between(a.session_id, p_from, p_to)
        from bars.dim_assets as a
        where a.id = p_id
    );
end
$$;

comment on function features.sessions_between(integer, timestamptz, timestamptz) is
    'The ts of every scheduled session of the asset between two candles, both included.';
