"""The module that kernels pack rows with, against the server's own bytes."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest

from tests.support import plpython

TABLE = """
    create temp table packed (
        id integer, ts timestamptz, number float8, flag boolean, numbers float8[]
    )
"""
ROWS = """
    insert into packed values
        (1, '2000-01-01 00:00+00', 1.5, true, '{1, 2, 3}'),
        (1, '2000-01-02 00:00+00', null, false, '{null, 2, null}'),
        (1, '1999-01-01 00:00+00', '-0', null, '{null, null, null}')
"""


@pytest.fixture(scope="module")
def packing():
    plpython.FAKE_PLPY.execute("select db.packing()")
    return plpython.GD["packing"]


@pytest.fixture
def stored(tx: psycopg.Connection) -> list[bytes]:
    tx.execute(TABLE)
    tx.execute(ROWS)
    return [row for (row,) in tx.execute("select record_send(p) from packed as p")]


def columns(packing, *, numbers=((1, 2, 3), (0, 2, 0), (0, 0, 0))):
    numbers = np.array(numbers, float)
    day = 86_400_000_000
    return [
        (packing.INTEGER, np.array([1, 1, 1]), None),
        (packing.STAMP, np.array([0, day, -365 * day]), None),
        (packing.FLOAT, np.array([1.5, 7, -0.0]), np.array([True, False, True])),
        (packing.BOOLEAN, np.array([True, False, True]), np.array([True, True, False])),
        (packing.FLOATS, numbers, numbers > 0),
    ]


def test_rows_that_the_server_holds_already_are_left_alone(packing, stored):
    found = packing.differences(columns(packing), stored, keys=2)
    assert (found.unchanged, found.changed, found.packed) == (3, 0, b"")
    assert [len(each) for each in found.stale] == [0, 0]


def test_what_differs_in_one_bit_takes_the_place_of_what_stands(packing, stored):
    changed = columns(packing, numbers=((1, 2, 3), (0, 2, 4), (0, 0, 0)))
    found = packing.differences(changed, stored, keys=2)
    assert (found.unchanged, found.changed) == (2, 1)
    assert [each.tolist() for each in found.stale] == [[1], [86_400_000_000]]
    assert len(found.packed) == 2 + 8 + 12 + 4 + 5 + 4 + 20 + 3 * 4 + 2 * 8


def test_a_row_that_is_no_more_is_stale_and_none_comes_for_it(packing, stored):
    fewer = [
        (kind, values[:2], None if present is None else present[:2])
        for kind, values, present in columns(packing)
    ]
    found = packing.differences(fewer, stored, keys=2)
    assert (found.unchanged, found.changed, found.packed) == (2, 1, b"")
    assert packing.iso(found.stale[1]) == ["1999-01-01T00:00:00.000000Z"]


def test_the_server_reads_the_rows_as_they_were_meant(packing, stored, tx):
    found = packing.differences(columns(packing), [], keys=2)
    assert found.changed == 3
    tx.execute("truncate packed")
    with tx.cursor().copy("copy packed from stdin (format binary)") as copy:
        copy.write(b"PGCOPY\n\377\r\n\0" + bytes(8) + found.packed + b"\377\377")
    assert stored == [row for (row,) in tx.execute("select record_send(p) from packed as p")]


def test_arrays_without_a_null_say_so(packing, tx):
    tx.execute(TABLE)
    tx.execute("insert into packed (numbers) values ('{1, 2}')")
    (stored,) = tx.execute("select record_send(p) from packed as p").fetchone()
    ones = np.array([1.0])
    found = packing.differences(
        [
            (packing.INTEGER, ones, ones < 0),
            (packing.STAMP, ones, ones < 0),
            (packing.FLOAT, ones, ones < 0),
            (packing.BOOLEAN, ones, ones < 0),
            (packing.FLOATS, np.array([[1.0, 2.0]]), None),
        ],
        [stored],
        keys=0,
    )
    assert found.unchanged == 1


def test_rows_with_other_nulls_and_words_keep_their_order(packing, tx):
    """Rows of one shape are laid out together; a long run of one comes last."""
    mixed, count = 3000, 12_000
    chance = np.random.default_rng(1)
    number = chance.random(count)
    words = np.array([b"", b"a", b"longer", b"the longest"])[chance.integers(0, 4, count)]
    numbers = np.column_stack([number, -number])
    known, slots = chance.random(count) > 0.3, chance.random((count, 2)) > 0.3
    words[mixed:], known[mixed:], slots[mixed:] = b"a", True, True
    columns = [
        (packing.INTEGER, np.arange(count), None),
        (packing.TEXT, words, None),
        (packing.FLOAT, number, known),
        (packing.FLOATS, numbers, slots),
    ]
    tx.execute("create temp table mixed (id integer, word text, number float8, numbers float8[])")
    with tx.cursor().copy("copy mixed from stdin (format binary)") as copy:
        packed = packing.differences(columns, None, keys=1).packed
        copy.write(b"PGCOPY\n\377\r\n\0" + bytes(8) + packed + b"\377\377")
    # By ctid: as they came.
    stored = tx.execute("select m.* from mixed as m order by m.ctid").fetchall()
    assert stored == [
        (
            n,
            words[n].decode(),
            number[n] if known[n] else None,
            [x if is_known else None for x, is_known in zip(numbers[n], slots[n], strict=True)],
        )
        for n in range(count)
    ]
    records = [row for (row,) in tx.execute("select record_send(m) from mixed as m")]
    again = packing.differences(columns, records, keys=1)
    assert (again.unchanged, again.changed) == (count, 0)
