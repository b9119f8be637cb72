"""The bars as they are stored: what the kernel's own tests can't see."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import psycopg
import pytest

from ta_lab2.bars.tables import cmc_price_bars_multi_tf
from ta_lab2.timemodel import queries as calendar
from tests.support import contract, ladder, prices
from tests.support import sessions as schedules
from tests.support.ladder import ONE_DAY, Candle

COLUMNS = [column.name for column in cmc_price_bars_multi_tf.columns]
EQUITY = 900_001


def refresh(conn, asset=1) -> int:
    """Run the step as refresh_asset does; how many rows it wrote."""
    row = conn.execute(
        """
        select least(d.from_ts, t.from_ts)::text
        from features.due(array[%s], false, features.fingerprints()) as d
        left join features.take_dirty(array[d.id], 'bars') as t using (id)
        where d.feature_type = 'bars'
        """,
        (asset,),
    ).fetchone()
    if row is None:
        return 0
    return conn.execute(
        """
        select d.rows_written
        from features.refresh_bars(array[%(id)s], array[%(from)s::timestamptz]) as d
        cross join lateral features.record_progress(
            array[%(id)s], 'bars', 'cmc_price_bars_multi_tf',
            features.fingerprint('bars.ladder_kernel'), array[d.last_ts], array[d.state]
        )
        """,
        {"id": asset, "from": row[0]},
    ).fetchone()[0]


def bars(conn, asset=1):
    """The stored rows by timeframe, in order."""
    found = conn.execute(
        """
        select t.tf, b.*
        from bars.cmc_price_bars_multi_tf as b
        join timemodel.dim_timeframe as t using (tf_id)
        where b.id = %s
        order by t.tf_id, b.time_close
        """,
        (asset,),
    )
    return {
        tf: [dict(zip(COLUMNS, row[1:], strict=True)) for row in own]
        for tf, own in groupby(found, key=lambda row: row[0])
    }


def put(conn, candles, sessions, *, asset=1, session="CRYPTO"):
    """Store candles by day."""
    conn.execute(
        "insert into bars.dim_assets (id, symbol, slug, session_id) values (%s, %s, %s, %s)"
        " on conflict do nothing",
        (asset, f"T{asset}", f"test-{asset}", session),
    )
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into bars.cmc_price_histories7 (
                id, ts, open, high, low, close, volume, market_cap, time_high, time_low
            )
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    *(asset, sessions[day][1], each.open, each.high, each.low, each.close),
                    *(each.volume, each.market_cap, each.time_high, each.time_low),
                )
                for day, each in candles.items()
            ],
        )


def candle(n: int) -> Candle:
    """Different every day; some things are not known now and then."""
    return Candle(
        open=100 + n % 7,
        high=110 + n % 5,
        low=90 + n % 3,
        close=100 + n % 11,
        volume=None if n % 13 == 0 else n * 1.7,
        market_cap=None if n % 5 == 0 else 1e6 + n,
        time_high=None if n % 2 else datetime(2020, 1, 1, tzinfo=UTC) + n * ONE_DAY,
    )


def agrees(conn, candles, sessions, *, asset=1, week=7):
    found = bars(conn, asset)
    names = [
        tf
        for (tf,) in conn.execute("select t.tf from timemodel.dim_timeframe as t where t.is_active")
    ]
    for tf in names:
        expected = ladder.bars(tf, sessions, candles, week=week)
        own = found.get(tf, [])
        assert [row["time_close"] for row in own] == [row["time_close"] for row in expected], tf
        for got, wanted in zip(own, expected, strict=True):
            volume, known = got.pop("volume"), wanted.pop("volume")
            assert volume == known or math.isclose(volume, known, rel_tol=1e-9), (tf, got)
            assert {name: got[name] for name in wanted} == wanted, tf
    return len(names)


def scheduled(conn):
    """The scheduled sessions of New York by day."""
    found = conn.execute(
        """
        select c.session_date, c.opens_at, c.closes_at - interval '1 millisecond'
        from timemodel.session_calendar as c
        where c.session_id = 'EQUITY'
        order by c.session_date
        """
    )
    return {day: (opens.astimezone(UTC), closes.astimezone(UTC)) for day, opens, closes in found}


AROUND = ladder.around_the_clock(date(2017, 1, 1), date(2027, 12, 31))


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


STAMPS = "select b.tf_id, b.time_close, b.ctid, b.xmin from bars.cmc_price_bars_multi_tf as b"
TIMEFRAME = """
    insert into timemodel.dim_timeframe (
        tf, alignment, base_unit, tf_qty, tf_days, tf_days_min, tf_days_max
    )
    values ('33D', 'trading', 'D', 33, 33, 33, 33)
    returning tf_id
