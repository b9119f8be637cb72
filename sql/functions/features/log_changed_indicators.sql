-- features.log_changed_indicators(): wake the indicators of every asset when one came or was switched, as a statement trigger.
--
--     update dim_indicators set is_active = true where columns[1] = 'rsi_28';
--
-- No candle changed, so the range is the end of time: a refresh finds that the asset is due,
-- works out what it has not worked out yet, and forgets the state of what was switched off.

create or replace function features.log_changed_indicators()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    insert into bars.dirty_range (id, consumer, from_ts, to_ts)
    select a.id, 'indicators', 'infinity', 'infinity'
    from bars.dim_assets as a;
    return null;
end
$$;

comment on function features.log_changed_indicators() is
    'After indicators came or were switched on or off: every asset is due for indicators.';

create or replace trigger log_changed
    after insert or update on features.dim_indicators
    for each statement execute function features.log_changed_indicators();
