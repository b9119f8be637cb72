"""The clock of a session under candles that are stamped by it."""

from __future__ import annotations

import pytest

from ta_lab2.bars.errors import SessionIsInUse
from ta_lab2.errors import translated
from tests.support import prices

CHANGES = [
    "update timemodel.dim_sessions set timezone = 'Europe/London' where session_id = 'EQUITY'",
    """
    update timemodel.dim_sessions
    set is_24_7 = true, timezone = 'UTC', trading_days_per_week = 7, market_open = '00:00',
        market_close = '00:00', calendar_from = null, calendar_to = null
    where session_id = 'EQUITY'
    """,
]


@pytest.fixture
def equity(tx):
    tx.execute(
        """
        insert into bars.dim_assets (id, symbol, slug, session_id)
        values (1, 'SPY', 'spy', 'EQUITY')
        """
    )
    return tx


@pytest.mark.parametrize("change", CHANGES)
def test_a_session_whose_assets_have_candles_keeps_its_clock(equity, change):
    equity.execute(
        """
        insert into bars.cmc_price_histories7 (id, ts, open, high, low, close)
        values (1, %s, 1, 1, 1, 1)
        """,
        (prices.ts(0),),
    )
    with pytest.raises(SessionIsInUse, match="EQUITY has assets with candles"), translated():
        equity.execute(change)


def test_one_whose_assets_have_none_may_change(equity):
    equity.execute(CHANGES[0])
    assert equity.execute(
        "select s.timezone from timemodel.dim_sessions as s where s.session_id = 'EQUITY'"
    ).fetchone() == ("Europe/London",)


def test_what_is_no_change_of_the_clock_is_none_of_its_business(equity):
    equity.execute(
        """
        insert into bars.cmc_price_histories7 (id, ts, open, high, low, close)
        values (1, %s, 1, 1, 1, 1)
        """,
        (prices.ts(0),),
    )
    equity.execute("update timemodel.dim_sessions set timezone = timezone, session_name = 'US'")
