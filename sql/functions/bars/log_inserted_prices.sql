-- bars.log_inserted_prices(): log what an insert or COPY added to the candles, as a statement trigger.
--
--     insert into bars.cmc_price_histories7 (id, ts, open, high, low, close) values (...);
--
-- One range per asset and statement, whichever client wrote it. It loops over its own rows and
-- writes an asset's rows for that asset only, so that it also runs where assets are distributed.
--
-- A stamp of the time at which the transaction began may have been given by the client: it has to be
-- the one that price_moment() gives, which also locks the asset and refuses one that there is not.
-- TimescaleDB 2.29 hands a statement trigger the rows as they were before the row trigger `stamp`,
-- 2.19 as they were stored: where they say otherwise, the stored ones decide.
--
-- requires: functions/bars/log_dirty_range.sql, functions/bars/price_moment.sql

create or replace function bars.log_inserted_prices()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_changed record;
    v_at      timestamptz;
begin
    for v_changed in
        select n.id, min(n.ts) as from_ts, max(n.ts) as to_ts,
            min(n.recorded_at) as from_at, max(n.recorded_at) as to_at
        from new_rows as n
        group by n.id
        order by n.id
    loop
        v_at := bars.price_moment(v_changed.id);
        if (v_changed.from_at is distinct from v_at or v_changed.to_at is distinct from v_at)
            and exists (
                select
                from new_rows as n
                join bars.cmc_price_histories7 as p on p.id = n.id and p.ts = n.ts
                where n.id = v_changed.id
                  and p.recorded_at <> v_at
            )
        then
            raise exception 'a transaction that began later has written candles of asset %', v_changed.id
                using errcode = '40001',
                      detail = format('This one began at %s, its candles would be of %s.', now(), v_at),
                      hint = 'Leave recorded_at away, or do it again.';
        end if;
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
