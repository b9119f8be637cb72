"""The ad hoc forms: arrays in, arrays out, from the same kernels as the table's columns."""

from __future__ import annotations

import math

import psycopg
import pytest

from tests.support.indicators import COLUMNS, candles, market, worked_out

#: Kind: call with its inputs by name, and the kernel's parameters.
CALLS = {
    "rsi": ("indicators.rsi(%(close)s, 7)", {"period": 7}),
    "macd": (
        "indicators.macd(%(close)s, 8, 17, 9)",
        {"fast": 8, "slow": 17, "signal": 9},
    ),
    "stochastic": (
        "indicators.stochastic(%(high)s, %(low)s, %(close)s, 5, 2)",
        {"k": 5, "d": 2},
    ),
    "bollinger": (
        "indicators.bollinger(%(close)s, 10, 2.5)",
        {"period": 10, "deviations": 2.5},
    ),
    "atr": ("indicators.atr(%(high)s, %(low)s, %(close)s, 5)", {"period": 5}),
    "adx": ("indicators.adx(%(high)s, %(low)s, %(close)s, 5)", {"period": 5}),
    **{
        kind: (f"indicators.{kind}(%(close)s::float8[], 7)", {"period": 7})
        for kind in ("sma", "ema", "wma", "dema", "tema", "kama", "roc")
    },
    "cci": ("indicators.cci(%(high)s, %(low)s, %(close)s, 5)", {"period": 5}),
    "williams_r": ("indicators.williams_r(%(high)s, %(low)s, %(close)s, 5)", {"period": 5}),
    "mfi": ("indicators.mfi(%(high)s, %(low)s, %(close)s, %(volume)s, 5)", {"period": 5}),
    "obv": ("indicators.obv(%(close)s, %(volume)s)", {}),
    "vwap": ("indicators.vwap(%(high)s, %(low)s, %(close)s, %(volume)s, 5)", {"period": 5}),
    "keltner": (
        "indicators.keltner(%(high)s, %(low)s, %(close)s, 7, 5, 1.5)",
        {"period": 7, "atr": 5, "multiplier": 1.5},
    ),
    "donchian": ("indicators.donchian(%(high)s, %(low)s, 5)", {"period": 5}),
    "aroon": ("indicators.aroon(%(high)s, %(low)s, 5)", {"period": 5}),
    "supertrend": (
        "indicators.supertrend(%(high)s, %(low)s, %(close)s, 5, 1.5)",
        {"period": 5, "multiplier": 1.5},
    ),
    "ichimoku": (
        "indicators.ichimoku(%(high)s, %(low)s, 3, 5, 10, 4)",
        {"conversion": 3, "base": 5, "span": 10, "displacement": 4},
    ),
}
ROWS = market(60)


def arrays(rows):
    return {name: values.tolist() for name, values in vars(candles(rows)).items()}


def nulled(values):
    return [None if math.isnan(x) else x for x in values]


@pytest.mark.parametrize("kind", CALLS)
def test_it_gives_the_kernel_s_bits(tx, kind):
    call, params = CALLS[kind]
    found = tx.execute(f"select * from {call}", arrays(ROWS)).fetchone()
    outputs, _ = worked_out(kind, params, ROWS)
    assert list(found) == [nulled(values.tolist()) for values in outputs.values()]


@pytest.mark.parametrize("kind", CALLS)
def test_a_candle_with_a_null_gives_null_and_is_stepped_over(tx, kind):
    call, _ = CALLS[kind]
    whole = tx.execute(f"select * from {call}", arrays(ROWS)).fetchone()
    given = arrays(ROWS)
    for values in given.values():
        values[20:20] = [None, math.nan, math.inf]
    found = tx.execute(f"select * from {call}", given).fetchone()
    for got, wanted in zip(found, whole, strict=True):
        assert got[20:23] == [None] * 3
        assert got[:20] + got[23:] == wanted


@pytest.mark.parametrize("kind", CALLS)
def test_no_values_give_no_values(tx, kind):
    call, _ = CALLS[kind]
    empty = tx.execute(f"select * from {call}", {name: [] for name in COLUMNS}).fetchone()
    assert set(map(tuple, empty)) == {()}
    null = tx.execute(f"select * from {call}", dict.fromkeys(COLUMNS)).fetchone()
    assert set(null) == {None}


def test_every_kind_has_its_ad_hoc_form_here(tx):
    kinds = tx.execute("select k.kind from indicators.kinds() as k").fetchall()
    assert {kind for (kind,) in kinds} == set(CALLS)


def test_defaults_are_those_of_the_list(tx):
    """Each ad hoc form's own defaults are the ones that indicators.kinds() gives."""
    found = tx.execute(
        """
        select k.kind, r.key, r.value ->> 'default',
            -- The parameters are the last of the arguments, all with a default.
            pg_get_function_arg_default(p.oid, n.place::integer)
        from indicators.kinds() as k
        join pg_proc as p on p.proname = k.kind and p.pronamespace = 'indicators'::regnamespace
            -- A window aggregate has no defaults.
            and p.prokind = 'f'
        cross join unnest(p.proargnames) with ordinality as n (name, place)
        join jsonb_each(k.parameters) as r on r.key = n.name
        """
    ).fetchall()
    assert len(found) == sum(len(params) for _, params in CALLS.values())
    for kind, name, listed, own in found:
        assert own
        assert float(own.split("::")[0].strip("'")) == float(listed), (kind, name)


@pytest.mark.parametrize(
    ("call", "state", "says"),
    [
        ("rsi(%(close)s, 0)", "TA304", "period must be a whole number from 2 to 1000 for rsi"),
        ("rsi(%(close)s, -1)", "TA304", "period must be a whole number from 2 to 1000 for rsi"),
        ("rsi(%(close)s, 10000)", "TA304", "period must be a whole number from 2 to 1000 for rsi"),
        ("rsi(%(close)s, null)", "TA304", "period must be a whole number from 2 to 1000 for rsi"),
        ("bollinger(%(close)s, 20, 'NaN')", "TA304", "deviations must be a number from 0.01"),
        ("bollinger(%(close)s, 20, 'Infinity')", "TA304", "deviations must be a number from 0.01"),
        ("macd(%(close)s, 26, 12)", "TA305", "fast must be less than slow for macd"),
        ("atr(%(high)s, '{1}', %(close)s)", "TA306", "not of one length and dimension"),
        ("rsi('{{1,2},{3,4}}')", "TA306", "not of one length and dimension"),
    ],
)
def test_what_cannot_be_is_refused(tx, call, state, says):
    with pytest.raises(psycopg.Error, match=says) as caught:
        tx.execute(f"select indicators.{call}", arrays(ROWS))
    assert caught.value.sqlstate == state
    assert caught.value.diag.message_hint


def test_the_largest_numbers_give_null_rather_than_infinity(tx):
    close = [1e308, 1e-308] * 30
    for call in ("rsi(%s)", "bollinger(%s)", "macd(%s)"):
        for values in tx.execute(f"select * from indicators.{call}", [close]).fetchone():
            assert all(x is None or math.isfinite(x) for x in values)
