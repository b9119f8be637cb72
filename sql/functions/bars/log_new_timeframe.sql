-- bars.log_new_timeframe(): wake the bars of every asset when a timeframe is to be built, as a statement trigger.
--
--     insert into timemodel.dim_timeframe (tf, ...) values ('33D', ...);
--
-- No candle changed, so the range is the end of time: a refresh finds that the asset is due and
-- builds what it has not built yet. One that is switched on again is built again.

create or replace function bars.log_new_timeframe()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    insert into bars.dirty_range (id, consumer, from_ts, to_ts)
    select a.id, 'bars', 'infinity', 'infinity'
    from bars.dim_assets as a
    where exists (select from new_rows as n where n.is_active);
    return null;
end
$$;

comment on function bars.log_new_timeframe() is
    'After a timeframe came or was changed: every asset is due for bars, if there is an active one among them.';

create or replace trigger log_inserted
    after insert on timemodel.dim_timeframe
    referencing new table as new_rows
    for each statement execute function bars.log_new_timeframe();

create or replace trigger log_updated
    after update on timemodel.dim_timeframe
    referencing new table as new_rows
    for each statement execute function bars.log_new_timeframe();
