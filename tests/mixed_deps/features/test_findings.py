"""What looks wrong in the features is found, stays while it holds, and goes when it does not."""

from __future__ import annotations

import math
import re

import psycopg
import pytest

from ta_lab2 import cli
from ta_lab2.features import queries
from tests.support import contract, prices

HOLE = range(60, 64)


def walk(days: int = 120) -> dict[int, float]:
    """Closes that never move by much, with a hole of four days."""
    return {n: 100 + 3 * math.sin(n) for n in range(days) if n not in HOLE}


@pytest.fixture
def conn(own_db, autocommit):
    conn = autocommit(own_db)
    contract.only(conn, ["1D"])
    return conn


def findings(conn: psycopg.Connection, *, asset: int = 1) -> list[tuple]:
    return conn.execute(
        "select f.rule, f.ts, f.value, f.severity from features.findings as f"
        " where f.id = %s order by f.rule, f.ts",
        (asset,),
    ).fetchall()


def of(conn: psycopg.Connection, rule: str) -> list[tuple]:
    return [(ts, value) for name, ts, value, _ in findings(conn) if name == rule]


def open_alerts(conn: psycopg.Connection) -> list[tuple]:
    return conn.execute(
        "select a.alert_type, a.severity, a.problem, a.occurrences from observability.alerts as a"
        " where a.resolved_at is null order by a.problem"
    ).fetchall()


def falsify(conn: psycopg.Connection, statement: str, *parameters: object) -> None:
    """Change a feature's row behind the back of the refresh, and tell its table's consumers."""
    conn.execute(statement, parameters)
    (table,) = re.findall(r"cmc_\w+", statement)
    conn.execute("select bars.log_dirty_range(1, '-infinity', 'infinity', %s)", (table,))


def test_prices_without_fault_give_only_their_hole(conn):
    contract.put(conn, 1, walk(), 0)
    contract.refresh(conn)
    assert findings(conn) == [("sessions_absent", prices.ts(64), 4.0, "info")]
    assert open_alerts(conn) == []


def test_a_large_return_is_found_with_its_value_and_goes_when_the_price_is_mended(conn):
    contract.put(conn, 1, walk() | {90: 210.0}, 0)
    contract.refresh(conn)
    up, down = of(conn, "return_too_large")
    before, after = walk()[89], walk()[91]
    assert up == (prices.ts(90), pytest.approx(210 / before - 1))
    assert down == (prices.ts(91), pytest.approx(after / 210 - 1))
    contract.put(conn, 1, {90: walk()[90]}, 0)
    contract.refresh(conn)
    assert of(conn, "return_too_large") == []
    assert len(of(conn, "sessions_absent")) == 1


def test_a_volatility_beyond_belief_is_found(conn):
    contract.put(conn, 1, walk() | {n: 100.0 * 2 ** (n % 2) for n in range(80, 120)}, 0)
    contract.refresh(conn)
    stored = conn.execute(
        "select ts, greatest(close_to_close_20, close_to_close_63, parkinson_20, parkinson_63,"
        " garman_klass_20, garman_klass_63, rogers_satchell_20, rogers_satchell_63)"
        " from cmc_vol_daily where id = 1 order by ts"
    ).fetchall()
    expected = [(ts, value) for ts, value in stored if value is not None and value > 5]
    assert expected
    assert of(conn, "volatility_too_large") == expected


def test_percent_against_log_holds_for_prices_of_every_size(conn):
    wild = {n: 10.0 ** (15 * math.sin(n)) for n in range(40)}
    contract.put(conn, 1, wild, 0)
    contract.put(conn, 2, {n: math.exp(-n) for n in range(40)}, 0)
    contract.refresh(conn)
    assert of(conn, "percent_against_log") == []
    assert conn.execute("select count(*) from findings where rule = 'return_too_large'").fetchone()[
        0
    ]


