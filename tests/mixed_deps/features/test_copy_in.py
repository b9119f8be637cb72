"""The kernels' way out: rows from the app, into the tables of features, and nothing else."""

from __future__ import annotations

import struct

import psycopg
import pytest

from tests.support import prices

#: One row of refresh_state: an asset that was never refreshed.
VERB = b"refresh_features"
ROW = struct.pack(">hiiiiii", 5, 4, 1, -1, -1, -1, len(VERB)) + VERB


def bar(tf_id):
    """One bar of asset 1, at midnight of 2000, without volume and market cap."""
    kinds = [*"iiqqidddd", None, None, *"qq??ii"]
    values = [1, tf_id, 0, 0, 1, 5.0, 5.0, 5.0, 5.0, 0, 0, 0, 0, False, False, 1, 0]
    return struct.pack(">h", len(kinds)) + b"".join(
        struct.pack(">i", -1)
        if kind is None
        else struct.pack(f">i{kind}", struct.calcsize(kind), x)
        for kind, x in zip(kinds, values, strict=True)
    )


@pytest.fixture(autouse=True)
def _asset(tx):
    prices.put(tx, 1, {})


def copy_in(tx, target, rows=ROW):
    return tx.execute("select features.copy_in(%s, %s)", (target, rows)).fetchone()[0]


def test_it_appends_packed_rows_and_counts_them(tx):
    assert copy_in(tx, "features.refresh_state") == 1
    found = tx.execute("select * from features.refresh_state").fetchall()
    assert found == [(1, None, None, None, VERB.decode())]
    assert copy_in(tx, "features.refresh_state", b"") == 0


def test_the_app_may_call_it_though_it_may_read_no_file(tx):
    tx.execute("set local role ta_lab2_app")
    assert copy_in(tx, "features.refresh_state") == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        tx.execute("copy features.refresh_state from '/etc/hostname'")


@pytest.mark.parametrize("role", ["ta_lab2_reader", "ta_lab2_research"])
def test_others_may_not(tx, role):
    tx.execute(f"set local role {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        copy_in(tx, "features.refresh_state")


@pytest.mark.parametrize("target", ["bars.dim_assets", "pg_catalog.pg_authid", "bars.dirty_range"])
def test_no_other_table_takes_rows(tx, target):
    with pytest.raises(psycopg.Error, match="takes no packed rows") as caught:
        copy_in(tx, target)
    assert caught.value.sqlstate == "TA405"


def test_bars_take_them_one_call_after_the_other(tx):
    tx.execute("set local role ta_lab2_app")
    assert copy_in(tx, "bars.cmc_price_bars_multi_tf", bar(1)) == 1
    assert copy_in(tx, "bars.cmc_price_bars_multi_tf", bar(2) + bar(3)) == 2
    found = tx.execute(
        "select b.id, b.tf_id, b.close from bars.cmc_price_bars_multi_tf as b order by 2"
    )
    assert found.fetchall() == [(1, tf_id, 5.0) for tf_id in (1, 2, 3)]


def test_a_time_series_takes_none(tx):
    """TimescaleDB would say that only a superuser may, which helps nobody."""
    tx.execute(
        """
        update ta_meta.table_class
        set time_column = 'time_close',
            chunk_interval = '365 days'
        where table_name = 'cmc_price_bars_multi_tf'
        """
    )
    with pytest.raises(psycopg.Error, match="takes no packed rows") as caught:
        copy_in(tx, "bars.cmc_price_bars_multi_tf", bar(1))
    assert caught.value.sqlstate == "TA405"


def test_a_row_that_breaks_a_rule_leaves_nothing_open(tx):
    def files():
        return tx.execute("select count(*) from pg_ls_dir('/proc/self/fd') as f (fd)").fetchone()[0]

    copy_in(tx, "features.refresh_state")
    before = files()
    for _ in range(3):
        with pytest.raises(psycopg.errors.UniqueViolation), tx.transaction():
            copy_in(tx, "features.refresh_state")
    assert files() == before
