"""Every kind of indicator in the table, with its defaults."""

from __future__ import annotations

import math

import pytest
from psycopg.types.json import Jsonb

from tests.support import contract, prices
from tests.support.indicators import worked_out

CLOSES = {n: contract.price(n, 1) for n in range(140)}


@pytest.fixture
def columns(tx):
    """The columns of each kind, which are all added, with its parameters."""
    found = tx.execute(
        """
        select k.kind, indicators.parameters(k.kind) as params, indicators.column_names(k.kind)
        from indicators.kinds() as k
        """
    ).fetchall()
    for kind, params, _ in found:
        tx.execute(
            """
            insert into features.dim_indicators (kind, params)
            select %(kind)s, %(params)s
            where not exists (
                select
                from features.dim_indicators as i
                where i.kind = %(kind)s and i.params = %(params)s
            )
            """,
            {"kind": kind, "params": Jsonb(params)},
        )
    tx.execute("select features.prepare_indicators()")
    return {kind: (params, names) for kind, params, names in found}


def refresh(tx):
    tx.execute("insert into features.refresh_state (id) values (1) on conflict do nothing")
    tx.execute("select features.refresh_asset(1)")


def stored(tx, names):
    listed = ", ".join(f"t.{name}" for name in names)
    found = tx.execute(
        f"select {listed} from features.cmc_ta_daily as t where t.id = 1 order by t.ts"
    ).fetchall()
    return [list(values) for values in zip(*found, strict=True)]


def agree(tx, columns, rows):
    for kind, (params, names) in columns.items():
        outputs, _ = worked_out(kind, params, rows)
        expected = [
            [None if math.isnan(x) else x for x in values.tolist()] for values in outputs.values()
        ]
        assert stored(tx, names) == expected, kind


def test_every_kind_fills_its_columns_day_by_day_as_at_once(tx, columns):
    days = iter(CLOSES.items())
    for count in (1, 30, 1, 1, 80, 27):
        contract.put(tx, 1, dict(next(days) for _ in range(count)))
        refresh(tx)
    rows = [contract.candle(1, n, close, 1)[2:7] for n, close in CLOSES.items()]
    agree(tx, columns, rows)


def test_volumes_in_money_are_given_as_volumes_of_the_asset(tx, columns):
    contract.put(tx, 1, CLOSES)
    tx.execute(
        """
        update bars.price_state as t
        set source = (
            select min(d.source) from bars.dim_sources as d where d.volume_unit = 'quote'
        )
        where t.id = 1
        """
    )
    refresh(tx)
    rows = [
        (*candle[2:6], candle[6] / candle[5])
        for candle in (contract.candle(1, n, close, 1) for n, close in CLOSES.items())
    ]
    agree(tx, columns, rows)


def test_candles_without_volume_have_no_volume_indicators(tx, columns):
    prices.put(tx, 1, CLOSES)
    refresh(tx)
    for kind in ("obv", "mfi", "vwap"):
        _, names = columns[kind]
        assert set(stored(tx, names)[0]) == {None}