@pytest.mark.parametrize("column", ["ret_pct_1", "ret_log_7", "ret_pct_30"])
def test_a_return_that_contradicts_the_other_is_critical_and_raises_an_alert(conn, column):
    contract.put(conn, 1, walk(), 0)
    contract.refresh(conn)
    spoil = f"update cmc_returns_daily set {column} = {column} + %s where id = 1 and ts = %s"
    falsify(conn, spoil, 1e-9, prices.ts(110))
    contract.refresh(conn)
    ((ts, value),) = of(conn, "percent_against_log")
    assert ts == prices.ts(110)
    assert value == pytest.approx(1e-9, rel=0.3)
    alert = ("features.critical_finding", "critical", "finding percent_against_log", 1)
    assert open_alerts(conn) == [alert]
    contract.refresh(conn)
    assert open_alerts(conn) == [alert], "it stands, and nothing is new"
    conn.execute("call refresh_features(p_rebuild => true)")
    assert of(conn, "percent_against_log") == []
    assert open_alerts(conn) == []


def test_percent_against_log_looks_at_every_span(conn):
    contract.put(conn, 1, walk(300), 0)
    contract.refresh(conn)
    look = "select f.ts, f.value from features.finding_percent_against_log('{1}', %s, 1e-12) as f"
    assert conn.execute(look, (["-infinity"],)).fetchall() == []
    for span in (1, 3, 5, 7, 14, 21, 30, 63, 126, 252):
        for column in (f"ret_pct_{span}", f"ret_log_{span}"):
            with conn.transaction(force_rollback=True):
                conn.execute(
                    f"update cmc_returns_daily set {column} = {column} - 3e-12"
                    " where id = 1 and ts = %s",
                    (prices.ts(290),),
                )
                found = conn.execute(look, (["-infinity"],)).fetchall()
                assert found == [(prices.ts(290), pytest.approx(3e-12, rel=0.1))], column
                assert conn.execute(look, ([prices.ts(291)],)).fetchall() == [], column


def test_what_e_cannot_be_raised_to_is_left_out(conn):
    contract.put(conn, 1, walk(), 0)
    contract.refresh(conn)
    for log in ("800", "-800", "'infinity'", "'-infinity'", "'nan'"):
        conn.execute(
            f"update cmc_returns_daily set ret_log_1 = {log} where ts = %s", (prices.ts(9),)
        )
        found = conn.execute(
            "select * from features.finding_percent_against_log('{1}', '{-infinity}', 1e-12)"
        ).fetchall()
        assert found == [], log


@pytest.mark.parametrize(
    ("rule", "table"),
    [
        ("returns_off_calendar", "cmc_returns_daily"),
        ("volatility_off_calendar", "cmc_vol_daily"),
        ("indicators_off_calendar", "cmc_ta_daily"),
        ("store_off_calendar", "cmc_daily_features"),
    ],
)
def test_a_table_is_compared_with_the_calendar_both_ways(conn, rule, table):
    contract.put(conn, 1, walk(), 0)
    contract.refresh(conn)
    falsify(conn, f"delete from {table} where id = 1 and ts = %s", prices.ts(61))
    falsify(
        conn,
        f"update {table} set ts = ts + interval '1 hour' where id = 1 and ts = %s",
        prices.ts(100),
    )
    contract.refresh(conn)
    moved = conn.execute("select %s + interval '1 hour'", (prices.ts(100),)).fetchone()[0]
    assert of(conn, rule) == [(prices.ts(61), -1.0), (prices.ts(100), -1.0), (moved, 1.0)]


def test_of_several_assets_each_is_compared_with_its_own_part_of_the_calendar(conn):
    for asset, days in ((1, range(5, 90)), (2, range(120)), (3, range(30, 50)), (4, range(3))):
        contract.put(conn, asset, dict.fromkeys(days, 100.0), 0)
    contract.refresh(conn)
    conn.execute("delete from cmc_price_histories7 where id = 4")

    def found(since):
        return conn.execute(
            "select o.id, o.ts, o.value"
            " from features.off_calendar('{1,2,3,4}', %s, 'features.cmc_returns_daily') as o"
            " order by 1, 2",
            ([since] * 4,),
        ).fetchall()

    orphans = [(4, prices.ts(n), 1.0) for n in range(3)]
    assert found("-infinity") == orphans
    for asset, day, to in ((1, 5, 4), (3, 49, 60)):
        conn.execute(
            "update cmc_returns_daily set ts = %s where id = %s and ts = %s",
            (prices.ts(to), asset, prices.ts(day)),
        )
    first = [(1, prices.ts(4), 1.0), (1, prices.ts(5), -1.0)]
    last = [(3, prices.ts(49), -1.0), (3, prices.ts(60), 1.0)]
    assert found("-infinity") == [*first, *last, *orphans]
    assert found(prices.ts(5)) == [first[1], *last]
    assert found(prices.ts(49)) == last
    assert found(prices.ts(50)) == last[1:]


