-- bars.log_updated_prices(): log which candles an update or upsert changed, as a statement trigger.
--
--     update bars.cmc_price_histories7 as p set close = 9 where p.id = 1 and p.ts > '2024-01-01';
--
-- The old version goes to price_revisions, the range to dirty_range. A row that was written as it
-- stood did not change and logs nothing. A candle that moved to another id or ts is deleted there
-- and new here. A version that this very transaction wrote was never seen by anyone: it is not kept.
--
-- requires: functions/bars/log_dirty_range.sql, functions/bars/price_moment.sql

create or replace function bars.log_updated_prices()
returns trigger
language plpgsql
volatile parallel unsafe
-- The plan is kept for the session: one made for a small update must also serve a large one.
set enable_nestloop = off
as $$
declare
    v_id   integer;
    v_from timestamptz;
    v_to   timestamptz;
    v_at   timestamptz;
    v_old  bars.price_revisions[];
begin
    for v_id, v_from, v_to, v_old in
        select
            id,
            min(ts),
            max(ts),
            array_agg(
                row (
                    id, ts, o.open, o.high, o.low, o.close, o.volume, o.market_cap,
                    o.time_high, o.time_low, o.recorded_at, null,
                    case when n.open is null then 'deleted' else 'changed' end
                )::bars.price_revisions
            ) filter (where o.open is not null)
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
        v_at := bars.price_moment(v_id);
        insert into bars.price_revisions (
            id, ts, open, high, low, close, volume, market_cap, time_high, time_low,
            recorded_at, superseded_at, replaced_by
        )
        select
            o.id, o.ts, o.open, o.high, o.low, o.close, o.volume, o.market_cap, o.time_high, o.time_low,
            o.recorded_at, v_at, o.replaced_by
        from unnest(v_old) as o
        where o.recorded_at < v_at;
        perform bars.log_dirty_range(v_id, v_from, v_to);
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
