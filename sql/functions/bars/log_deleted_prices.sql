-- bars.log_deleted_prices(): log which candles a delete removed, as a statement trigger.
--
--     delete from bars.cmc_price_histories7 as p where p.id = 1 and p.ts > '2024-01-01';
--
-- What was removed goes to price_revisions, the range to dirty_range. A candle that this very
-- transaction wrote was never seen by anyone: it is not kept.
--
-- requires: functions/bars/log_dirty_range.sql, functions/bars/price_moment.sql

create or replace function bars._log_replaced(
    p_id integer,
    p_from timestamptz,
    p_to timestamptz,
    p_old bars.price_revisions[]
)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    v_at timestamptz := bars.price_moment(p_id);
begin
    insert into bars.price_revisions (
        id, ts, open, high, low, close, volume, market_cap, time_high, time_low,
        recorded_at, superseded_at, replaced_by
    )
    select
        o.id, o.ts, o.open, o.high, o.low, o.close, o.volume, o.market_cap, o.time_high, o.time_low,
        o.recorded_at, v_at, o.replaced_by
    from unnest(p_old) as o
    where o.recorded_at < v_at;
    perform bars.log_dirty_range(p_id, p_from, p_to);
end
$$;

comment on function bars._log_replaced(integer, timestamptz, timestamptz, bars.price_revisions[]) is
    'Private: keeps the candles of one asset that a statement replaced, and a dirty range over its change.';

create or replace function bars.log_deleted_prices()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_gone record;
begin
    for v_gone in
        select
            o.id,
            min(o.ts) as from_ts,
            max(o.ts) as to_ts,
            array_agg(
                row (
                    o.id, o.ts, o.open, o.high, o.low, o.close, o.volume, o.market_cap,
                    o.time_high, o.time_low, o.recorded_at, null, 'deleted'
                )::bars.price_revisions
            ) as old
        from old_rows as o
        group by o.id
        order by o.id
    loop
        perform bars._log_replaced(v_gone.id, v_gone.from_ts, v_gone.to_ts, v_gone.old);
    end loop;
    return null;
end
$$;

comment on function bars.log_deleted_prices() is
    'After a delete from the candles: keeps what was removed, and a dirty range over it.';

create or replace trigger log_deleted
    after delete on bars.cmc_price_histories7
    referencing old table as old_rows
    for each statement execute function bars.log_deleted_prices();