@pytest.mark.parametrize(("column", "value"), [("rsi_7", -0.5), ("rsi_21", 100.5)])
def test_an_rsi_that_is_none_is_critical(conn, column, value):
    contract.put(conn, 1, walk(), 0)
    contract.refresh(conn)
    assert of(conn, "rsi_out_of_range") == []
    falsify(
        conn,
        f"update cmc_ta_daily set {column} = %s where id = 1 and ts = %s",
        value,
        prices.ts(110),
    )
    contract.refresh(conn)
    assert of(conn, "rsi_out_of_range") == [(prices.ts(110), value)]


def test_an_rsi_that_was_added_is_looked_at_too(conn):
    conn.execute("""insert into dim_indicators (kind, params) values ('rsi', '{"period": 28}')""")
    contract.put(conn, 1, walk(), 0)
    contract.refresh(conn)
    falsify(conn, "update cmc_ta_daily set rsi_28 = 101 where id = 1 and ts = %s", prices.ts(110))
    contract.refresh(conn)
    assert of(conn, "rsi_out_of_range") == [(prices.ts(110), 101.0)]


def test_a_close_that_is_not_the_candle_s_is_critical(conn):
    contract.put(conn, 1, walk(), 0)
    contract.refresh(conn)
    assert of(conn, "close_differs") == []
    for change, day in (("close + 1", 100), ("null", 101)):
        falsify(
            conn,
            f"update cmc_daily_features set close = {change} where id = 1 and ts = %s",
            prices.ts(day),
        )
    queries.refresh(conn)
    assert of(conn, "close_differs") == [
        (prices.ts(100), pytest.approx(1.0)),
        (prices.ts(101), None),
    ]


def test_a_row_of_nulls_is_found_after_the_warm_up_and_not_in_it(conn):
    contract.put(conn, 1, walk(600), 0)
    contract.refresh(conn)
    assert of(conn, "mostly_null") == []
    spans = (1, 3, 5, 7, 14, 21)
    empty = ", ".join(f"ret_{kind}_{n} = null" for kind in ("pct", "log") for n in spans)
    for day in (300, 500):
        falsify(
            conn,
            f"update cmc_daily_features set {empty}, ema_9 = null where id = 1 and ts = %s",
            prices.ts(day),
        )
    contract.refresh(conn)
    ((ts, value),) = of(conn, "mostly_null")
    assert ts == prices.ts(500)
    assert 0.1 < value < 0.2


def test_weekends_and_holidays_of_an_exchange_are_no_findings(equity_db, autocommit, server_url):
    from psycopg.conninfo import conninfo_to_dict

    from tests.support import servers

    name = conninfo_to_dict(equity_db)["dbname"]
    with servers.copy(server_url, "findings", template=name) as conninfo:
        conn = autocommit(conninfo)
        contract.only(conn, ["1D"])
        conn.execute(
            "insert into dim_assets (id, symbol, slug, session_id) values (1, 'X', 'x', 'EQUITY')"
        )
        conn.execute(
            """
            insert into cmc_price_histories7 (id, ts, open, high, low, close)
            select 1, s.time_close, 10, 11, 9, 10
            from timemodel.sessions('EQUITY', '2024-11-01', '2024-12-31') as s
            """
        )
        contract.refresh(conn)
        assert findings(conn) == []


def test_a_second_refresh_writes_nothing(conn):
    contract.put(conn, 1, walk() | {90: 210.0}, 0)
    contract.refresh(conn)
    before = conn.execute("select f.xmin, f.* from findings as f order by 2, 3, 4").fetchall()
    contract.refresh(conn)
    conn.execute("call refresh_features(p_rebuild => true)")
    assert (
        conn.execute("select f.xmin, f.* from findings as f order by 2, 3, 4").fetchall() == before
    )
    assert conn.execute("select * from features.refresh_findings('{1}')").fetchall() == []


