-- bars.log_inserted_prices(): log what an insert or COPY added to the candles, as a statement trigger.
--
--     insert into bars.cmc_price_histories7 (id, ts, open, high, low, close) values (...);
--
-- One range per asset and statement, whichever client wrote it. It loops over its own rows and
-- writes an asset's rows for that asset only, so that it also runs where assets are distributed.
--
-- requires: functions/bars/log_dirty_range.sql

create or replace function bars.log_inserted_prices()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_changed record;
begin
    for v_changed in
        select n.id, min(n.ts) as from_ts, max(n.ts) as to_ts
        from new_rows as n
        group by n.id
        order by n.id
    loop
        perform bars.log_dirty_range(v_changed.id, v_changed.from_ts, v_changed.to_ts);
    end loop;
    return null;
end
$$;

comment on function bars.log_inserted_prices() is
    'After an insert into the candles: one dirty range per asset and consumer.';

create or replace trigger log_inserted
    after insert on bars.cmc_price_histories7
    referencing new table as new_rows
    for each statement execute function bars.log_inserted_prices();
