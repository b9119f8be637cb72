-- bars.refuse_to_truncate_intraday(): keep TRUNCATE away from the intraday candles, as a statement trigger.
--
--     truncate bars.intraday_candles;  -- TA241
--
-- TRUNCATE shows its trigger no rows: what it removes could not be logged.

create or replace function bars.refuse_to_truncate_intraday()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    raise exception 'the intraday candles cannot be truncated'
        using errcode = 'TA241',
              detail = 'TRUNCATE would remove candles without a trace: their bars would stay.',
              hint = 'Use delete, which logs what it removes.';
end
$$;

comment on function bars.refuse_to_truncate_intraday() is
    'Before a TRUNCATE of the intraday candles: raises TA241.';

create or replace trigger refuse_truncate
    before truncate on bars.intraday_candles
    for each statement execute function bars.refuse_to_truncate_intraday();
