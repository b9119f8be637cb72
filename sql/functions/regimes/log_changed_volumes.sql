-- regimes.log_changed_volumes(): make regimes dirty where a source turns out to count volumes otherwise, as a trigger.
--
--     update bars.dim_sources set volume_unit = 'base' where source = 'mine';
--
-- regimes.log_changed_unit does it where an asset gets another source.

create or replace function regimes.log_changed_volumes()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    insert into bars.dirty_range (id, consumer, from_ts, to_ts)
    select t.id, 'regimes', '-infinity', 'infinity'
    from bars.price_state as t
    where t.source = new.source;
    return null;
end
$$;

comment on function regimes.log_changed_volumes() is
    'After a source got another unit of volumes: a dirty range over all regimes of its assets.';

create or replace trigger log_changed_volumes
    after update of volume_unit on bars.dim_sources
    for each row
    when (old.volume_unit <> new.volume_unit)
    execute function regimes.log_changed_volumes();
