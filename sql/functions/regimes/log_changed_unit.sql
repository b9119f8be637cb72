-- regimes.log_changed_unit(): make an asset's regimes dirty when its volumes turn out to count something else, as a trigger.
--
--     update bars.price_state set source = 'binance' where id = 1;
--
-- A source counts volumes in units of the asset or in dollars; liquidity is judged in dollars. Candles that
-- no load brought have no source and count as dollars until a load names one. Where a source turns out to count
-- otherwise features.log_changed_unit does the same for all of its assets.
--
-- requires: functions/features/log_changed_unit.sql

create or replace function regimes.log_changed_unit()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    insert into bars.dirty_range (id, consumer, from_ts, to_ts)
    select new.id, 'regimes', '-infinity', 'infinity'
    where (select d.volume_unit = 'base' from bars.dim_sources as d where d.source = new.source)
        is distinct from
        (select d.volume_unit = 'base' from bars.dim_sources as d where d.source = old.source)
      and 'base' in (
          select d.volume_unit from bars.dim_sources as d where d.source in (new.source, old.source)
      );
    return null;
end
$$;

comment on function regimes.log_changed_unit() is
    'After an asset got another source: a dirty range over all of its regimes, if that counts volumes otherwise.';

create or replace trigger log_changed_unit
    after update of source on bars.price_state
    for each row
    when (old.source is distinct from new.source)
    execute function regimes.log_changed_unit();

create or replace trigger log_changed_volumes
    after update of volume_unit on bars.dim_sources
    for each row
    when (old.volume_unit <> new.volume_unit)
    execute function features.log_changed_unit('regimes');
