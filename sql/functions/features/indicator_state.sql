-- features.indicator_state(): the state of an asset's indicators as bytes and back, as a module in GD.
--
--     plpy.execute("select features.indicator_state()")
--     known = GD["indicator_state"].unpacked(p_state)
--
-- Float64 numbers, one indicator of dim_indicators after the other: its id, how many outputs it has and how
-- many numbers its kernel carries, the outputs at the last candle (NaN: null), and what is carried.
--
-- needs: plpython3u

create or replace function features.indicator_state()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return

from types import SimpleNamespace

import numpy as np


def packed(known):
    """The bytes of outputs and carried numbers by indicator."""
    parts = [
        np.concatenate([[indicator, len(outputs), len(carried)], outputs, carried])
        for indicator, (outputs, carried) in sorted(known.items())
    ]
    return np.concatenate(parts or [[]]).astype("<f8").tobytes()


def unpacked(state):
    """Outputs and carried numbers by indicator."""
    known = {}
    numbers = np.frombuffer(state, "<f8").astype(float)
    at = 0
    while at < len(numbers):
        indicator, outputs, carried = numbers[at : at + 3].astype(int).tolist()
        at += 3
        known[indicator] = numbers[at : at + outputs], numbers[at + outputs : at + outputs + carried]
        at += outputs + carried
    return known


GD["indicator_state"] = SimpleNamespace(packed=packed, unpacked=unpacked)
SD["made"] = True
$$;

comment on function features.indicator_state() is
    'Puts the module indicator_state into GD: outputs and recurrences of indicators as bytes and back.';

create or replace function features._indicators_of(p_state bytea)
returns integer[]
language plpython3u
immutable strict parallel safe
as $$
plpy.execute("select features.indicator_state()")
return list(GD["indicator_state"].unpacked(p_state))
$$;

comment on function features._indicators_of(bytea) is
    'Private: the indicators that a state knows, in order.';
