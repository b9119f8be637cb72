-- bars.candle_fault(p_open, ..., p_n_open, ...): what is wrong with the prices and the volume of a line, as words.
--
--     select bars.candle_fault('1', '3', '0.5', 'x', '10', 1, 3, 0.5, null, 10);   -- price unparsable
--
-- The texts of a line and what they mean as numbers, null where they mean none. Null: nothing is wrong.
-- A null text is a column that the file lacks, which a volume may be.

create or replace function bars.candle_fault(
    p_open text,
    p_high text,
    p_low text,
    p_close text,
    p_volume text,
    p_n_open double precision,
    p_n_high double precision,
    p_n_low double precision,
    p_n_close double precision,
    p_n_volume double precision
)
returns text
language sql
immutable parallel safe
as $$
select case
    when p_n_open is null or p_n_high is null or p_n_low is null or p_n_close is null
    then case
        when '' = any (array[p_open, p_high, p_low, p_close]) then 'price missing'
        else 'price unparsable'
    end
    -- NaN is greater than every number, infinity included.
    when greatest(p_n_open, p_n_high, p_n_low, p_n_close) >= 'infinity' then 'price not a number'
    when least(p_n_open, p_n_high, p_n_low, p_n_close) <= 0 then 'price not positive'
    when p_n_high < greatest(p_n_open, p_n_low, p_n_close) then 'high is not the highest'
    when p_n_low > least(p_n_open, p_n_close) then 'low is not the lowest'
    when p_n_volume is null and p_volume <> '' then 'volume unparsable'
    when p_n_volume < 0 or p_n_volume >= 'infinity' then 'volume not a number from 0'
end
$$;

comment on function bars.candle_fault(
    text, text, text, text, text,
    double precision, double precision, double precision, double precision, double precision
) is
    'Why a line''s prices or volume cannot be a candle''s; null when they can.';
