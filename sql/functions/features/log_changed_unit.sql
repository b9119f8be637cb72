-- features.log_changed_unit(): make indicators dirty where volumes turn out to count something else, as a trigger.
--
--     update bars.price_state set source = 'binance' where id = 1;
--     update bars.dim_sources set volume_unit = 'quote' where source = 'mine';
--
-- Indicators take volumes in units of the asset: those in money are divided by the close. Candles that no load
-- brought have no source, and count units.

create or replace function features.log_changed_unit()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    if tg_table_name = 'dim_sources' then
        insert into bars.dirty_range (id, consumer, from_ts, to_ts)
        select t.id, 'indicators', '-infinity', 'infinity'
        from bars.price_state as t
        where t.source = new.source;
    else
        insert into bars.dirty_range (id, consumer, from_ts, to_ts)
        select new.id, 'indicators', '-infinity', 'infinity'
        where exists (
            select from bars.dim_sources as d where d.source = new.source and d.volume_unit = 'quote'
        ) <> exists (
            select from bars.dim_sources as d where d.source = old.source and d.volume_unit = 'quote'
        );
    end if;
    return null;
end
$$;

comment on function features.log_changed_unit() is
    'After an asset got another source, or a source another unit: a dirty range over all indicators of assets whose volumes count otherwise.';

create or replace trigger log_changed_money
    after update of source on bars.price_state
    for each row
    when (old.source is distinct from new.source)
    execute function features.log_changed_unit();

create or replace trigger log_changed_money
    after update of volume_unit on bars.dim_sources
    for each row
    when (old.volume_unit <> new.volume_unit)
    execute function features.log_changed_unit();
