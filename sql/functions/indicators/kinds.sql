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
    ),
    (
        'sma',
        '{"period": {"default": 30, "min": 2, "max": 1000, "integer": true}}',
        '{sma}',
        '{"sma_{period}"}',
        'Simple moving average: mean of the last period closes.'
    ),
    (
        'ema',
        '{"period": {"default": 30, "min": 2, "max": 1000, "integer": true}}',
        '{ema}',
        '{"ema_{period}"}',
        'Exponential moving average of the closes, from the mean of the first period of them on.'
    ),
    (
        'wma',
        '{"period": {"default": 30, "min": 2, "max": 1000, "integer": true}}',
        '{wma}',
        '{"wma_{period}"}',
        'Weighted moving average of the closes: weights 1 to period, the latest most.'
    ),
    (
        'dema',
        '{"period": {"default": 30, "min": 2, "max": 1000, "integer": true}}',
        '{dema}',
        '{"dema_{period}"}',
        'Double exponential moving average of the closes: twice the average less its own average.'
    ),
    (
        'tema',
        '{"period": {"default": 30, "min": 2, "max": 1000, "integer": true}}',
        '{tema}',
        '{"tema_{period}"}',
        'Triple exponential moving average of the closes.'
    ),
    (
        'kama',
        '{"period": {"default": 30, "min": 2, "max": 1000, "integer": true}}',
        '{kama}',
        '{"kama_{period}"}',
        'Kaufman''s adaptive moving average of the closes, fast 2 and slow 30.'
    ),
    (
        'roc',
        '{"period": {"default": 10, "min": 1, "max": 1000, "integer": true}}',
        '{roc}',
        '{"roc_{period}"}',
        'Rate of change of the close over period candles, in percent.'
    ),
    (
        'cci',
        '{"period": {"default": 14, "min": 2, "max": 1000, "integer": true}}',
        '{cci}',
        '{"cci_{period}"}',
        'Commodity channel index: distance of the typical price from its mean in mean deviations / 0.015.'
    ),
    (
        'williams_r',
        '{"period": {"default": 14, "min": 2, "max": 1000, "integer": true}}',
        '{williams_r}',
        '{"williams_r_{period}"}',
        'Williams %R: place of the close below the highest high in the range of the last period candles; -100 to 0.'
    ),
    (
        'mfi',
        '{"period": {"default": 14, "min": 2, "max": 1000, "integer": true}}',
        '{mfi}',
        '{"mfi_{period}"}',
        'Money flow index: share of the money that came with rising typical prices; 0 to 100.'
    ),
    (
        'obv',
        '{}',
        '{obv}',
        '{"obv"}',
        'On-balance volume, in base volume: added on rises of the close, taken away on falls.'
    ),
    (
        'vwap',
        '{"period": {"default": 20, "min": 1, "max": 1000, "integer": true}}',
        '{vwap}',
        '{"vwap_{period}"}',
        'Rolling volume-weighted mean of the last period typical prices.'
    ),
    (
        'keltner',
        '{
            "period": {"default": 20, "min": 2, "max": 1000, "integer": true},
            "atr": {"default": 10, "min": 1, "max": 1000, "integer": true},
            "multiplier": {"default": 2, "min": 0.01, "max": 100, "integer": false}
        }',
        '{upper,middle,lower}',
        '{"kc_upper_{period}_{atr}_{multiplier}","kc_middle_{period}_{atr}_{multiplier}","kc_lower_{period}_{atr}_{multiplier}"}',
        'Keltner channel: exponential average of the closes, and so many average true ranges round it.'
    ),
    (
        'donchian',
        '{"period": {"default": 20, "min": 2, "max": 1000, "integer": true}}',
        '{upper,middle,lower}',
        '{"donchian_upper_{period}","donchian_middle_{period}","donchian_lower_{period}"}',
        'Donchian channel: highest high and lowest low of the last period candles, the current included, and their middle.'
    ),
    (
        'aroon',
        '{"period": {"default": 14, "min": 2, "max": 1000, "integer": true}}',
        '{up,down}',
        '{"aroon_up_{period}","aroon_down_{period}"}',
        'Aroon: how recent the highest high and the lowest low of the last period + 1 candles are; 0 to 100.'
    ),
    (
        'supertrend',
        '{
            "period": {"default": 10, "min": 1, "max": 1000, "integer": true},
            "multiplier": {"default": 3, "min": 0.01, "max": 100, "integer": false}
        }',
        '{supertrend,direction}',
        '{"supertrend_{period}_{multiplier}","supertrend_direction_{period}_{multiplier}"}',
        'Supertrend: the band of average true ranges that trails the close, and the direction, 1 up or -1 down.'
    ),
    (
        'ichimoku',
        '{
            "conversion": {"default": 9, "min": 1, "max": 1000, "integer": true},
            "base": {"default": 26, "min": 1, "max": 1000, "integer": true},
            "span": {"default": 52, "min": 1, "max": 1000, "integer": true},
            "displacement": {"default": 26, "min": 0, "max": 1000, "integer": true}
        }',
        '{conversion,base,span_a,span_b,cloud_a,cloud_b}',
        '{"ichimoku_conversion_{conversion}_{base}_{span}_{displacement}","ichimoku_base_{conversion}_{base}_{span}_{displacement}","ichimoku_span_a_{conversion}_{base}_{span}_{displacement}","ichimoku_span_b_{conversion}_{base}_{span}_{displacement}","ichimoku_cloud_a_{conversion}_{base}_{span}_{displacement}","ichimoku_cloud_b_{conversion}_{base}_{span}_{displacement}"}',
        'Ichimoku: both lines, the spans of this candle, and the cloud over it, which is the spans displacement candles earlier.'
    )
) as k (kind, parameters, outputs, columns, description)
$$;

comment on function indicators.kinds() is
    'The kinds of indicators: parameters with defaults and ranges, outputs, templates of column names.';