def test_day_by_day_finds_what_one_refresh_finds(conn):
    closes = walk() | {90: 210.0, 40: 30.0}
    query = "select id - 1, rule, ts, value, severity from findings where id = %s order by 1, 2, 3"
    for day, close in closes.items():
        contract.put(conn, 1, {day: close}, 0)
        if day > 85:
            contract.refresh(conn)
    one = conn.execute(query, (1,)).fetchall()
    contract.put(conn, 2, closes, 0)
    contract.refresh(conn)
    other = conn.execute(query, (2,)).fetchall()
    assert [row[1:] for row in one] == [row[1:] for row in other]
    assert {row[1] for row in one} == {
        *("return_too_large", "sessions_absent", "volatility_too_large"),
    }


def test_a_new_day_looks_at_the_new_rows_only(conn):
    contract.put(conn, 1, walk(), 0)
    contract.refresh(conn)
    # A fault in the past that nobody logged: who looks at all of it again would find it.
    conn.execute(
        "update cmc_returns_daily set ret_pct_1 = 9 where id = 1 and ts = %s", (prices.ts(20),)
    )
    contract.put(conn, 1, {120: 100.0}, 0)
    contract.refresh(conn)
    assert of(conn, "return_too_large") == []


def test_a_threshold_that_changes_is_applied_everywhere_by_the_next_refresh(conn):
    contract.put(conn, 1, walk() | {90: 140.0}, 0)
    contract.refresh(conn)
    assert of(conn, "return_too_large") == []
    conn.execute("set role ta_lab2_app")
    conn.execute("update dim_finding_rules set threshold = 0.3 where rule = 'return_too_large'")
    contract.refresh(conn)
    assert [ts for ts, _ in of(conn, "return_too_large")] == [prices.ts(90)]
    conn.execute(
        "update dim_finding_rules set severity = 'critical' where rule = 'return_too_large'"
    )
    contract.refresh(conn)
    assert [row[3] for row in findings(conn) if row[0] == "return_too_large"] == ["critical"]
    assert [row[2] for row in open_alerts(conn)] == ["finding return_too_large"]
    conn.execute("update dim_finding_rules set is_active = false where rule = 'return_too_large'")
    assert of(conn, "return_too_large") == []
    contract.refresh(conn)
    assert of(conn, "return_too_large") == []
    assert open_alerts(conn) == []


def test_a_rule_is_a_row_and_a_function(conn):
    contract.put(conn, 1, walk(), 0)
    contract.refresh(conn)
    conn.execute(
        """
        create function features.finding_too_cheap(
            p_ids integer[], p_froms timestamptz[], p_threshold float8
        )
        returns table (id integer, ts timestamptz, value float8)
        language sql stable as
        'select p.id, p.ts, p.close from bars.cmc_price_histories7 as p
         join unnest(p_ids, p_froms) as w (id, from_ts) on p.id = w.id and p.ts >= w.from_ts
         where p.close < p_threshold';
        insert into features.dim_finding_rules (rule, description, consumer, severity, threshold)
        values ('too_cheap', 'A close under the threshold.', 'findings_returns', 'info', 97.01)
        """
    )
    contract.refresh(conn)
    expected = [(prices.ts(n), close) for n, close in walk().items() if close < 97.01]
    assert expected
    assert of(conn, "too_cheap") == expected


def test_a_rule_without_a_function_stops_no_refresh_and_loses_nothing(conn):
    conn.execute(
        "insert into dim_finding_rules (rule, description, consumer, severity)"
        " values ('no_such', 'None.', 'findings_returns', 'info')"
    )
    contract.put(conn, 1, walk(), 0)
    contract.refresh(conn)
    assert conn.execute("select count(*) from cmc_returns_daily").fetchone() == (120,)
    assert [row[2] for row in open_alerts(conn)] == ["findings failed"]
    assert findings(conn) == []
    conn.execute("update dim_finding_rules set is_active = false where rule = 'no_such'")
    contract.refresh(conn)
    assert len(findings(conn)) == 1
    assert open_alerts(conn) == []


