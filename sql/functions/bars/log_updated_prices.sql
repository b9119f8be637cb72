-- bars.log_updated_prices(): log which candles an update or upsert changed, as a statement trigger.
--
--     update bars.cmc_price_histories7 as p set close = 9 where p.id = 1 and p.ts > '2024-01-01';
--
-- The old version goes to price_revisions, the range to dirty_range. A row that was written as it
-- stood did not change and logs nothing. A candle that moved to another id or ts is deleted there
-- and new here. A version that this very transaction wrote was never seen by anyone: it is not kept.
--
-- requires: functions/bars/log_deleted_prices.sql

create or replace function bars.log_updated_prices()
returns trigger
language plpgsql
volatile parallel unsafe
-- The plan is kept for the session: one made for a small update must also serve a large one.
set enable_nestloop = off
as $$
declare
    v_changed record;
begin
    for v_changed in
        select
            id,
            min(ts) as from_ts,
            max(ts) as to_ts,
            array_agg(
                row (
                    id, ts, o.open, o.high, o.low, o.close, o.volume, o.market_cap,
                    o.time_high, o.time_low, o.recorded_at, null,
                    case when n.open is null then 'deleted' else 'changed' end
                )::bars.price_revisions
            ) filter (where o.open is not null) as old
        from old_rows as o
        full join new_rows as n using (id, ts)
        where row (
            o.open, o.high, o.low, o.close, o.volume, o.market_cap, o.time_high, o.time_low
        ) is distinct from row (
            n.open, n.high, n.low, n.close, n.volume, n.market_cap, n.time_high, n.time_low
        )
        group by id
        order by id
    loop
        perform bars._log_replaced(v_changed.id, v_changed.from_ts, v_changed.to_ts, v_changed.old);
    end loop;
    return null;
end
$$;

comment on function bars.log_updated_prices() is
    'After an update of the candles: keeps the rows that differ as they were, and a dirty range over them.';

create or replace trigger log_updated
    after update on bars.cmc_price_histories7
    referencing old table as old_rows new table as new_rows
    for each statement execute function bars.log_updated_prices();
