"""Features as they were known: the bits of a refresh then, by candles that stand no more."""

from __future__ import annotations

import random
from datetime import timedelta

import psycopg
import pytest

from ta_lab2.bars.errors import AssetWithoutPrices, PricesNotKnownYet
from ta_lab2.errors import translated
from ta_lab2.features.errors import NoMarketTime, UnknownAsset
from tests.support import contract, prices, sessions

ROWS = "select f.id, f.ts, record_send(f) from features.cmc_daily_features as f"


@pytest.fixture
def conn(own_db, autocommit):
    conn = autocommit(own_db)
    contract.only(conn)
    return conn


def stored(conn):
    """Every bit of what is stored, by asset and session."""
    return {row[:2]: row[2] for row in conn.execute(ROWS)}


def as_of(conn, *arguments, **named):
    """The same of what features.as_of gives."""
    given = ", ".join(["%s"] * len(arguments) + [f"{name} => %s" for name in named])
    with translated():
        found = conn.execute(
            f"select f.id, f.ts, record_send(f) from features.as_of({given}) as f",
            [*arguments, *named.values()],
        ).fetchall()
    rows = {row[:2]: row[2] for row in found}
    assert list(rows) == sorted(rows), "in order of asset and time"
    assert len(rows) == len(found)
    return rows


def clock(conn):
    (moment,) = conn.execute("select clock_timestamp()").fetchone()
    return moment


def test_what_was_known_then_are_the_bits_of_a_refresh_then(conn):
    """Revised, deleted and added candles, two assets, and an indicator more."""
    conn.execute(
        """insert into features.dim_indicators (kind, params) values ('rsi', '{"period": 28}')"""
    )
    chance = random.Random(7)
    contract.put(conn, 1, contract.history(420))
    contract.put(conn, 2, contract.history(90, 3), shape=2)
    moments = []
    for _ in range(4):
        contract.refresh(conn)
        moments.append((clock(conn), stored(conn)))
        days = chance.sample(range(440), 5)
        contract.put(conn, 1, {n: contract.price(n, 4) for n in days}, shape=chance.randrange(4))
        prices.drop(conn, 1, chance.sample(range(440), 9))
        contract.put(conn, 2, {90 + n: 7.0 + n for n in days if n < 60}, shape=0)
    contract.refresh(conn)
    now = stored(conn)
    assert len({len(rows) for _, rows in moments}) > 1
    for moment, rows in moments:
        assert as_of(conn, p_known_at=moment) == rows
    assert as_of(conn, p_known_at="infinity") == as_of(conn) == now == stored(conn)
    moment, rows = moments[1]
    found = as_of(conn, [2], prices.ts(59), moment)
    assert found == {
        key: row for key, row in rows.items() if key[0] == 2 and key[1] <= prices.ts(59)
    }


def test_an_equity_goes_by_its_calendar(equity, new_york):
    ends = sessions.ends(sessions.part(new_york, 5000, 300))
    sessions.put(equity, {ts: 50.0 + n % 9 for n, ts in enumerate(ends) if n % 10})
    equity.execute("insert into features.refresh_state (id) values (%s)", (sessions.EQUITY,))
    equity.execute("select features.refresh_asset(%s)", (sessions.EQUITY,))
    rows = stored(equity)
    assert sorted(ts for _, ts in rows) == ends[1:]
    assert as_of(equity, p_known_at="infinity") == rows


def test_a_moment_of_the_market_hides_what_was_not_available(conn):
    contract.put(conn, 1, {n: 50.0 + n % 7 for n in range(60)} | {63: 55.0})
    contract.refresh(conn)
    rows = stored(conn)
    for known in ({}, {"p_known_at": "infinity"}):
        for at, last in ((59, 59), (62, 59), (63, 63)):
            found = as_of(conn, [1], prices.ts(at), **known)
            assert found == {key: row for key, row in rows.items() if key[1] <= prices.ts(last)}
        early = as_of(conn, [1], prices.ts(0) - timedelta(milliseconds=1), **known)
        assert early == {}


def test_candles_that_were_all_deleted_then_give_nothing(conn):
    contract.put(conn, 1, contract.history(30))
    contract.refresh(conn)
    prices.drop(conn, 1, range(30))
    moment = clock(conn)
    contract.put(conn, 1, contract.history(30))
    contract.refresh(conn)
    assert as_of(conn, [1], p_known_at=moment) == {}


def test_a_moment_before_the_first_load_is_an_error_that_names_it(conn):
    before = clock(conn)
    contract.put(conn, 1, contract.history(5))
    between = clock(conn)
    contract.put(conn, 2, contract.history(5))
    contract.refresh(conn)
    with pytest.raises(PricesNotKnownYet, match=str(before.year)):
        as_of(conn, p_known_at=before)
    with pytest.raises(PricesNotKnownYet, match="asset 2"):
        as_of(conn, [1, 2], p_known_at=between)
    assert {key[0] for key in as_of(conn, p_known_at=between)} == {1}
    conn.execute("insert into bars.dim_assets (id, symbol, slug) values (3, 'C', 'c')")
    with pytest.raises(AssetWithoutPrices):
        as_of(conn, [3], p_known_at=between)
    assert as_of(conn, [3]) == {}
    with pytest.raises(UnknownAsset):
        as_of(conn, [4])


def test_no_market_time_is_refused(conn):
    with pytest.raises(NoMarketTime):
        as_of(conn, None, None)


def test_without_the_daily_timeframe_there_are_no_emas_either(conn):
    contract.only(conn, ["7D"])
    contract.put(conn, 1, contract.history(60))
    contract.refresh(conn)
    assert as_of(conn, p_known_at="infinity") == stored(conn)


def test_a_researcher_may_ask_and_only_ask(conn):
    contract.put(conn, 1, contract.history(60))
    contract.refresh(conn)
    rows = stored(conn)
    conn.execute("set role ta_lab2_research")
    conn.execute("set default_transaction_read_only = on")
    assert as_of(conn, p_known_at="infinity") == as_of(conn) == rows
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("select features._as_known(1, now())")


# Each comparison, seen to fail.


NUMBER = "FLOAT.unpack_from(p_packed, at)[0]"


@pytest.mark.parametrize(
    ("routine", "text", "fault"),
    [
        ("as_of", "prices_as_of(p_known_at, array", "prices_as_of('infinity', array"),
        ("unpacked", f"return repr({NUMBER})", f"return format({NUMBER}, '.15g')"),
        ("as_of", "v_sizes.policy,", "'skip',"),
    ],
    ids=["candles of today", "numbers that lose bits", "gaps filled otherwise"],
)
def test_other_bits_are_found(conn, routine, text, fault):
    contract.put(conn, 1, {n: 50.0 + n % 7 / 3 for n in range(60) if n % 11})
    contract.refresh(conn)
    moment, rows = clock(conn), stored(conn)
    contract.put(conn, 1, {40: 7.0})
    contract.refresh(conn)
    assert as_of(conn, p_known_at=moment) == rows
    contract.broken(conn, f"functions/features/{routine}.sql", (text, fault))
    assert as_of(conn, p_known_at=moment) != rows
