"""Files into candles: what is loaded, what is not, and what is said about it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from ta_lab2.bars import formats, ingest, queries
from ta_lab2.bars.errors import AssetIsAnother
from ta_lab2.bars.queries import Counts
from tests.support import prices

GOOD = "2020-01-01,BTC,1,3,0.5,2,10"
TABLES = (
    *("price_staging", "cmc_price_histories7", "dim_assets", "price_rejects"),
    *("dirty_range", "price_state", "price_revisions", "loads"),
)


def load(conn, path) -> Counts:
    return ingest.load(conn, formats.recognise(path)).counts


def stored(conn, asset=1):
    return conn.execute(
        """
        select p.ts::text, p.open, p.high, p.low, p.close, p.volume, p.market_cap,
            p.time_high::text, p.time_low::text
        from bars.cmc_price_histories7 as p
        where p.id = %s
        order by p.ts
        """,
        (asset,),
    ).fetchall()


def reasons(conn):
    return conn.execute(
        "select r.line, r.reason from bars.price_rejects as r order by r.line"
    ).fetchall()


def only(**counts) -> Counts:
    return Counts(**{name: counts.get(name, 0) for name in Counts.__slots__})


def test_a_candle_is_stamped_with_the_last_millisecond_of_its_day(tx, tmp_path):
    tx.execute("set local timezone = 'America/New_York'")
    assert load(tx, prices.daily(tmp_path, GOOD)) == only(loaded=1)
    tx.execute("set local timezone = 'UTC'")
    assert stored(tx) == [("2020-01-01 23:59:59.999+00", 1, 3, 0.5, 2, 10, None, None, None)]


def test_an_export_brings_market_cap_and_the_times_of_the_extremes(tx, tmp_path):
    rows = [prices.export_row("2020-01-02"), prices.export_row("2020-01-01", cap="0", volume="0")]
    assert load(tx, prices.export(tmp_path, *rows)) == only(loaded=2)
    assert stored(tx) == [
        (
            *(f"{day} 23:59:59.999+00", 1, 3, 0.5, 2, volume, cap),
            *(f"{day} 07:01:00+00", f"{day} 09:30:00+00"),
        )
        for day, volume, cap in (("2020-01-01", 0, None), ("2020-01-02", 10, 99))
    ]


def test_a_second_load_writes_nothing(own_db, tmp_path):
    path = prices.daily(tmp_path, GOOD, "2020-01-02,BTC,2,2,2,2,", "2020-01-03,BTC,x,2,2,2,1")
    written = """
        select s.relname, s.n_tup_ins + s.n_tup_upd + s.n_tup_del
        from pg_stat_all_tables as s
        where s.relname ~ '^(_hyper|dim_assets|dirty_range|price_(rejects|clock|revisions))'
        order by 1
    """
    with psycopg.connect(own_db) as conn:
        assert load(conn, path) == only(loaded=2, rejected=1)
    with psycopg.connect(own_db) as conn:
        conn.execute("select pg_stat_force_next_flush()")
        before = conn.execute(written).fetchall()
        assert load(conn, path) == only(unchanged=2, rejected=1)
    with psycopg.connect(own_db) as conn:
        assert conn.execute(written).fetchall() == before
        assert conn.execute("select count(*) from bars.price_staging").fetchone() == (0,)


def test_a_changed_candle_is_revised_and_the_others_are_not(tx, tmp_path):
    load(tx, prices.daily(tmp_path, GOOD, "2020-01-02,BTC,1,3,0.5,2,10"))
    changed = prices.daily(tmp_path, GOOD, "2020-01-02,BTC,1,3,0.5,2.0000000001,10")
    assert load(tx, changed) == only(unchanged=1, revised=1)
    assert stored(tx)[1][4] == 2.0000000001


def test_a_column_that_the_file_lacks_leaves_the_stored_value_alone(tx, tmp_path):
    load(tx, prices.export(tmp_path, prices.export_row("2020-01-01")))
    assert load(tx, prices.daily(tmp_path, "2020-01-01,BTC,1,3,0.5,2.5,11")) == only(revised=1)
    (candle,) = stored(tx)
    assert candle[4:] == (2.5, 11, 99, "2020-01-01 07:01:00+00", "2020-01-01 09:30:00+00")
    assert load(tx, prices.daily(tmp_path, "2020-01-01,BTC,1,3,0.5,2.5,11")) == only(unchanged=1)


def test_an_empty_cell_of_a_column_that_the_file_has_clears_the_stored_value(tx, tmp_path):
    load(tx, prices.export(tmp_path, prices.export_row("2020-01-01")))
    again = prices.export(tmp_path, prices.export_row("2020-01-01", cap="", volume=""))
    assert load(tx, again) == only(revised=1)
    assert stored(tx)[0][5:7] == (None, None)


def test_the_ticker_is_the_newest_one_and_an_older_file_does_not_bring_the_old_one_back(
    tx, tmp_path
):
    def symbol():
        return queries.symbol(tx, 1)

    load(tx, prices.export(tmp_path, prices.export_row("2020-01-01")))
    assert symbol() == "bitcoin"
    old = prices.daily(tmp_path / "old", "2020-01-01,MATIC,1,3,0.5,2,10")
    load(tx, old)
    assert symbol() == "MATIC"
    load(tx, prices.daily(tmp_path, "2020-01-01,MATIC,1,3,0.5,2,10", "2020-01-02,POL,1,1,1,1,1"))
    assert symbol() == "POL"
    load(tx, old)
    assert symbol() == "POL"


@pytest.mark.parametrize("ticker", ["T" * 101, "\x1b[31mX", "X\u202e", "X\u200b"])
def test_a_ticker_that_is_no_name_names_nobody(tx, tmp_path, ticker):
    path = prices.daily(tmp_path, GOOD, GOOD.replace("BTC", ticker).replace("-01,", "-02,"))
    assert load(tx, path) == only(loaded=2)
    assert tx.execute("select a.symbol from bars.dim_assets as a").fetchone() == ("bitcoin",)


BAD = {
    "2020-01-02,BTC,1,3,0.5,2": "6 columns instead of 7",
    "2020-01-02,BTC,1,3,0.5,2,10,": "8 columns instead of 7",
    '2020-01-02,"BTC,1,3,0.5,2,10': "quotes do not match",
    "2020-01-\0,BTC,1,3,0.5,2,10": "zero byte",
    ",BTC,1,3,0.5,2,10": "date missing",
    "2020-13-02,BTC,1,3,0.5,2,10": "date unparsable",
    "2020-02-30,BTC,1,3,0.5,2,10": "date unparsable",
    "2020-01-02T25:00:00Z,BTC,1,3,0.5,2,10": "date unparsable",
    "01/02/2020,BTC,1,3,0.5,2,10": "date unparsable",
    "today,BTC,1,3,0.5,2,10": "date unparsable",
    "infinity,BTC,1,3,0.5,2,10": "date unparsable",
    "2020-01-02T24:00:00Z,BTC,1,3,0.5,2,10": "date unparsable",
    "2999-01-02,BTC,1,3,0.5,2,10": "future date",
    "1899-12-31,BTC,1,3,0.5,2,10": "date before 1900",
    "0001-01-01,BTC,1,3,0.5,2,10": "date before 1900",
    "2020-01-02,BTC,1,3,,2,10": "price missing",
    "2020-01-02,BTC,1,3,0.5,two,10": "price unparsable",
    "2020-01-02,BTC,1,1e999,0.5,2,10": "price unparsable",
    "2020-01-02,BTC,1,0x1A,0.5,2,10": "price unparsable",
    "2020-01-02,BTC,+0X1,3,0.5,2,10": "price unparsable",
    '2020-01-02,BTC,1,"1,003",0.5,2,10': "price unparsable",
    "2020-01-02,BTC,1,3,0.5,NaN,10": "price not a number",
    "2020-01-02,BTC,1,Infinity,0.5,2,10": "price not a number",
    "2020-01-02,BTC,1,3,0,2,10": "price not positive",
    "2020-01-02,BTC,-1,3,0.5,2,10": "price not positive",
    "2020-01-02,BTC,1,1.5,0.5,2,10": "high is not the highest",
    "2020-01-02,BTC,1,0.1,0.5,2,10": "high is not the highest",
    "2020-01-02,BTC,1,1.5,2,1.2,10": "high is not the highest",
    "2020-01-02,BTC,1,3,1.5,2,10": "low is not the lowest",
    "2020-01-02,BTC,2,3,1.5,1,10": "low is not the lowest",
    "2020-01-02,BTC,1,3,0.5,2,many": "volume unparsable",
    "2020-01-02,BTC,1,3,0.5,2,0xff": "volume unparsable",
    "2020-01-02,BTC,1,3,0.5,2,-1": "volume not a number from 0",
    "2020-01-02,BTC,1,3,0.5,2,NaN": "volume not a number from 0",
}


@pytest.mark.parametrize(("line", "reason"), BAD.items())
def test_a_bad_line_is_kept_with_its_reason_and_the_others_are_loaded(tx, tmp_path, line, reason):
    path = prices.daily(tmp_path, GOOD, line, "2020-01-03,BTC,1,3,0.5,2,10")
    assert load(tx, path) == only(loaded=2, rejected=1)
    assert tx.execute(
        "select r.file, r.line, r.raw, r.reason from bars.price_rejects as r"
    ).fetchall() == [(str(path), 3, line.replace("\0", "\\0"), reason)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (prices.export_row("2020-01-01", quote="2790"), "not in US dollars"),
        (prices.export_row("2020-01-01", cap="-5"), "market cap not a number from 0"),
        (prices.export_row("2020-01-01", cap="much"), "market cap unparsable"),
        (prices.export_row("2020-01-01").replace("07:01", "27:01"), "time of the high unparsable"),
        (prices.export_row("2020-01-01").replace("09:30", "9h30"), "time of the low unparsable"),
    ],
)
def test_a_bad_line_of_an_export_is_kept_with_its_reason(tx, tmp_path, row, reason):
    assert load(tx, prices.export(tmp_path, row)) == only(rejected=1)
    assert reasons(tx) == [(2, reason)]


def test_a_bad_line_among_many_has_its_own_number_and_text(tx, tmp_path):
    rows = [f"{prices.day(number)},BTC,1,3,0.5,{1 + number / 1000},10" for number in range(200)]
    rows[150] = f"{prices.day(150)},BTC,1,3,0.5,two,10"
    assert load(tx, prices.daily(tmp_path, *rows)) == only(loaded=199, rejected=1)
    assert tx.execute("select r.line, r.raw, r.reason from bars.price_rejects as r").fetchall() == [
        (152, rows[150], "price unparsable")
    ]
    closes = [1 + number / 1000 for number in range(200) if number != 150]
    assert [candle[4] for candle in stored(tx)] == closes


def test_a_load_that_began_earlier_and_comes_later_is_stamped_later(own_db, tmp_path):
    with psycopg.connect(own_db) as early, psycopg.connect(own_db) as late:
        early.execute("select now()")
        load(late, prices.daily(tmp_path, GOOD))
        late.commit()
        again = prices.daily(tmp_path, GOOD, "2020-01-02,BTC,1,3,0.5,2,10")
        assert load(early, again) == only(loaded=1, unchanged=1)
        early.commit()
        assert late.execute(
            "select count(distinct p.recorded_at) from bars.cmc_price_histories7 as p"
        ).fetchone() == (2,)


@pytest.mark.parametrize("day", ["2020-01-1 ", " 200-01-02"])
def test_a_date_that_only_the_database_would_understand_is_none(tx, day):
    number = uuid4()
    cells = ("1", "3", "0.5", "2")
    columns = ("day", "open", "high", "low", "close")
    queries.stage(
        tx, number, columns, [(1, day, None, (day, *cells)), (2, "", None, ("2020-01-03", *cells))]
    )
    tx.execute("select bars.load_staged_prices(%s, 'f', 1, 'bitcoin', '{}')", (number,))
    assert reasons(tx) == [(1, "date unparsable")]
    assert [candle[0] for candle in stored(tx)] == ["2020-01-03 23:59:59.999+00"]


def test_a_rejected_line_stays_known_after_the_file_was_mended(tx, tmp_path):
    load(tx, prices.daily(tmp_path, "2020-01-01,BTC,1,0.1,0.5,2,10"))
    assert load(tx, prices.daily(tmp_path, GOOD)) == only(loaded=1)
    assert load(tx, prices.daily(tmp_path, "2020-01-01,BTC,1,0.2,0.5,2,10")) == only(rejected=1)
    assert len(reasons(tx)) == 2


def test_a_day_given_twice_alike_is_loaded_once(tx, tmp_path):
    assert load(tx, prices.daily(tmp_path, GOOD, GOOD)) == only(loaded=1, unchanged=1)


def test_a_day_given_twice_with_other_values_is_not_loaded_at_all(tx, tmp_path):
    load(tx, prices.daily(tmp_path, "2020-01-02,BTC,1,3,0.5,1.5,10"))
    path = prices.daily(
        tmp_path, GOOD, "2020-01-02,BTC,1,3,0.5,2,10", "2020-01-02,BTC,1,3,0.5,2,11"
    )
    assert load(tx, path) == only(loaded=1, rejected=2)
    assert reasons(tx) == [(line, "duplicate with other values") for line in (3, 4)]
    assert [candle[4] for candle in stored(tx)] == [2, 1.5]


def test_a_bad_line_does_not_spoil_a_good_one_of_the_same_day(tx, tmp_path):
    path = prices.daily(tmp_path, GOOD, "2020-01-01,BTC,1,0.1,0.5,2,10")
    assert load(tx, path) == only(loaded=1, rejected=1)


@pytest.mark.parametrize("clock", ["", "T00:00:00.000Z", " 23:59:59", "T23:59:59.999999+00:00"])
def test_the_candle_of_the_running_day_is_forming_and_is_left_out(tx, tmp_path, clock):
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=1), today, today + timedelta(days=1)]
    path = prices.daily(tmp_path, *(f"{day}{clock},BTC,1,3,0.5,2,10" for day in days))
    assert load(tx, path) == only(loaded=1, forming=1, rejected=1)
    assert reasons(tx) == [(4, "future date")]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2020-01-01 23:59:59.999+00", only(forming=1)),
        ("2020-01-02 00:00:00+00", only(loaded=1)),
        ("2020-01-01 00:00:00+00", only(forming=1)),
        ("2019-12-31 23:59:59.999+00", only(rejected=1)),
    ],
)
def test_a_session_ends_with_its_last_millisecond(tx, tmp_path, at, expected):
    file, number = formats.recognise(prices.daily(tmp_path, GOOD)), uuid4()
    queries.stage(tx, number, file.columns(), file.lines())
    found = tx.execute(
        """
        select c.* from bars.load_staged_prices(%s, 'f', 1, 'bitcoin', '{volume}', %s) as c
        """,
        (number, at),
    ).fetchone()
    assert Counts(*found) == expected


@pytest.mark.parametrize("name", ["1_ether.csv", "2_bitcoin.csv"])
def test_an_id_and_a_slug_of_two_assets_are_refused_and_nothing_is_loaded(tx, tmp_path, name):
    load(tx, prices.daily(tmp_path, GOOD))
    before = stored(tx)
    with pytest.raises(AssetIsAnother, match="is not"):
        load(tx, prices.daily(tmp_path, "2020-01-01,ETH,5,5,5,5,5", name=name))
    assert stored(tx) == before
    assert tx.execute("select count(*) from bars.dim_assets").fetchone() == (1,)
    assert tx.execute("select count(*) from bars.price_staging").fetchone() == (0,)


def test_a_file_without_lines_is_loaded_as_nothing(tx, tmp_path):
    assert load(tx, prices.daily(tmp_path)) == only()


def test_a_load_killed_on_the_way_leaves_nothing(own_db, tmp_path, autocommit):
    file, killer = formats.recognise(prices.daily(tmp_path, *[GOOD] * 500)), autocommit(own_db)

    def lines(victim):
        for number, line in enumerate(file.lines()):
            if number == 400:
                killer.execute("select pg_terminate_backend(%s)", (victim,))
            yield line

    with pytest.raises(psycopg.OperationalError), psycopg.connect(own_db) as conn:
        queries.stage(conn, uuid4(), file.columns(), lines(conn.info.backend_pid))
    for table in TABLES:
        assert killer.execute(f"select count(*) from bars.{table}").fetchone() == (0,), table
    with psycopg.connect(own_db) as conn:
        assert load(conn, file.path) == only(loaded=1, unchanged=499)


@pytest.mark.parametrize("names", [("1_bitcoin.csv",) * 2, ("1_bitcoin.csv", "2_litecoin.csv")])
def test_two_loads_at_once_follow_each_other(own_db, tmp_path, names):
    days = [f"{prices.day(number)},X,1,3,0.5,2,10" for number in range(900)]
    paths = [
        prices.daily(tmp_path / "up", *days, name=names[0]),
        prices.daily(tmp_path / "down", *reversed(days), name=names[1]),
    ]

    def one(path):
        with psycopg.connect(own_db) as conn:
            return load(conn, path)

    with ThreadPoolExecutor(2) as pool:
        found = sorted(pool.map(one, paths), key=lambda counts: counts.loaded)
    if names[0] == names[1]:
        assert found == [only(unchanged=900), only(loaded=900)]
    else:
        assert found == [only(loaded=900)] * 2


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("high = 1.5", "prices_are_in_order"),
        ("low = 1.5", "prices_are_in_order"),
        ("low = 0", "prices_are_positive"),
        ("high = 'NaN'", "prices_are_positive"),
        ("high = 'infinity'", "prices_are_positive"),
        ("volume = -1", "volume_is_a_number"),
        ("volume = 'NaN'", "volume_is_a_number"),
        ("market_cap = 0", "market_cap_is_positive"),
    ],
)
def test_the_table_itself_takes_no_bad_candle(tx, tmp_path, change, rule):
    load(tx, prices.daily(tmp_path, GOOD))
    with pytest.raises(psycopg.errors.CheckViolation, match=rule):
        tx.execute(f"update bars.cmc_price_histories7 set {change}")


def test_the_app_may_ingest_and_the_reader_may_only_look(tx, tmp_path):
    tx.execute("set local role ta_lab2_app")
    path = prices.daily(tmp_path, GOOD, "2020-01-02,BTC,1,1,1,x,1")
    assert load(tx, path) == only(loaded=1, rejected=1)
    assert load(tx, path) == only(unchanged=1, rejected=1)
    tx.execute("set local role ta_lab2_reader")
    for table in ("dim_assets", "cmc_price_histories7", "price_rejects"):
        assert tx.execute(f"select count(*) from published.{table}").fetchone() == (1,)
    for attempt in (
        "select * from bars.cmc_price_histories7",
        "update published.cmc_price_histories7 set close = 1",
        "select * from bars.load_staged_prices(gen_random_uuid(), 'f', 1, 'b', '{}')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), tx.transaction():
            tx.execute(attempt)