def test_an_asset_that_another_session_holds_is_looked_at_the_next_time(conn, own_db):
    contract.put(conn, 1, walk(), 0)
    contract.refresh(conn)
    falsify(
        conn, "update cmc_returns_daily set ret_pct_1 = 9 where id = 1 and ts = %s", prices.ts(9)
    )
    with psycopg.connect(own_db) as holder:
        holder.execute("select from features.refresh_state where id = 1 for update")
        assert conn.execute("select * from features.refresh_findings('{1}')").fetchall() == []
    found = conn.execute("select rule, appeared from features.refresh_findings('{1}')").fetchall()
    assert found == [("percent_against_log", 1), ("return_too_large", 1)]


def test_prices_that_are_deleted_take_their_findings_along(conn):
    contract.put(conn, 1, walk() | {90: 210.0}, 0)
    contract.refresh(conn)
    conn.execute("delete from cmc_price_histories7 where id = 1 and ts > %s", (prices.ts(50),))
    contract.refresh(conn)
    assert findings(conn) == []


@pytest.fixture
def command(own_db, means, capsys):
    """Run `ta-lab2 findings` on this test's database: its status, its lines, its errors."""
    means(own_db)

    def run(*words):
        capsys.readouterr()
        status = cli.run(["findings", *words])
        said = capsys.readouterr()
        return status, [line.split() for line in said.out.splitlines()], said.err

    return run


def test_the_command_shows_them_the_worst_first(conn, command, monkeypatch):
    assert command()[2].strip() == "nothing was found"
    contract.put(conn, 1, walk() | {90: 210.0}, 0)
    contract.refresh(conn)
    symbol = conn.execute("select symbol from dim_assets where id = 1").fetchone()[0]
    status, out, _ = command()
    assert status == 0
    rows = [line for line in out if symbol in line]
    first, last = (f"{prices.ts(day):%Y-%m-%d}" for day in (90, 91))
    assert rows[0][:6] == ["warning", "return_too_large", symbol, "2", first, last]
    hole = f"{prices.ts(64):%Y-%m-%d}"
    assert rows[1:] == [["info", "sessions_absent", symbol, "1", hole, hole, "4"]]
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    assert command()[1] == out, "days are of UTC wherever the reader is"
    each = [line for line in command("--each")[1] if symbol in line]
    assert [line[4] for line in each] == [last, first, hole]
    assert rows[0][6] == max((line[6] for line in each[:2]), key=lambda text: abs(float(text)))


def test_the_command_can_be_asked_for_less(conn, command):
    contract.put(conn, 1, walk() | {90: 210.0}, 0)
    contract.refresh(conn)
    assert len(command("--rule", "sessions_absent")[1]) == len(command()[1]) - 1
    assert command("--severity", "critical")[2].strip() == "nothing was found"
    conn.execute("insert into bars.dim_assets (id, symbol, slug) values (2, 'LTC', 'litecoin')")
    assert command("--asset", "ltc")[2].strip() == "nothing was found"
    assert command("--asset", "1")[1] == command()[1]
    status, out, err = command("--last", "1")
    assert "and 1 more" in " ".join(out[-1])
    status, _, err = command("--rule", "nonsense")
    assert (status, "there is no rule nonsense" in err) == (2, True)
    assert "return_too_large" in err


def test_a_new_day_reads_a_few_rows_by_their_key(conn):
    def read():
        """Rows read so far of both tables: by scans of all of it, and by a key."""
        return conn.execute(
            "select sum(s.seq_tup_read)::integer, sum(s.idx_tup_fetch)::integer"
            " from pg_stat_xact_user_tables as s"
            " where s.relname in ('cmc_returns_daily', 'cmc_vol_daily')"
        ).fetchone()

    for asset in range(1, 9):
        contract.put(conn, asset, walk(400), 0)
    contract.refresh(conn)
    conn.execute("analyze features.cmc_returns_daily, features.cmc_vol_daily")
    with conn.transaction():
        for table in ("cmc_returns_daily", "cmc_vol_daily"):
            conn.execute(
                "select bars.log_dirty_range(a.id, %s, 'infinity', %s) from dim_assets as a",
                (prices.ts(399), table),
            )
        scanned, fetched = read()
        conn.execute("select * from features.refresh_findings('{1,2,3,4,5,6,7,8}')")
        scanned_then, fetched_then = read()
    assert scanned_then == scanned
    assert 0 < fetched_then - fetched <= 8 * 6
