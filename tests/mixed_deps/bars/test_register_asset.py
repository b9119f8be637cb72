"""``bars.register_asset``: which asset a file is of, and what contradicts it."""

from __future__ import annotations

import pytest

from ta_lab2.bars import queries
from ta_lab2.bars.errors import AssetIsAnother, SessionStands, UnknownAsset
from ta_lab2.timemodel.errors import UnknownSession
from tests.support import prices


def register(conn, asset_id, slug=None, symbol=None, session=None):
    return queries.register(conn, asset_id, slug=slug, symbol=symbol, session=session)


def asset(conn, asset_id):
    return conn.execute(
        "select a.slug, a.symbol, a.session_id from bars.dim_assets as a where a.id = %s",
        (asset_id,),
    ).fetchone()


@pytest.mark.parametrize(
    ("said", "made"),
    [
        (("bitcoin",), ("bitcoin", "bitcoin", "CRYPTO")),
        (("bitcoin", "BTC"), ("bitcoin", "BTC", "CRYPTO")),
        ((None, "SPY", "EQUITY"), ("spy", "SPY", "EQUITY")),
        (("bitcoin", None, "CRYPTO"), ("bitcoin", "bitcoin", "CRYPTO")),
    ],
)
def test_a_new_asset_is_made_as_it_is_said(tx, said, made):
    tx.execute("set local role ta_lab2_app")
    assert register(tx, 7, *said) == made[0]
    assert asset(tx, 7) == made


def test_a_known_asset_needs_its_id_alone_and_is_not_changed(tx):
    register(tx, 7, "spy", "SPY", "EQUITY")
    for said in ((), ("spy",), ("spy", "SPY"), (None, None, "EQUITY")):
        assert register(tx, 7, *said) == "spy"
    assert asset(tx, 7) == ("spy", "SPY", "EQUITY")


def test_a_ticker_is_added_where_nobody_gave_one(tx):
    register(tx, 7, "bitcoin")
    register(tx, 7, None, "BTC")
    assert asset(tx, 7) == ("bitcoin", "BTC", "CRYPTO")


@pytest.mark.parametrize(
    ("asset_id", "said", "error", "told"),
    [
        (8, (), UnknownAsset, "there is no asset 8"),
        (7, ("ether",), AssetIsAnother, "asset 7 is not ether"),
        (8, ("spy",), AssetIsAnother, "asset 8 is not spy"),
        (7, (None, "QQQ"), AssetIsAnother, "the symbol of asset 7 is SPY, not QQQ"),
        (7, (None, None, "MARS"), UnknownSession, "no session is called MARS"),
        (8, ("x", None, "MARS"), UnknownSession, "no session is called MARS"),
    ],
)
def test_what_contradicts_a_known_asset_is_refused(tx, asset_id, said, error, told):
    register(tx, 7, "spy", "SPY", "EQUITY")
    with pytest.raises(error, match=told) as refused, tx.transaction():
        register(tx, asset_id, *said)
    assert refused.value.hint
    assert asset(tx, 7) == ("spy", "SPY", "EQUITY")
    assert asset(tx, 8) is None


def test_a_session_may_change_until_the_first_candle(tx):
    register(tx, 7, "spy", "SPY", "EQUITY")
    register(tx, 7, session="CRYPTO")
    assert asset(tx, 7) == ("spy", "SPY", "CRYPTO")
    prices.put(tx, 7, {0: 1.0})
    with pytest.raises(SessionStands, match="asset 7 is of session CRYPTO"), tx.transaction():
        register(tx, 7, session="EQUITY")
    assert register(tx, 7, session="CRYPTO") == "spy"
