-- bars.log_deleted_intraday(): log which intraday candles a delete removed, as a statement trigger.
--
--     delete from bars.intraday_candles as p where p.id = 1 and p.ts > '2024-01-01';
--
-- requires: functions/bars/log_dirty_range.sql

create or replace function bars.log_deleted_intraday()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_changed record;
begin
    for v_changed in
        select o.id, min(o.ts) as from_ts, max(o.ts) as to_ts
        from old_rows as o
        group by o.id
        order by o.id
    loop
        perform bars.log_dirty_range(
            v_changed.id, v_changed.from_ts, v_changed.to_ts, 'intraday_candles'
        );
    end loop;
    return null;
end
$$;

comment on function bars.log_deleted_intraday() is
    'After a delete from the intraday candles: one dirty range per asset and consumer.';

create or replace trigger log_deleted
    after delete on bars.intraday_candles
    referencing old table as old_rows
    for each statement execute function bars.log_deleted_intraday();
