-- bars.prices_differ(open, high, low, close, other_open, ...): whether two sources say different prices of one candle, as a truth.
--
--     select bars.prices_differ(1, 3, 0.5, 2, 1, 3, 0.5, 2.1);   -- t
--
-- Different is what is more than rounding: a ten millionth of the larger price, which is above 0.

create or replace function bars.prices_differ(
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    other_open double precision,
    other_high double precision,
    other_low double precision,
    other_close double precision
)
returns boolean
language sql
immutable parallel safe
as $$
select abs(open - other_open) >= 1e-7 * greatest(open, other_open)
    or abs(high - other_high) >= 1e-7 * greatest(high, other_high)
    or abs(low - other_low) >= 1e-7 * greatest(low, other_low)
    or abs(close - other_close) >= 1e-7 * greatest(close, other_close)
$$;

comment on function bars.prices_differ(
    double precision, double precision, double precision, double precision,
    double precision, double precision, double precision, double precision
) is
    'Whether a price of two candles differs by a ten millionth or more; null when one of both is none.';
