-- signals.kinds(): the types of signals that there are and what they are made with, one row each.
--
--     select k.signal_type, k.parameters from signals.kinds() as k;
--
-- parameters: name -> {default, min, max, kind, below}: a default means that it may be left out; null is
-- a default too and switches a filter off. The range is inclusive; kind is integer, number, boolean or
-- direction (long, short, both); `below` names the parameter that this one has to be less than.
-- setup is what the regimes have to allow for a long entry, where use_regime is set.
-- What checks parameters reads it here.

create or replace function signals.kinds()
returns table (signal_type text, parameters jsonb, setup text, description text)
language sql
immutable parallel safe
as $$
select
    k.signal_type,
    k.parameters::jsonb || '{
        "direction": {"kind": "direction"},
        "max_open_positions": {"kind": "integer", "min": 1, "max": 100, "default": 1},
        "rsi_threshold": {"kind": "number", "min": 0, "max": 100, "default": null},
        "min_vol": {"kind": "number", "min": 0, "max": 100, "default": null},
        "cooldown_bars": {"kind": "integer", "min": 0, "max": 1000, "default": 0},
        "use_regime": {"kind": "boolean", "default": false}
    }',
    k.setup,
    k.description
from (values
    (
        'ema_crossover',
        '{
            "fast_period": {"kind": "integer", "min": 2, "max": 1000, "below": "slow_period"},
            "slow_period": {"kind": "integer", "min": 2, "max": 1000}
        }',
        'breakout',
        'Long when the fast EMA crosses over the slow one, until it crosses under it; short the other way round.'
    ),
    (
        'rsi_mean_revert',
        '{
            "rsi_period": {"kind": "integer", "min": 2, "max": 1000},
            "oversold": {"kind": "number", "min": 0.01, "max": 99.99, "below": "overbought"},
            "overbought": {"kind": "number", "min": 0.01, "max": 99.99}
        }',
        'mean_revert',
        'Long when the RSI rises above oversold, until it is at overbought or above; short when it falls below overbought, until it is at oversold or below.'
    ),
    (
        'atr_breakout',
        '{
            "atr_period": {"kind": "integer", "min": 1, "max": 1000},
            "channel_period": {"kind": "integer", "min": 2, "max": 1000},
            "atr_multiplier": {"kind": "number", "min": 0, "max": 100}
        }',
        'breakout',
        'Long when the close exceeds the highest high of the bars before, until it falls below their lowest low; short the other way round.'
    )
) as k (signal_type, parameters, setup, description)
$$;

comment on function signals.kinds() is
    'The types of signals: parameters with ranges and defaults, the setup that a regime has to allow, what it is.';