"""


def test_an_inserted_timeframe_is_filled_by_the_next_refresh_and_nothing_else_is_written(tx):
    days = sorted(AROUND)[1100:1300]
    put(tx, {day: candle(n) for n, day in enumerate(days)}, AROUND)
    refresh(tx)
    before = set(tx.execute(STAMPS))
    (tf_id,) = tx.execute(TIMEFRAME).fetchone()
    refresh(tx)
    new = set(tx.execute(STAMPS)) - before
    assert {row[0] for row in new} == {tf_id}
    assert len(new) == 200 // 33
    assert before <= set(tx.execute(STAMPS))
    assert agrees(tx, {day: candle(n) for n, day in enumerate(days)}, AROUND) == 200


def test_a_timeframe_that_is_switched_off_keeps_its_bars_and_is_brought_up_to_date_when_on(tx):
    contract.only(tx, ["1D", "7D"])
    days = sorted(AROUND)[1100:1200]
    put(tx, dict.fromkeys(days[:50], candle(1)), AROUND)
    refresh(tx)
    contract.only(tx, ["1D"])
    put(tx, dict.fromkeys(days[50:], candle(2)), AROUND)
    tx.execute("update bars.cmc_price_histories7 set low = 1 where ts = %s", [AROUND[days[3]][1]])
    refresh(tx)
    off = bars(tx)
    assert len(off["1D"]) == 100
    assert len(off["7D"]) == 7
    assert off["7D"][0]["low"] == candle(1).low
    contract.only(tx, ["1D", "7D"])
    refresh(tx)
    on = bars(tx)
    assert len(on["7D"]) == 14
    assert on["7D"][0]["low"] == 1


def test_a_timeframe_in_use_cannot_be_deleted_and_one_without_bars_can(tx):
    put(tx, dict.fromkeys(sorted(AROUND)[:20], candle(1)), AROUND)
    refresh(tx)
    with pytest.raises(psycopg.Error) as caught, tx.transaction():
        tx.execute("delete from timemodel.dim_timeframe where tf = '7D'")
    assert caught.value.sqlstate == "TA234"
    tx.execute("delete from timemodel.dim_timeframe where tf = '365D'")


def test_who_reads_the_bars_is_told_from_where_on_they_changed_and_only_then(tx):
    tx.execute(
        "insert into bars.dim_consumers (consumer, description, reads)"
        " values ('test', 'Reads bars.', 'cmc_price_bars_multi_tf')"
    )
    days = sorted(AROUND)[1100:1400]

    def told():
        tx.execute("insert into features.refresh_state (id) values (1) on conflict do nothing")
        tx.execute("select features.refresh_asset(1)")
        return tx.execute(
            "delete from bars.dirty_range where consumer = 'test' returning from_ts::text"
        ).fetchall()

    put(tx, dict.fromkeys(days, candle(1)), AROUND)
    assert told() == [("-infinity",)]
    assert told() == []
    tx.execute("update bars.cmc_price_histories7 set low = 1 where ts = %s", [AROUND[days[250]][1]])
    assert told() == [(f"{days[249]} 23:59:59.999+00",)]


def test_a_new_day_reads_no_more_of_a_long_history_than_of_a_short_one(tx):
    put(tx, dict.fromkeys(sorted(AROUND)[:2000], candle(1)), AROUND)
    refresh(tx)
    put(tx, dict.fromkeys(sorted(AROUND)[2000:2001], candle(1)), AROUND)
    (read,) = tx.execute(
        "select r.rows_read from features.refresh_bars('{1}', %s) as r",
        [[AROUND[sorted(AROUND)[2000]][1]]],
    ).fetchone()
    assert read == 368


def test_a_new_day_reads_what_the_longest_timeframe_needs(tx):
    contract.only(tx, ["1D", "7D", "1M_CAL"])
    closes = contract.history(700, without=1000)
    contract.put(tx, 1, closes)
    refresh(tx)
    contract.put(tx, 1, {700: 5.0})
    (read,) = tx.execute(
        "select r.rows_read from features.refresh_bars('{1}', %s) as r", [[prices.ts(700)]]
    ).fetchone()
    # A month has 31 sessions at most; those of the last row that stands and the new one count too.
    assert read == 33


def test_increments_of_all_timeframes_leave_nothing_to_a_rebuild(tx):
    days = sorted(AROUND)[1000:1800]
    put(tx, {day: candle(n) for n, day in enumerate(days[:780])}, AROUND)
    refresh(tx)
    for n in range(780, 800, 2):
        put(tx, {day: candle(n) for day in days[n : n + 2]}, AROUND)
        tx.execute(
            "update bars.cmc_price_histories7 set close = low where ts = %s",
            [AROUND[days[31 * n % 700]][1]],
        )
        assert refresh(tx) > 0
    found = tx.execute(
        "select d.rows_written, d.rows_unchanged"
        " from features.refresh_bars('{1}', '{-infinity}') as d"
    ).fetchone()
    assert found == (0, sum(map(len, bars(tx).values())))


def test_the_session_time_zone_plays_no_part(tx):
    contract.put(tx, 1, contract.history(300))
    refresh(tx)
    tx.execute("set local timezone = 'America/New_York'")
    written = "select d.rows_written from features.refresh_bars('{1}', '{-infinity}') as d"
    assert tx.execute(written).fetchone() == (0,)
    tx.execute("set local datestyle = 'German'")
    assert tx.execute(written).fetchone() == (0,)


def test_the_app_may_refresh_them(tx):
    candles = dict.fromkeys(sorted(AROUND)[1000:1020], candle(1))
    put(tx, candles, AROUND)
    tx.execute("set local role ta_lab2_app")
    refresh(tx)
    agrees(tx, candles, AROUND)


def test_assets_of_unequal_calendars_are_right_one_after_the_other(equity):
    sessions = scheduled(equity)
    contract.only(equity)
    shares = [day for day in sessions if date(2021, 1, 4) <= day < date(2022, 3, 1)]
    share = {day: candle(n) for n, day in enumerate(shares)}
    coin = {day: candle(n) for n, day in enumerate(sorted(AROUND)[1500 : 1500 + len(shares)])}
    put(equity, coin, AROUND)
    put(equity, share, sessions, asset=EQUITY, session="EQUITY")
    refresh(equity)
    refresh(equity, EQUITY)
    agrees(equity, coin, AROUND)
    agrees(equity, share, sessions, asset=EQUITY, week=5)


def test_a_session_without_calendar_fails_by_name(tx):
    put(tx, {date(2020, 1, 2): candle(1)}, AROUND, session="EQUITY")
    with pytest.raises(psycopg.Error) as caught:
        refresh(tx)
    assert caught.value.sqlstate == "TA102"


@pytest.mark.parametrize(
    ("last", "covered", "closed"),
    [
        # A Friday: as far as is known Saturday could have a session.
        (date(2024, 12, 27), date(2024, 12, 27), {"1D"}),
        (date(2024, 12, 27), date(2024, 12, 29), {"1D", "1W_CAL_ISO"}),
        # A Tuesday that ends month and year.
        (date(2024, 12, 31), date(2024, 12, 31), {"1D", "1M_CAL", "1Y_CAL"}),
    ],
)
def test_where_the_calendar_ends_with_the_candles_the_rest_is_stored_when_it_grows(
    own_db, autocommit, new_york, last, covered, closed
):
    conn = autocommit(own_db)
    contract.only(conn, ["1D", "1W_CAL_ISO", "1M_CAL", "1Y_CAL"])
    days = [day for day in new_york.dates if date(2023, 12, 29) <= day <= last]
    short = schedules.part(new_york, 0, new_york.dates.index(last) + 1)
    calendar.load_calendar(conn, "EQUITY", replace(short, last=covered))
    sessions = scheduled(conn)
    candles = {day: candle(n) for n, day in enumerate(days)}
    put(conn, candles, sessions, asset=EQUITY, session="EQUITY")
    warnings: list[str] = []
    conn.add_notice_handler(lambda notice: warnings.append(notice.message_primary or ""))

    contract.refresh(conn)
    failed = conn.execute("select s.last_error from features.refresh_state as s").fetchall()
    assert set(failed) == {(None,)}
    assert f"asset {EQUITY}: the calendar of EQUITY ends on {covered}, where its candles do" in (
        warnings
    )
    found = bars(conn, EQUITY)
    end = sessions[last][1]
    assert {tf for tf, own in found.items() if own[-1]["time_close"] == end} == closed
    assert len(found["1D"]) == len(days)

    warnings.clear()
    calendar.load_calendar(conn, "EQUITY", new_york)
    contract.refresh(conn)
    assert not any("where its candles do" in each for each in warnings)
    assert agrees(conn, candles, scheduled(conn), asset=EQUITY, week=5) == 4
    assert contract.written(contract.refresh(conn)) == 0


def test_an_asset_whose_candles_go_while_it_is_refreshed_has_no_bars_after_the_next(
    own_db, autocommit
):
    conn, slow = autocommit(own_db), autocommit(own_db)
    contract.only(conn, ["1D", "7D"])
    contract.put(conn, 1, contract.history(30))
    with ThreadPoolExecutor(1) as pool:
        with contract.held(conn, contract.BARS):
            run = pool.submit(contract.refresh, slow)
            contract.wait_for_hold(conn, slow.info.backend_pid)
            conn.execute("select bars.delete_prices(1)")
        run.result()
    assert bars(conn) != {}
    contract.refresh(conn)
    assert bars(conn) == {}


def test_assets_of_a_set_are_worked_out_as_each_alone(equity):
    """Of two markets, with another first change each, and one without candles."""
    contract.only(equity, ["1D", "5D", "1W", "1W_CAL_ISO", "1M_CAL", "1Y_CAL_ANCHOR"])
    sessions = scheduled(equity)
    days = sorted(AROUND)[1000:1500]
    open_days = [day for day in sessions if date(2019, 12, 20) <= day < date(2021, 3, 1)]
    candles = {day: candle(n) for n, day in enumerate(days) if n % 9}
    of_exchange = {day: candle(n) for n, day in enumerate(open_days) if n % 7}
    put(equity, candles, AROUND, asset=1)
    put(equity, dict(list(candles.items())[100:]), AROUND, asset=2)
    put(equity, {}, AROUND, asset=3)
    put(equity, of_exchange, sessions, asset=EQUITY, session="EQUITY")
    ids = [1, 2, 3, EQUITY]
    counts = "d.rows_read, d.rows_written, d.rows_unchanged"
    steps = {
        "features.refresh_bars": ("bars", "bars.cmc_price_bars_multi_tf"),
        "features.refresh_emas": ("ema", "features.cmc_ema_multi_tf"),
    }

    def run(step, froms, *, together):
        feature, table = steps[step]
        pairs = [([id_], [at]) for id_, at in zip(ids, froms, strict=True)]
        done = [
            row
            for arguments in ([(ids, froms)] if together else pairs)
            for row in equity.execute(
                f"select d.id, {counts}, d.changed_from::text, d.last_ts, d.state"
                f" from {step}(%s, %s) as d order by d.id",
                arguments,
            ).fetchall()
        ]
        equity.execute(
            "select features.record_progress(%s, %s, %s, 'x', %s, %s)",
            (ids, feature, table, [row[5] for row in done], [row[6] for row in done]),
        )
        rows = f"select r.* from {table} as r order by r.id, r.tf_id, r.time_close"
        return done, equity.execute(rows).fetchall()

    changed = AROUND[days[470]][1]
    later = [str(changed), "-infinity", "-infinity", str(sessions[open_days[-30]][1])]
    for froms in (["-infinity"] * len(ids), later):
        if froms is later:
            equity.execute(
                "update bars.cmc_price_histories7 set close = low where ts >= %s", [changed]
            )
        for step in steps:
            with equity.transaction(force_rollback=True):
                singly = run(step, froms, together=False)
            assert run(step, froms, together=True) == singly
            assert len(singly[1]) > 500
