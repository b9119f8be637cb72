-- timemodel.same_grid(p_a, p_b, p_session_id): whether two timeframes always have the same bars, as true or false.
--
--     select timemodel.same_grid('7D_CAL', '1W_CAL_ANCHOR_ISO');   -- true
--     select timemodel.same_grid('1W', '5D', 'EQUITY');            -- true: five sessions a week
--
-- True when, whatever the asset's first candle, the windows that hold a session begin and end on
-- the same dates. Without a session it must be so for every session. 1M_CAL and 1M_CAL_ANCHOR
-- are not: the second begins with a partial month. bar_seq may differ, because it counts empty
-- windows: those of 1D_CAL, but not of 1D.
--
-- requires: functions/timemodel/timeframe.sql, functions/timemodel/session.sql

create or replace function timemodel._grid(p_timeframe timemodel.dim_timeframe, p_days_per_week integer)
returns text
language sql
immutable parallel safe
as $$
select case
    -- A session a bar, from the first.
    when p_timeframe.base_unit = 'D' and p_timeframe.tf_qty = 1 then '1 session'
    when p_timeframe.alignment = 'trading' and p_timeframe.base_unit = 'D'
        then p_timeframe.tf_qty || ' sessions'
    when p_timeframe.alignment = 'trading'
        then coalesce(
            p_timeframe.tf_qty * p_days_per_week || ' sessions', p_timeframe.tf_qty || ' trading weeks'
        )
    when p_timeframe.anchor is null
        then concat_ws(' ', p_timeframe.tf_qty, p_timeframe.base_unit, p_timeframe.calendar_scheme, 'from the first')
    when p_timeframe.base_unit = 'Y' then 12 * p_timeframe.tf_qty || ' months'
    when p_timeframe.base_unit = 'M' then p_timeframe.tf_qty || ' months'
    when p_timeframe.calendar_scheme = 'US' then 7 * p_timeframe.tf_qty || ' days from a Sunday'
    when p_timeframe.base_unit = 'W' then 7 * p_timeframe.tf_qty || ' days from a Monday'
    else p_timeframe.tf_qty || ' days from a Monday'
end
$$;

comment on function timemodel._grid(timemodel.dim_timeframe, integer) is
    'Private: a name of the grid, the same for timeframes that always have the same bars.';

create or replace function timemodel.same_grid(p_a text, p_b text, p_session_id text default null)
returns boolean
language plpgsql
stable parallel safe
as $$
declare
    v_days_per_week integer;
begin
    if p_session_id is not null then
        v_days_per_week := (timemodel.session(p_session_id)).trading_days_per_week;
    end if;
    return timemodel._grid(timemodel.timeframe(p_a), v_days_per_week)
        = timemodel._grid(timemodel.timeframe(p_b), v_days_per_week);
end
$$;

comment on function timemodel.same_grid(text, text, text) is
    'Whether two timeframes have the same bars whatever the first candle; of one session, or of all.';

grant execute on function timemodel._grid(timemodel.dim_timeframe, integer) to ta_lab2_research;
grant execute on function timemodel.same_grid(text, text, text) to ta_lab2_research;
