-- regimes.log_changed_unit(): make regimes dirty where volumes turn out to count something else, as a trigger.
--
--     update bars.price_state set source = 'binance' where id = 1;
--     update bars.dim_sources set volume_unit = 'quote' where source = 'mine';
--
-- A source counts volumes in units of the asset or in dollars; liquidity is judged in dollars. Candles that
-- no load brought have no source and count as dollars until a load names one.

create or replace function regimes.log_changed_unit()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    if tg_table_name = 'dim_sources' then
        insert into bars.dirty_range (id, consumer, from_ts, to_ts)
        select t.id, 'regimes', '-infinity', 'infinity'
        from bars.price_state as t
        where t.source = new.source;
        return null;
    end if;
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
    'After an asset got another source, or a source another unit: a dirty range over all regimes of assets whose volumes count otherwise.';

create or replace trigger log_changed_unit
    after update of source on bars.price_state
    for each row
    when (old.source is distinct from new.source)
    execute function regimes.log_changed_unit();

create or replace trigger log_changed_unit
    after update of volume_unit on bars.dim_sources
    for each row
    when (old.volume_unit <> new.volume_unit)
    execute function regimes.log_changed_unit();
