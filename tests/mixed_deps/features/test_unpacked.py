"""Packed rows read back: every bit of every type that a table of features has."""

from __future__ import annotations

import struct

import pytest

from tests.support import contract

#: COPY's binary format has so much before its rows, and so much after them.
HEADER, TRAILER = 19, 2


PACKED = (contract.RETURNS, contract.VOLATILITY, contract.INDICATORS, contract.EMA)


@pytest.mark.parametrize("table", [each.table for each in PACKED])
def test_rows_come_back_to_the_bit(tx, table):
    contract.only(tx)
    contract.put(tx, 1, contract.history(300))
    tx.execute("insert into features.refresh_state (id) values (1)")
    tx.execute("select features.refresh_asset(1)")
    with tx.cursor().copy(f"copy {table} to stdout (format binary)") as copied:
        packed = b"".join(bytes(part) for part in copied)[HEADER:-TRAILER]
    found = tx.execute(
        f"""
        select
            count(*) filter (where u.row::{table} *= t),
            count(*)
        from features.unpacked('{table}', %s) with ordinality as u (row, place)
        full join (select t, row_number() over () as place from {table} as t) as t using (place)
        """,
        (packed,),
    ).fetchone()
    assert found is not None
    assert found[0] == found[1] > 200


@pytest.mark.parametrize("value", [0.1, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3])
def test_a_number_keeps_its_bits(tx, value):
    array = struct.pack(">iiIiiidi", 1, 1, 701, 2, 1, 8, value, -1)
    # Asset, timeframe, time, close, the close before, the bar's number.
    packed = struct.pack(">hiiiiiqidiii", 7, 4, -7, 4, 3, 8, 0, 8, 1.5, -1, 4, 9)
    packed += struct.pack(">i", len(array)) + array
    rows = tx.execute(
        "select u.row from features.unpacked('features.cmc_ema_multi_tf', %s) as u (row)",
        (packed,),
    ).fetchall()
    (back,) = tx.execute(
        "select record_send(%s::features.cmc_ema_multi_tf)", (rows[0][0],)
    ).fetchone()
    assert array in back
    assert len(rows) == 1


def test_no_rows_are_no_rows(tx):
    assert tx.execute("select features.unpacked('features.cmc_vol_daily', '')").rowcount == 0
