-- features.log_changed_unit(): make a computation dirty where a source turns out to count volumes otherwise, as a trigger.
--
--     update bars.dim_sources set volume_unit = 'quote' where source = 'mine';
--
-- The computation is the trigger's argument. Indicators take volumes in units of the asset: those in money are divided by the close.

create or replace function features.log_changed_unit()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    insert into bars.dirty_range (id, consumer, from_ts, to_ts)
    select t.id, tg_argv[0], '-infinity', 'infinity'
    from bars.price_state as t
    where t.source = new.source;
    return null;
end
$$;

comment on function features.log_changed_unit() is
    'After a source got another unit of volumes: a dirty range over all of its assets for the trigger''s computation.';

create or replace trigger log_changed_money
    after update of volume_unit on bars.dim_sources
    for each row
    when (old.volume_unit <> new.volume_unit)
    execute function features.log_changed_unit('indicators');
