-- timemodel.timeframe_window_at(p_tf, p_session_id, p_first, p_at): the bar that holds a moment, as one row or none.
--
--     select w.*
--     from timemodel.timeframe_window_at('1W_CAL_ISO', 'EQUITY', '1999-11-01', '2024-11-28 15:00+00') as w;
--
-- The window of the moment's date: that of the session under way, else the date on the exchange's
-- clock. None before the asset's first window, on the days between two trading-aligned bars, and
-- in a window without a session.
--
-- requires: functions/timemodel/timeframe_windows.sql, functions/timemodel/market_date.sql

create or replace function timemodel.timeframe_window_at(
    p_tf text,
    p_session_id text,
    p_first date,
    p_at timestamptz
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
    v_timeframe timemodel.dim_timeframe := timemodel.timeframe(p_tf);
    v_date      date := timemodel.market_date(p_session_id, p_at);
begin
    return query
    select w.*
    from timemodel.timeframe_windows(v_timeframe.tf_id, p_session_id, p_first, v_date, v_date) as w;
end
$$;

comment on function timemodel.timeframe_window_at(text, text, date, timestamptz) is
    'The window of a timeframe that holds a moment, for an asset whose first candle is of p_first.';

grant execute on function timemodel.timeframe_window_at(text, text, date, timestamptz)
to ta_lab2_research;
