"""The arithmetic that stored rows were made with."""

from __future__ import annotations

import pytest

from tests.support import contract

KERNEL = "functions/features/returns_kernel.sql"


def fingerprint(conn) -> str:
    return conn.execute("select features.fingerprint('features.returns_kernel')").fetchone()[0]


def test_it_is_the_same_in_every_session(own_db, autocommit):
    first = fingerprint(autocommit(own_db))
    assert len(first) == 64
    assert fingerprint(autocommit(own_db)) == first


def test_another_text_of_the_kernel_is_another_arithmetic(tx):
    before = fingerprint(tx)
    contract.broken(tx, KERNEL, ("126, 252)", "126, 251)"))
    assert fingerprint(tx) != before
    contract.broken(tx, KERNEL)
    assert fingerprint(tx) == before


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("functions/db/packing.sql", ("offset=20", "offset = 20")),
        ("functions/indicators/series.sql", ("BLOCK = 128", "BLOCK = 256")),
    ],
)
def test_another_shared_module_is_another_arithmetic_too(tx, path, change):
    before = fingerprint(tx)
    contract.broken(tx, path, change)
    assert fingerprint(tx) != before
