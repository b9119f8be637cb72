"""The bars as they are stored: what the kernel's own tests can't see."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import psycopg
import pytest

from ta_lab2.timemodel import queries as calendar
from tests.support import contract, prices
from tests.support import sessions as schedules
from tests.support.stored_bars import AROUND, EQUITY, agrees, bars, candle, put, refresh, scheduled

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
