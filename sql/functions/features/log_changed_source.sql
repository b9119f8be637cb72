-- features.log_changed_source(): make an asset's indicators dirty when another source counts its volumes otherwise, as a trigger.
--
--     update bars.price_state set source = 'binance' where id = 1;
--
-- As features.log_changed_unit. Candles that no load brought have no source, and count units of the asset.
-- Where no indicators were worked out yet all of them are due anyway.

create or replace function features.log_changed_source()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    insert into bars.dirty_range (id, consumer, from_ts, to_ts)
    select new.id, 'indicators', '-infinity', 'infinity'
    where exists (
        select from bars.dim_sources as d where d.source = new.source and d.volume_unit = 'quote'
    ) <> exists (
        select from bars.dim_sources as d where d.source = old.source and d.volume_unit = 'quote'
    )
      and exists (
        select from features.feature_state as s where s.id = new.id and s.feature_type = 'indicators'
    );
    return null;
end
$$;

comment on function features.log_changed_source() is
    'After an asset got another source: a dirty range over all of its indicators, if that counts volumes otherwise.';

create or replace trigger log_changed_money
    after update of source on bars.price_state
    for each row
    when (old.source is distinct from new.source)
    execute function features.log_changed_source();
