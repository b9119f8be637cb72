-- bars.stamp_price(): say in every candle when it was stored, as a row trigger.
--
--     insert into bars.cmc_price_histories7 (id, ts, open, high, low, close) values (...);
--
-- Whatever recorded_at a client gives is overwritten. A row written as it stood keeps its own.
--
-- requires: functions/bars/price_moment.sql

create or replace function bars.stamp_price()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    if lower(tg_op) = 'update' then
        new.recorded_at := old.recorded_at;
        if new is not distinct from old then
            return new;
        end if;
    end if;
    new.recorded_at := bars.price_moment(new.id);
    return new;
end
$$;

comment on function bars.stamp_price() is
    'Before a candle is written: sets recorded_at, but for an update that changes nothing.';

-- A load that has locked the asset stamps its rows itself. Whatever else says now() is looked at
-- when the statement ends, by log_inserted_prices().
create or replace trigger stamp
    before insert on bars.cmc_price_histories7
    for each row
    when (new.recorded_at is distinct from now())
    execute function bars.stamp_price();

create or replace trigger restamp
    before update on bars.cmc_price_histories7
    for each row execute function bars.stamp_price();
