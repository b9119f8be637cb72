"""Files of assets that trade at an exchange: which lines become candles, and their stamps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import exchange_calendars
import psycopg
import pytest

from ta_lab2.bars import formats, queries
from ta_lab2.bars.errors import SessionStands
from ta_lab2.bars.queries import Counts
from ta_lab2.errors import translated
from ta_lab2.timemodel.errors import CalendarMissing, OutsideCalendar, UnknownSession
from tests.support import prices

SPY = 900_001
# The exchange in Chicago trades from five in the evening before: Sunday's opening is Monday's.
CHICAGO = """
    insert into timemodel.dim_sessions (
        session_id, session_name, is_24_7, trading_days_per_week, timezone,
        market_open, market_close, annualisation_days
    )
    values ('CHICAGO', 'Futures', false, 5, 'America/Chicago', '17:00', '17:00', 252)
"""


def line(day: object, close: float = 2, volume: str = "10") -> str:
    """One line of the comma layout."""
    return f"{day},SPY,1,3,0.5,{close},{volume}"


def load(conn, tmp_path, *lines, session="EQUITY", at=None, asset=SPY, **options) -> Counts:
    """Load a file of these lines as of a moment; return what became of them."""
    file = formats.recognise(prices.daily(tmp_path, *lines, name=f"{asset}_spy.csv"))
    number = uuid4()
    queries.stage(conn, number, file.columns(), file.lines())
    with translated():
        found = conn.execute(
            """
            select c.* from bars.load_staged_prices(
                %(load)s, 'f', %(id)s, 'spy', '{volume}', coalesce(%(at)s, now()),
                p_source => %(source)s, p_switch => %(switch)s, p_session => %(session)s
            ) as c
            """,
            {
                "load": number,
                "id": asset,
                "at": at,
                "session": session,
                "source": "coinmarketcap",
                "switch": False,
                **options,
            },
        ).fetchone()
    assert found is not None
    return Counts(*found)


def only(**counts) -> Counts:
    return Counts(**{name: counts.get(name, 0) for name in Counts.__slots__})


def stamps(conn, asset=SPY):
    return [
        ts
        for (ts,) in conn.execute(
            """
            select to_char(p.ts at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')
            from bars.cmc_price_histories7 as p
            where p.id = %s
            order by p.ts
            """,
            (asset,),
        )
    ]


def reasons(conn):
    return conn.execute(
        "select r.line, r.reason from bars.price_rejects as r order by r.line"
    ).fetchall()


def session_of(conn, asset=SPY):
    return conn.execute(
        "select a.session_id from bars.dim_assets as a where a.id = %s", (asset,)
    ).fetchone()


@pytest.fixture
def chicago(tx):
    """Two weeks of Chicago, in winter: from 23:00 UTC to 23:00 UTC."""
    tx.execute(CHICAGO)
    days = [date(2024, 1, 8) + timedelta(days=n) for n in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)]
    evening = [datetime(d.year, d.month, d.day, 23, tzinfo=UTC) for d in days]
    tx.execute(
        "select timemodel.load_calendar('CHICAGO', %s, %s, %s, %s, %s, %s)",
        (
            *(date(2024, 1, 1), date(2024, 1, 31), days),
            *([e - timedelta(days=1) for e in evening], evening, [False] * len(days)),
        ),
    )
    return tx


def test_the_week_of_thanksgiving_has_four_candles_the_last_of_a_short_day(equity, tmp_path):
    days = [line(f"2024-11-{day}") for day in range(25, 31)]
    assert load(equity, tmp_path, *days) == only(loaded=4, rejected=2)
    assert stamps(equity) == [
        "2024-11-25 20:59:59.999",
        "2024-11-26 20:59:59.999",
        "2024-11-27 20:59:59.999",
        "2024-11-29 17:59:59.999",
    ]
    assert reasons(equity) == [(5, "not a session"), (7, "not a session")]
    assert load(equity, tmp_path, *days) == only(unchanged=4, rejected=2)


def test_the_clocks_of_new_york_move_the_stamp(equity, tmp_path):
    days = ["2024-03-08", "2024-03-11", "2024-11-01", "2024-11-04"]
    assert load(equity, tmp_path, *map(line, days)) == only(loaded=4)
    assert [stamp[11:13] for stamp in stamps(equity)] == ["20", "19", "19", "20"]


def test_every_day_of_twenty_years_against_the_library(equity, tmp_path):
    first, last = date(2004, 1, 1), date(2023, 12, 31)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    library = exchange_calendars.get_calendar("XNYS", start=first, end=last)
    closes = [
        close.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        for close in library.schedule["close"] - timedelta(milliseconds=1)
    ]
    counts = load(equity, tmp_path, *map(line, reversed(days)))
    assert counts == only(loaded=len(closes), rejected=len(days) - len(closes))
    assert stamps(equity) == closes


# 3 July 2024: 9:30 to 13:00 in New York, 13:30 to 17:00 UTC.
@pytest.mark.parametrize(
    "stamp",
    [
        "2024-07-03",
        "2024-07-03T00:00:00.000Z",
        "2024-07-03 04:00",
        "2024-07-03T13:30:00Z",
        "2024-07-03T16:59:59.999Z",
        "2024-07-03T17:00:00Z",
        "2024-07-03T23:59:59.999Z",
        "2024-07-04T03:59:59Z",
    ],
)
def test_a_date_its_midnight_and_every_moment_of_the_exchange_s_day_mean_its_session(
    equity, tmp_path, stamp
):
    assert load(equity, tmp_path, line(stamp)) == only(loaded=1)
    assert stamps(equity) == ["2024-07-03 16:59:59.999"]


@pytest.mark.parametrize("stamp", ["2024-07-04T00:00:00Z", "2024-07-04 04:00", "2024-07-06"])
def test_a_moment_of_a_closed_day_means_no_session(equity, tmp_path, stamp):
    assert load(equity, tmp_path, line(stamp)) == only(rejected=1)
    assert reasons(equity) == [(2, "not a session")]


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2024-01-09", "2024-01-09"),
        ("2024-01-09T00:00:00Z", "2024-01-09"),
        # It opens on the evening before, and the next as it closes.
        ("2024-01-08T23:00:00Z", "2024-01-09"),
        ("2024-01-09T22:59:59Z", "2024-01-09"),
        ("2024-01-09T23:00:00Z", "2024-01-10"),
        ("2024-01-09T06:00:00Z", "2024-01-09"),
        ("2024-01-14T23:30:00Z", "2024-01-15"),
        # Friday's close: Saturday's date has none.
        ("2024-01-12T23:00:00Z", "2024-01-12"),
        ("2024-01-13T12:00:00Z", None),
    ],
)
def test_where_a_session_opens_on_the_evening_before_a_moment_means_the_one_under_way(
    chicago, tmp_path, stamp, expected
):
    load(chicago, tmp_path, line(stamp), session="CHICAGO")
    assert stamps(chicago) == ([f"{expected} 22:59:59.999"] if expected else [])


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2024-07-03 17:00:00+00", only(loaded=1)),
        ("2024-07-03 16:59:59.999+00", only(forming=1)),
        ("2024-07-03 13:30:00+00", only(forming=1)),
        # The day has begun in New York, the session has not.
        ("2024-07-03 04:00:00+00", only(forming=1)),
        ("2024-07-03 03:59:59.999+00", only(rejected=1)),
    ],
)
def test_a_candle_forms_until_its_session_closes_early_or_not(equity, tmp_path, at, expected):
    assert load(equity, tmp_path, line("2024-07-03"), at=at) == expected
    assert reasons(equity) == ([(2, "future date")] if expected.rejected else [])


def test_the_evening_s_session_is_forming_although_its_date_is_tomorrow(chicago, tmp_path):
    days = [line("2024-01-09"), line("2024-01-10"), line("2024-01-11")]
    found = load(chicago, tmp_path, *days, session="CHICAGO", at="2024-01-09 23:30+00")
    assert found == only(loaded=1, forming=1, rejected=1)


def test_a_date_before_the_calendar_is_an_error_that_names_it_and_loads_nothing(equity, tmp_path):
    with pytest.raises(OutsideCalendar, match="does not reach 1989-12-29") as raised:
        load(equity, tmp_path, line("2024-07-03"), line("1989-12-29"))
    assert "It covers 1990-01-01" in raised.value.detail
    assert "`ta-lab2 calendar refresh --session EQUITY`" in raised.value.hint


def test_a_calendar_that_ended_is_an_error_and_a_date_to_come_is_a_reject(chicago, tmp_path):
    found = load(chicago, tmp_path, line("2024-02-05"), session="CHICAGO", at="2024-01-20 12:00+00")
    assert found == only(rejected=1)
    assert reasons(chicago) == [(2, "future date")]
    with pytest.raises(OutsideCalendar, match="CHICAGO does not reach 2024-02-05"):
        load(chicago, tmp_path, line("2024-02-05"), session="CHICAGO", at="2024-02-06 12:00+00")


def test_without_a_calendar_the_error_names_the_command(tx, tmp_path):
    with pytest.raises(CalendarMissing, match="EQUITY has no calendar") as raised:
        load(tx, tmp_path, line("2024-07-03"))
    assert "ta-lab2 calendar refresh --session EQUITY" in raised.value.hint


def test_a_session_that_nobody_knows_is_an_error(tx, tmp_path):
    with pytest.raises(UnknownSession, match="no session is called NASDAQ"):
        load(tx, tmp_path, line("2024-07-03"), session="NASDAQ")


def test_a_new_asset_is_crypto_unless_it_is_said_and_keeps_its_session(equity, tmp_path):
    load(equity, tmp_path, line("2024-07-03"), session=None, asset=5)
    assert session_of(equity, 5) == ("CRYPTO",)
    assert stamps(equity, 5) == ["2024-07-03 23:59:59.999"]


def test_an_asset_with_candles_keeps_its_session(equity, tmp_path):
    load(equity, tmp_path, line("2024-07-03"))
    assert load(equity, tmp_path, line("2024-07-02"), session=None) == only(loaded=1)
    assert load(equity, tmp_path, line("2024-07-01"), session="EQUITY") == only(loaded=1)
    with pytest.raises(SessionStands, match="is of session EQUITY and has candles") as raised:
        load(equity, tmp_path, line("2024-07-05"), session="CRYPTO")
    assert f"`ta-lab2 assets delete {SPY}`" in raised.value.hint


def test_an_asset_without_candles_takes_the_session_that_is_said(equity, tmp_path):
    equity.execute(
        "insert into bars.dim_assets (id, symbol, slug) values (%s, 'SPY', 'spy')", [SPY]
    )
    assert load(equity, tmp_path, line("2024-07-03")) == only(loaded=1)
    assert session_of(equity) == ("EQUITY",)
    assert stamps(equity) == ["2024-07-03 16:59:59.999"]


def test_no_client_changes_the_session_of_an_asset_with_candles(equity, tmp_path):
    load(equity, tmp_path, line("2024-07-03"))
    with pytest.raises(psycopg.Error, match="has candles"), equity.transaction():
        equity.execute("update bars.dim_assets set session_id = 'CRYPTO'")
    equity.execute("update bars.dim_assets set session_id = 'EQUITY', symbol = 'X'")
    equity.execute("select bars.delete_prices(%s)", [SPY])
    equity.execute("select bars.set_session(%s, 'CRYPTO')", [SPY])
    assert session_of(equity) == ("CRYPTO",)


def test_another_source_s_switch_clears_the_volumes_of_sessions_that_it_lacks(equity, tmp_path):
    equity.execute("insert into bars.dim_sources values ('shares', 'base', 'Counts shares.')")
    load(equity, tmp_path, *(line(f"2024-07-0{day}") for day in (1, 2, 3)))
    load(equity, tmp_path, line("2024-07-02", volume="7"), source="shares", switch=True)
    assert equity.execute(
        "select array_agg(p.volume order by p.ts) from bars.cmc_price_histories7 as p"
    ).fetchone() == ([None, 7, None],)


def test_the_newest_session_s_ticker_stands(equity, tmp_path):
    load(equity, tmp_path, line("2024-07-03"))
    older = line("2024-07-02").replace("SPY", "OLD")
    load(equity, tmp_path, older)
    newer = line("2024-07-05T20:00:00Z").replace("SPY", "NEW")
    assert equity.execute("select symbol from bars.dim_assets").fetchone() == ("SPY",)
    load(equity, tmp_path, newer, older)
    assert equity.execute("select symbol from bars.dim_assets").fetchone() == ("NEW",)


def test_the_app_may_load_them(equity, tmp_path):
    equity.execute("set local role ta_lab2_app")
    assert load(equity, tmp_path, line("2024-07-03")) == only(loaded=1)


def test_a_load_waits_for_a_calendar_that_is_being_replaced(equity_db, tmp_path):
    with psycopg.connect(equity_db) as other, psycopg.connect(equity_db) as conn:
        other.execute(
            "select from timemodel.dim_sessions where session_id = 'EQUITY' for no key update"
        )
        conn.execute("set local lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            load(conn, tmp_path, line("2024-07-03"))
        conn.rollback()
        conn.execute("set local lock_timeout = '200ms'")
        assert load(conn, tmp_path, line("2024-07-03"), session=None, asset=5) == only(loaded=1)
        conn.rollback()
        other.rollback()
