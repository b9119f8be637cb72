"""The kernels' way out: rows from the app, into the tables of features, and nothing else."""

from __future__ import annotations

import struct

import psycopg
import pytest

from tests.support import prices

#: One row of refresh_state: an asset that was never refreshed.
ROW = struct.pack(">hiiiii", 4, 4, 1, -1, -1, -1)


def ema(tf_id):
    """One row of cmc_ema_multi_tf: asset 1, midnight of 2000, one slot that is null."""
    return struct.pack(">hiiiiiqiiiiiii", 4, 4, 1, 4, tf_id, 8, 0, 24, 1, 1, 701, 1, 1, -1)


@pytest.fixture(autouse=True)
def _asset(tx):
    prices.put(tx, 1, {})


def copy_in(tx, target, rows=ROW):
    return tx.execute("select features.copy_in(%s, %s)", (target, rows)).fetchone()[0]


def test_it_appends_packed_rows_and_counts_them(tx):
    assert copy_in(tx, "features.refresh_state") == 1
    assert tx.execute("select * from features.refresh_state").fetchall() == [(1, None, None, None)]
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


def test_a_time_series_takes_them_one_call_after_the_other(tx):
    tx.execute("set local role ta_lab2_app")
    assert copy_in(tx, "features.cmc_ema_multi_tf", ema(1)) == 1
    assert copy_in(tx, "features.cmc_ema_multi_tf", ema(2) + ema(3)) == 2
    found = tx.execute("select e.id, e.tf_id, e.ema from features.cmc_ema_multi_tf as e order by 2")
    assert found.fetchall() == [(1, 1, [None]), (1, 2, [None]), (1, 3, [None])]


def test_a_table_that_the_session_put_in_its_way_is_not_used(tx):
    copy_in(tx, "features.cmc_ema_multi_tf", ema(1))
    name = tx.execute(
        "select c.relname from pg_class as c where c.relnamespace = pg_my_temp_schema()"
    ).fetchone()[0]
    tx.execute(f"drop table pg_temp.{name}")
    tx.execute("set local role ta_lab2_app")
    tx.execute(f"create temporary table {name} (like features.cmc_ema_multi_tf)")
    with pytest.raises(psycopg.Error, match="is in the way") as caught:
        copy_in(tx, "features.cmc_ema_multi_tf", ema(1))
    assert caught.value.sqlstate == "TA407"


def test_a_row_that_breaks_a_rule_leaves_nothing_open(tx):
    def files():
        return tx.execute("select count(*) from pg_ls_dir('/proc/self/fd') as f (fd)").fetchone()[0]

    copy_in(tx, "features.refresh_state")
    before = files()
    for _ in range(3):
        with pytest.raises(psycopg.errors.UniqueViolation), tx.transaction():
            copy_in(tx, "features.refresh_state")
    assert files() == before
