-- bars.stray_candles(p_session_id): candles on days that are no sessions, as one row per candle.
--
--     select * from bars.stray_candles('EQUITY');
--
-- None is loaded so; a calendar that is corrected later may take a candle's session away. Such a
-- candle is kept, and the refresh of its asset fails and names it until it is deleted.
--
-- requires: functions/timemodel/session.sql

create or replace function bars.stray_candles(p_session_id text)
returns table (id integer, ts timestamptz)
language plpgsql
stable parallel safe
-- All candles are joined to a whole calendar, however few rows the statistics expect.
set enable_nestloop = off
as $$
declare
    v_session timemodel.dim_sessions := timemodel.session(p_session_id);
begin
    return query
    select p.id, p.ts
    from bars.cmc_price_histories7 as p
    left join timemodel.session_calendar as c
        on c.session_id = v_session.session_id
        and c.closes_at = p.ts + interval '1 millisecond'
    where p.id in (select a.id from bars.dim_assets as a where a.session_id = v_session.session_id)
      and case
          when v_session.is_24_7 then (p.ts at time zone 'UTC')::time <> '23:59:59.999'
          else c.session_id is null
      end
    order by p.id, p.ts;
end
$$;

comment on function bars.stray_candles(text) is
    'The candles of this session''s assets whose ts is not the last millisecond of a session.';
