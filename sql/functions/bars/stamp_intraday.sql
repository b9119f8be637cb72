-- bars.stamp_intraday(): say in every intraday candle when it was stored, as a row trigger.
--
--     insert into bars.intraday_candles (id, resolution, ts, open, high, low, close) values (...);
--
-- Whatever recorded_at a client gives is overwritten. A row written as it stood keeps its own.

create or replace function bars.stamp_intraday()
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
    new.recorded_at := now();
    return new;
end
$$;

comment on function bars.stamp_intraday() is
    'Before an intraday candle is written: sets recorded_at, but for an update that changes nothing.';

create or replace trigger stamp
    before insert or update on bars.intraday_candles
    for each row execute function bars.stamp_intraday();
