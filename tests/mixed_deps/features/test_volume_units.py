"""What a volume counts may change: indicators of volumes follow, as the regimes do."""

from __future__ import annotations

import pytest

from ta_lab2.errors import translated
from ta_lab2.features.errors import ColumnTaken
from tests.support import contract


@pytest.fixture
def conn(own_db, autocommit):
    """Two refreshed assets of a source that counts units, and two indicators of volumes."""
    conn = autocommit(own_db)
    contract.only(conn, ["1D"])
    for source, unit in (("units", "base"), ("other", "base"), ("money", "quote")):
        conn.execute(
            "insert into bars.dim_sources (source, volume_unit, description) values (%s, %s, '')",
            (source, unit),
        )
    conn.execute("insert into features.dim_indicators (kind) values ('obv'), ('mfi')")
    for asset in (1, 2):
        contract.put(conn, asset, contract.history(60, asset))
        conn.execute("update bars.price_state set source = 'units' where id = %s", (asset,))
    contract.refresh(conn)
    assert due(conn) == set()
    return conn


def due(conn, verb="refresh_features"):
    """Assets and computations that a verb would work on."""
    found = conn.execute(
        """
        select c.id, c.feature_type
        from features.refresh_candidates(p_verb => %s) as c
        where c.from_ts is not null
        """,
        (verb,),
    )
    return set(found)


def balances(conn, asset=1):
    return conn.execute(
        "select t.obv from features.cmc_ta_daily as t where t.id = %s order by t.ts", (asset,)
    ).fetchall()


def ends_in_a_full_build(conn):
    contract.refresh(conn)
    assert due(conn) == due(conn, "refresh_regimes") == set()
    found = contract.digest(conn)
    assert found == contract.full(conn)


def test_another_source_that_counts_money_makes_the_indicators_of_that_asset_due(conn):
    before = balances(conn)
    conn.execute("update bars.price_state set source = 'money' where id = 1")
    assert due(conn) == {(1, "indicators")}
    assert (1, "regimes") in due(conn, "refresh_regimes")
    ends_in_a_full_build(conn)
    assert balances(conn) != before


def test_another_source_that_counts_alike_makes_nothing_due(conn):
    conn.execute("update bars.price_state set source = 'other' where id = 1")
    assert due(conn) == due(conn, "refresh_regimes") == set()


def test_a_source_that_turns_out_to_count_money_makes_all_of_its_assets_due(conn):
    conn.execute("update bars.price_state set source = 'other' where id = 2")
    before = balances(conn, 2)
    conn.execute("update bars.dim_sources set volume_unit = 'quote' where source = 'units'")
    assert due(conn) == {(1, "indicators")}
    assert due(conn, "refresh_regimes") == {(1, "regimes")}
    ends_in_a_full_build(conn)
    assert balances(conn, 2) == before


def test_volumes_in_money_are_the_same_as_of_any_moment(conn):
    conn.execute("update bars.dim_sources set volume_unit = 'quote' where source = 'units'")
    contract.refresh(conn)
    rows = [
        conn.execute(
            f"select record_send(f) from features.as_of(p_known_at => {at}) as f"
        ).fetchall()
        for at in ("null", "'infinity'")
    ]
    assert rows[0] == rows[1]
    (extra,) = conn.execute(
        """
        select f.extra ?& '{obv,mfi_14}'
        from features.as_of('{1}') as f
        order by f.ts desc
        limit 1
        """
    ).fetchone()
    assert extra


def test_an_indicator_with_a_name_of_the_store_s_is_refused(conn):
    before = conn.execute("select count(*) from features.dim_indicators").fetchone()
    with pytest.raises(ColumnTaken, match="a column ema_21 already"), translated():
        conn.execute(
            "insert into features.dim_indicators (kind, params) values ('ema', '{\"period\": 21}')"
        )
    assert conn.execute("select count(*) from features.dim_indicators").fetchone() == before
    conn.execute(
        "insert into features.dim_indicators (kind, params) values ('ema', '{\"period\": 22}')"
    )
    contract.refresh(conn)
    (value,) = conn.execute(
        """
        select f.extra -> 'ema_22'
        from features.cmc_daily_features as f
        order by f.ts desc
        limit 1
        """
    ).fetchone()
    assert value > 0


def test_a_column_that_stands_in_both_tables_is_no_other_s(conn):
    """The seeds' own may be asked for again."""
    conn.execute(
        """
        insert into features.dim_indicators (kind, params) values ('rsi', '{"period": 14}')
        on conflict do nothing
        """
    )


def test_indicators_that_nobody_tells_are_found(conn):
    conn.execute("drop trigger log_changed_money on bars.dim_sources")
    conn.execute("update bars.dim_sources set volume_unit = 'quote' where source = 'units'")
    assert due(conn) == set()
    contract.refresh(conn)
    found = contract.digest(conn)
    assert found != contract.full(conn)
