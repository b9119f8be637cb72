-- bars.refuse_to_truncate_prices(): keep TRUNCATE away from the candles, as a statement trigger.
--
--     truncate bars.cmc_price_histories7;  -- TA202
--
-- TRUNCATE shows its trigger no rows: what it removes could not be logged.

create or replace function bars.refuse_to_truncate_prices()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    raise exception 'the candles cannot be truncated'
        using errcode = 'TA202',
              detail = 'TRUNCATE would remove candles without a trace: no revision, nothing computed anew.',
              hint = 'Use delete, which logs what it removes.';
end
$$;

comment on function bars.refuse_to_truncate_prices() is
    'Before a TRUNCATE of the candles: raises TA202.';

create or replace trigger refuse_truncate
    before truncate on bars.cmc_price_histories7
    for each statement execute function bars.refuse_to_truncate_prices();
