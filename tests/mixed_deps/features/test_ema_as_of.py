"""EMAs as they were known: the bits of a refresh then, by candles that stand no more."""

from __future__ import annotations

import random

import pytest

from ta_lab2.bars.errors import PricesNotKnownYet
from ta_lab2.errors import translated
from ta_lab2.features.errors import NoMarketTime, UnknownAsset
from ta_lab2.timemodel.errors import UnknownTimeframe
from tests.support import contract, prices, sessions

TIMEFRAMES = ("1D", "7D", "3D_CAL", "1W_CAL_ISO", "2W_CAL_ISO", "1M_CAL", "1Y_CAL_ANCHOR")
STORED = """
    select u.id, u.ts, u.tf, u.period, float8send(u.ema), u.tf_id, u.available_at
    from features.cmc_ema_multi_tf_u as u
"""


@pytest.fixture
def conn(own_db, autocommit):
    conn = autocommit(own_db)
    contract.only(conn, TIMEFRAMES)
    return conn


def stored(conn, tf):
    """Every bit of what is stored of a timeframe."""
    return conn.execute(f"{STORED} where u.tf = %s order by u.id, u.ts, u.period", (tf,)).fetchall()


def as_of(conn, *arguments, **named):
    """The same of what features.ema_as_of gives, in its order."""
    given = ", ".join(["%s"] * len(arguments) + [f"{name} => %s" for name in named])
    with translated():
        return conn.execute(
            f"""
            select e.id, e.ts, e.tf, e.period, float8send(e.ema), e.tf_id, e.available_at
            from features.ema_as_of({given}) as e
            """,
            [*arguments, *named.values()],
        ).fetchall()


def clock(conn):
    (moment,) = conn.execute("select clock_timestamp()").fetchone()
    return moment


def test_what_was_known_then_are_the_bits_of_a_refresh_then(conn):
    chance = random.Random(3)
    contract.put(conn, 1, contract.history(420))
    contract.put(conn, 2, contract.history(90, 3), shape=2)
    moments = []
    for _ in range(3):
        contract.refresh(conn)
        moments.append((clock(conn), {tf: stored(conn, tf) for tf in TIMEFRAMES}))
        days = chance.sample(range(440), 5)
        contract.put(conn, 1, {n: contract.price(n, 4) for n in days}, shape=chance.randrange(4))
        prices.drop(conn, 1, chance.sample(range(440), 9))
        contract.put(conn, 2, {90 + n: 7.0 + n for n in days if n < 60}, shape=0)
    contract.refresh(conn)
    assert moments[0][1] != moments[1][1] != moments[2][1]
    for tf in TIMEFRAMES:
        for moment, rows in moments:
            assert as_of(conn, None, tf, p_known_at=moment) == rows[tf]
        now = as_of(conn, None, tf)
        assert as_of(conn, None, tf, p_known_at="infinity") == now == stored(conn, tf)
    moment, rows = moments[1]
    found = as_of(conn, [2], "7D", prices.ts(59), moment)
    assert found
    assert found == [row for row in rows["7D"] if row[0] == 2 and row[1] <= prices.ts(59)]


def test_an_equity_goes_by_its_calendar(equity, new_york):
    equity.execute("update timemodel.dim_timeframe set is_active = tf = any ('{1W,1W_CAL_US}')")
    ends = sessions.ends(sessions.part(new_york, 5000, 300))
    sessions.put(equity, {ts: 50.0 + n % 9 for n, ts in enumerate(ends) if n % 10})
    equity.execute("insert into features.refresh_state (id) values (%s)", (sessions.EQUITY,))
    equity.execute("select features.refresh_asset(%s)", (sessions.EQUITY,))
    for tf in ("1W", "1W_CAL_US"):
        rows = stored(equity, tf)
        assert len(rows) > 17 * 55
        assert as_of(equity, None, tf, p_known_at="infinity") == rows


def test_a_timeframe_that_is_not_kept_can_be_asked_for_too(conn):
    contract.put(conn, 1, contract.history(60))
    contract.refresh(conn)
    assert as_of(conn, [1], "5D") == []
    found = as_of(conn, [1], "5D", p_known_at="infinity")
    assert {row[2] for row in found} == {"5D"}
    conn.execute("update timemodel.dim_timeframe set is_active = true where tf = '5D'")
    contract.refresh(conn)
    assert as_of(conn, [1], "5D") == found


def test_what_cannot_be_answered_is_an_error(conn):
    before = clock(conn)
    contract.put(conn, 1, contract.history(5))
    with pytest.raises(PricesNotKnownYet):
        as_of(conn, None, "1D", p_known_at=before)
    with pytest.raises(NoMarketTime):
        as_of(conn, None, "1D", None)
    with pytest.raises(UnknownAsset):
        as_of(conn, [4], "1D")
    with pytest.raises(UnknownTimeframe, match="9X"):
        as_of(conn, [1], "9X")
    prices.drop(conn, 1, range(5))
    assert as_of(conn, [1], "1D", p_known_at="infinity") == []


def test_a_researcher_may_ask_and_only_ask(conn):
    contract.put(conn, 1, contract.history(60))
    contract.refresh(conn)
    rows = stored(conn, "7D")
    conn.execute("set role ta_lab2_research")
    conn.execute("set default_transaction_read_only = on")
    assert as_of(conn, None, "7D", p_known_at="infinity") == as_of(conn, None, "7D") == rows


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("bars/ladder", "prices_as_of(p_known_at, array", "prices_as_of('infinity', array"),
        (
            "features/ema_as_of",
            "where r.time_close <= p_at",
            "where r.time_close < p_at - interval '72 hours'",
        ),
    ],
    ids=["candles of today", "rows that are missing"],
)
def test_other_bits_are_found(conn, path, text, fault):
    contract.put(conn, 1, {n: 50.0 + n % 7 / 3 for n in range(60) if n % 11})
    contract.refresh(conn)
    moment, rows = clock(conn), stored(conn, "7D")
    contract.put(conn, 1, {42: 7.0})
    contract.refresh(conn)
    ask = {"p_at": prices.ts(56), "p_known_at": moment}
    expected = [row for row in rows if row[1] <= prices.ts(56)]
    assert as_of(conn, [1], "7D", **ask) == expected
    contract.broken(conn, f"functions/{path}.sql", (text, fault))
    assert as_of(conn, [1], "7D", **ask) != expected
