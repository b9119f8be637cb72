-- indicators.kinds(): the kinds of indicators that there are, one row each.
--
--     select k.kind, k.parameters, k.columns from indicators.kinds() as k;
--
-- parameters: name -> {default, min, max, integer, below}: the range is inclusive, `below` names the
-- parameter that this one has to be less than. outputs are what the kernel gives, in its order;
-- columns the names that they have in a table, a parameter's value in the place of its name.
-- What checks parameters or names columns reads it here.

create or replace function indicators.kinds()
returns table (kind text, parameters jsonb, outputs text[], columns text[], description text)
language sql
immutable parallel safe
as $$
select k.kind, k.parameters::jsonb, k.outputs::text[], k.columns::text[], k.description
from (values
    (
        'rsi',
        '{"period": {"default": 14, "min": 2, "max": 1000, "integer": true}}',
        '{rsi}',
        '{"rsi_{period}"}',
        'Relative strength index, Wilder''s: 0 to 100.'
    ),
    (
        'macd',
        '{
            "fast": {"default": 12, "min": 2, "max": 1000, "integer": true, "below": "slow"},
            "slow": {"default": 26, "min": 2, "max": 1000, "integer": true},
            "signal": {"default": 9, "min": 1, "max": 1000, "integer": true}
        }',
        '{macd,signal,hist}',
        '{"macd_{fast}_{slow}_{signal}","macd_signal_{fast}_{slow}_{signal}","macd_hist_{fast}_{slow}_{signal}"}',
        'Moving average convergence divergence: line, signal and their difference, in the price''s unit.'
    ),
    (
        'stochastic',
        '{
            "k": {"default": 14, "min": 1, "max": 1000, "integer": true},
            "d": {"default": 3, "min": 1, "max": 1000, "integer": true}
        }',
        '{k,d}',
        '{"stoch_k_{k}_{d}","stoch_d_{k}_{d}"}',
        'Fast stochastic: place of the close in the range of the last k candles, and its mean over d; 0 to 100.'
    ),
    (
        'bollinger',
        '{
            "period": {"default": 20, "min": 2, "max": 1000, "integer": true},
            "deviations": {"default": 2, "min": 0.01, "max": 100, "integer": false}
        }',
        '{upper,middle,lower,width}',
        '{"bb_upper_{period}_{deviations}","bb_middle_{period}_{deviations}","bb_lower_{period}_{deviations}","bb_width_{period}_{deviations}"}',
        'Bollinger bands, so many population deviations round the mean; width is their distance as a share of it.'
    ),
    (
        'atr',
        '{"period": {"default": 14, "min": 1, "max": 1000, "integer": true}}',
        '{atr}',
        '{"atr_{period}"}',
        'Average true range, Wilder''s, in the price''s unit.'
    ),
    (
        'adx',
        '{"period": {"default": 14, "min": 2, "max": 1000, "integer": true}}',
        '{adx,plus_di,minus_di}',
        '{"adx_{period}","plus_di_{period}","minus_di_{period}"}',
        'Average directional index and both directional indicators, Wilder''s: 0 to 100.'
    )
) as k (kind, parameters, outputs, columns, description)
$$;

comment on function indicators.kinds() is
    'The kinds of indicators: parameters with defaults and ranges, outputs, templates of column names.';
