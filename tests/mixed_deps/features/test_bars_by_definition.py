"""The stored bars are those of the definitions: clocks, holidays, leap days, year ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.support import contract
from tests.support.ladder import ONE_DAY
from tests.support.stored_bars import (
    AROUND,
    COLUMNS,
    EQUITY,
    agrees,
    bars,
    candle,
    put,
    refresh,
    scheduled,
)


def test_the_kernel_writes_the_columns_in_the_table_s_order(tx):
    columns = tx.execute("select * from bars.cmc_price_bars_multi_tf limit 0").description
    assert [column.name for column in columns] == COLUMNS


def test_all_199_timeframes_agree_with_the_slow_way(tx):
    candles = {day: candle(n) for n, day in enumerate(sorted(AROUND)[1000:1820]) if n % 9}
    put(tx, candles, AROUND)
    refresh(tx)
    assert agrees(tx, candles, AROUND) == 199


def test_of_an_exchange_too(equity):
    sessions = scheduled(equity)
    days = [day for day in sessions if date(2019, 12, 20) <= day < date(2022, 3, 1)]
    candles = {day: candle(n) for n, day in enumerate(days) if n % 9}
    put(equity, candles, sessions, asset=EQUITY, session="EQUITY")
    refresh(equity, EQUITY)
    assert agrees(equity, candles, sessions, asset=EQUITY, week=5) == 199


@pytest.fixture
def spy(equity):
    """Every session of New York from 2019 to the end of August 2025."""
    sessions = scheduled(equity)
    days = [day for day in sessions if date(2019, 1, 2) <= day <= date(2025, 8, 29)]
    put(
        equity,
        {day: candle(n) for n, day in enumerate(days)},
        sessions,
        asset=EQUITY,
        session="EQUITY",
    )
    contract.only(equity, ["1D", "5D", "1W", "1W_CAL_ISO", "1W_CAL_US", "1M_CAL", "1D_CAL"])
    refresh(equity, EQUITY)
    return bars(equity, EQUITY)


def spanning(rows, day):
    """The bar whose window holds a day."""
    return next(row for row in rows if row["time_close"].astimezone(UTC).date() >= day)


def test_the_week_of_thanksgiving_has_four_sessions_and_five_are_always_five(spy):
    week = spanning(spy["1W_CAL_ISO"], date(2024, 11, 25))
    assert (week["count_days"], week["count_missing_days"]) == (4, 0)
    assert week["time_open"] == datetime(2024, 11, 25, 14, 30, tzinfo=UTC)
    # The Friday after it closes at one o'clock.
    assert week["time_close"] == datetime(2024, 11, 29, 17, 59, 59, 999000, tzinfo=UTC)
    for tf in ("5D", "1W"):
        assert {row["count_days"] for row in spy[tf]} == {5}


def test_clocks_change_in_new_york(spy):
    for day, hour in ((date(2024, 3, 8), 14), (date(2024, 3, 11), 13), (date(2024, 11, 4), 14)):
        bar = spanning(spy["1D"], day)
        assert bar["time_open"] == datetime(day.year, day.month, day.day, hour, 30, tzinfo=UTC)
        assert bar["time_close"] == bar["time_open"] + timedelta(hours=6.5, milliseconds=-1)


def test_a_calendar_day_without_a_session_has_no_bar(spy):
    assert len(spy["1D_CAL"]) == len(spy["1D"])
    friday, monday = (spanning(spy["1D_CAL"], date(2024, 3, day)) for day in (8, 11))
    assert monday["bar_seq"] - friday["bar_seq"] == 3


def test_a_week_that_ends_with_a_holiday_closes_on_the_day_before(equity):
    sessions = scheduled(equity)
    # Good Friday is 2024-03-29.
    days = [day for day in sessions if date(2024, 3, 1) <= day <= date(2024, 3, 28)]
    put(equity, dict.fromkeys(days, candle(1)), sessions, asset=EQUITY, session="EQUITY")
    refresh(equity, EQUITY)
    found = bars(equity, EQUITY)
    assert found["1W_CAL_ISO"][-1]["time_close"] == sessions[date(2024, 3, 28)][1]
    assert found["1M_CAL"][-1]["time_close"] == sessions[date(2024, 3, 28)][1]


def windows(tx, first: date, last: date, *timeframes: str):
    """First day, last day and candles of the bars of a market without gaps."""
    contract.only(tx, timeframes)
    days = [day for day in AROUND if first <= day <= last]
    put(tx, {day: candle(n) for n, day in enumerate(days)}, AROUND)
    refresh(tx)
    return {
        tf: [
            (str(row["time_open"].date()), str(row["time_close"].date()), row["count_days"])
            for row in own
        ]
        for tf, own in bars(tx).items()
    }


def test_iso_week_53_and_the_us_week_across_new_year(tx):
    found = windows(tx, date(2020, 12, 21), date(2021, 1, 12), "1W_CAL_ISO", "1W_CAL_US")
    assert found["1W_CAL_ISO"] == [
        ("2020-12-21", "2020-12-27", 7),
        ("2020-12-28", "2021-01-03", 7),
        ("2021-01-04", "2021-01-10", 7),
    ]
    assert found["1W_CAL_US"] == [
        ("2020-12-27", "2021-01-02", 7),
        ("2021-01-03", "2021-01-09", 7),
    ]


def test_nine_months_go_across_the_year_s_end_and_a_leap_day_belongs_to_its_month(tx):
    found = windows(
        tx, date(2019, 5, 14), date(2021, 12, 30), "9M_CAL", "1M_CAL", "1Y_CAL", "1Y_CAL_ANCHOR"
    )
    assert found["9M_CAL"] == [
        ("2019-06-01", "2020-02-29", 274),
        ("2020-03-01", "2020-11-30", 275),
        ("2020-12-01", "2021-08-31", 274),
    ]
    assert ("2020-02-01", "2020-02-29", 29) in found["1M_CAL"]
    assert found["1Y_CAL"] == [("2020-01-01", "2020-12-31", 366)]
    assert found["1Y_CAL_ANCHOR"] == [
        ("2019-01-01", "2019-12-31", 232),
        ("2020-01-01", "2020-12-31", 366),
    ]


def test_a_year_is_full_when_the_first_candle_is_its_first_day(tx):
    found = windows(tx, date(2020, 1, 1), date(2021, 1, 1), "1Y_CAL", "1M_CAL")
    assert found["1Y_CAL"] == [("2020-01-01", "2020-12-31", 366)]
    assert found["1M_CAL"][0] == ("2020-01-01", "2020-01-31", 31)


def test_an_older_candle_moves_what_is_counted_from_the_first(tx):
    contract.only(tx, ["7D", "1W_CAL_ANCHOR_ISO"])
    days = sorted(AROUND)[1100:1130]
    put(tx, dict.fromkeys(days, candle(1)), AROUND)
    refresh(tx)
    grid = {row["time_close"] for row in bars(tx)["1W_CAL_ANCHOR_ISO"]}
    before = {row["time_close"] for row in bars(tx)["7D"]}
    older = dict.fromkeys([days[0] - 10 * ONE_DAY], candle(2))
    put(tx, older, AROUND)
    refresh(tx)
    assert agrees(tx, dict.fromkeys(days, candle(1)) | older, AROUND) == 2
    assert grid < {row["time_close"] for row in bars(tx)["1W_CAL_ANCHOR_ISO"]}
    assert before.isdisjoint({row["time_close"] for row in bars(tx)["7D"]})


def test_without_candles_there_are_no_bars(tx):
    put(tx, dict.fromkeys(sorted(AROUND)[:40], candle(1)), AROUND)
    stored = refresh(tx)
    assert stored == sum(map(len, bars(tx).values())) > 100
    tx.execute("select bars.delete_prices(1)")
    assert refresh(tx) == stored
    assert bars(tx) == {}
    assert refresh(tx) == 0
    put(tx, {date(2020, 1, 1): candle(1)}, AROUND)
    refresh(tx)
    agrees(tx, {date(2020, 1, 1): candle(1)}, AROUND)
