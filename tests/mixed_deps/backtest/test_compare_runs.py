"""``backtest.compare_runs``: what it names is what was changed, held against the tables."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from ta_lab2.backtest import errors, runs
from ta_lab2.counted import counted
from tests.support import contract, naive, prices, servers

SIGNAL = "ema_9_21_long"
ASSETS = [1, 2]
#: Half of the cash for an entry, so that both assets are traded.
BOTH = {"asset_ids": ASSETS, "sizing": "fixed_fraction", "fraction": 0.5}
#: A day with a candle in the second year of the history, and what its close becomes.
REVISED, FACTOR = 200, 0.4
VALUES = ("open", "high", "low", "close", "volume", "market_cap")


def refresh(conn):
    conn.execute("call refresh_features()")
    conn.execute("call refresh_regimes()")
    conn.execute("call refresh_signals()")


def start(conn, **given):
    return runs.start(conn, given.pop("signal", SIGNAL), **{**BOTH, **given})


def closes(asset):
    """Stairs with some noise, of another rhythm for each asset."""
    return {
        n: 100 + 20 * ((n // (11 + 6 * asset)) % 3) + (n * 7919 * asset % 101) / 10
        for n in range(500)
    }


class Pair:
    """Two runs, before a candle of asset 2 was revised and after it, and copies of what stood."""

    def __init__(self, conn):
        self.conn = conn
        contract.only(conn, ["1D"])
        for asset in ASSETS:
            contract.put(conn, asset, closes(asset))
        refresh(conn)
        self.first = start(conn, label="first")
        for table in ("features.cmc_daily_features", "signals.cmc_signals"):
            conn.execute(f"create table {table.split('.')[1]}_before as select * from {table}")
        contract.put(conn, 2, {REVISED: closes(2)[REVISED] * FACTOR})
        refresh(conn)
        self.second = start(conn, label="second")
        self.found = runs.compare(conn, self.first, self.second)

    def level(self, name):
        return [each for each in self.found if each.level == name]


@pytest.fixture(scope="module")
def pair(server_url, template):
    with (
        servers.copy(server_url, "compare", template=template) as conninfo,
        psycopg.connect(conninfo, autocommit=True) as conn,
    ):
        yield Pair(conn)


@pytest.fixture
def conn(pair):
    """The connection of the pair, with whatever a test does taken back."""
    with pair.conn.transaction(force_rollback=True):
        yield pair.conn


def test_a_run_differs_from_itself_and_from_its_repeat_in_nothing(pair, conn):
    repeated = start(conn)
    for other in (pair.second, repeated):
        found = runs.compare(conn, pair.second, other)
        assert [(each.level, each.what) for each in found] == [
            ("inputs", "equal"), ("machinery", "equal"), ("result", "equal"),
        ]  # fmt: skip


def test_levels_come_in_their_order(pair):
    order = [
        *("inputs", "machinery", "result", "setting", "routine", "data", "segment", "candle"),
        *("feature", "signal", "trade", "equity", "metric"),
    ]
    levels = [order.index(each.level) for each in pair.found]
    assert levels == sorted(levels)
    assert [(each.level, each.what) for each in pair.found[:3]] == [
        ("inputs", "differs"), ("machinery", "equal"), ("result", "differs"),
    ]  # fmt: skip
    assert pair.level("setting") == pair.level("routine") == []


def test_the_first_segment_that_differs_is_that_of_the_revised_candle(pair):
    (segment,) = pair.level("segment")
    assert (segment.id, segment.ts.year) == (2, prices.ts(REVISED).year)
    assert segment.what == "first difference"
    first, second = (
        pair.conn.execute(
            """
            select encode(s.digest, 'hex')
            from backtest.run_segments as s
            where s.run_id = %s and s.id = 2 and s.year = %s
            """,
            (run, segment.ts.year),
        ).fetchone()[0]
        for run in (pair.first, pair.second)
    )
    assert (segment.a, segment.b) == (first, second)


def test_the_first_segment_is_the_earliest_of_all_assets(pair, conn):
    repeated = start(conn)
    for changed in ((1, 2022), (2, 2021), (1, 2021)):
        conn.execute(
            """
            update backtest.run_segments
            set digest = sha256(digest)
            where run_id = %s and id = %s and year = %s
            """,
            (repeated, *changed),
        )
        (segment,) = [e for e in runs.compare(conn, pair.second, repeated) if e.level == "segment"]
        assert (segment.id, segment.ts.year) == changed


def revise(conn, *changes):
    """Change columns of candles of asset 2, and return the moment as of which that is known."""
    for day, column in changes:
        conn.execute(
            f"update bars.cmc_price_histories7 set {column} = {column} * 1.01"
            " where id = 2 and ts = %s",
            (prices.ts(day),),
        )
    return conn.execute(
        "select p.recorded_at::text from bars.price_state as p where p.id = 2"
    ).fetchone()[0]


def test_candles_up_to_the_segment_s_end_are_named_with_the_moment_of_the_first_change(pair, conn):
    """A volume is in no segment, but may be what features of it were made from."""
    at = revise(
        conn, (5, "volume"), (6, "market_cap"), (REVISED, "market_cap"), (REVISED, "close"),
        (450, "volume"),
    )  # fmt: skip
    third = start(conn, known_at=at)
    (was,) = conn.execute(
        "select min(r.superseded_at)::text from bars.price_revisions as r where r.id = 2"
    ).fetchone()

    def told(run):
        return {
            (each.ts, each.what, each.detail)
            for each in runs.compare(conn, run, third)
            if each.level == "candle"
            and (each.ts != prices.ts(REVISED) or each.what in ("close", "market_cap"))
        }

    # Between the second and the third run the candle was replaced once more.
    assert told(pair.second) == {
        (prices.ts(5), "volume", f"replaced at {at}"),
        (prices.ts(6), "market_cap", f"replaced at {at}"),
        (prices.ts(REVISED), "close", f"replaced at {at}"),
        (prices.ts(REVISED), "market_cap", f"replaced at {at}"),
    }
    assert {each for each in told(pair.first) if each[1] == "close"} == {
        (prices.ts(REVISED), "close", f"replaced at {was}")
    }


@pytest.mark.parametrize("bounded", ["first", "second"])
@pytest.mark.parametrize("bound", ["from_ts", "to_ts"])
def test_signals_beyond_the_range_of_either_run_are_not_told(pair, conn, bounded, bound):
    signals = [each.ts for each in pair.level("signal")]
    _, middle, _ = sorted(set(signals))
    whole = {"from_ts": "first_ts", "to_ts": "last_ts"}[bound]
    conn.execute(
        f"""
        update backtest.runs
        set {bound} = case when run_id = %s then %s else {whole} end
        """,
        (getattr(pair, bounded), middle),
    )
    found = runs.compare(conn, pair.first, pair.second)
    assert [each.ts for each in found if each.level == "signal"] == [
        ts for ts in signals if (ts >= middle if bound == "from_ts" else ts <= middle)
    ]


def test_an_exit_and_an_entry_on_one_bar_are_told_apart(pair, conn):
    """A signal of both sides that turns round leaves and enters on the same bar."""
    conn.execute("""
        insert into signals.dim_signals (signal_name, signal_type, params)
        values (
            'turning', 'ema_crossover', '{"fast_period": 9, "slow_period": 21, "direction": "both"}'
        )
    """)
    (signal,) = conn.execute(
        "select s.signal_id from signals.dim_signals as s where s.signal_name = 'turning'"
    ).fetchone()
    before, after = (
        {
            (ts, state): rest
            for ts, state, *rest in conn.execute(
                """
                select e.ts, e.position_state, e.direction, e.entry_ts, e.entry_price, e.exit_price,
                    e.pnl_pct
                from signals.events(2, %s, %s) as e
                """,
                (signal, runs.one(conn, run).data_at),
            )
        }
        for run in (pair.first, pair.second)
    )
    assert {(ts, "open") for ts, state in before if state == "closed"} & before.keys()
    found = runs.compare(
        conn,
        *(
            start(conn, signal="turning", known_at=runs.one(conn, run).data_at)
            for run in (pair.first, pair.second)
        ),
    )
    assert [(each.ts, each.what) for each in found if each.level == "signal"] == [
        (key[0], "differs" if key in before and key in after else
         "only in a" if key in before else "only in b")
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]  # fmt: skip


def test_the_revised_candle_is_named_with_its_old_and_its_new_values(pair):
    old = contract.candle(2, REVISED, closes(2)[REVISED], 1)
    new = contract.candle(2, REVISED, closes(2)[REVISED] * FACTOR, 1)
    expected = {
        name: (a, b) for name, a, b in zip(VALUES, old[2:8], new[2:8], strict=True) if a != b
    }
    found = {each.what: (float(each.a), float(each.b)) for each in pair.level("candle")}
    assert found == expected
    assert "close" in found
    assert {each.ts for each in pair.level("candle")} == {prices.ts(REVISED)}
    superseded = pair.conn.execute(
        "select max(r.superseded_at)::text from bars.price_revisions as r where r.id = 2"
    ).fetchone()[0]
    assert {each.detail for each in pair.level("candle")} == {f"replaced at {superseded}"}


def test_each_feature_is_named_with_the_first_bar_on_which_it_differs(pair):
    """The tables as they stood before and stand now, compared column by column."""
    year = prices.ts(REVISED).year
    rows = pair.conn.execute(
        """
        select f.ts, to_jsonb(b), to_jsonb(f)
        from features.cmc_daily_features as f
        join cmc_daily_features_before as b using (id, ts)
        where f.id = 2 and extract(year from f.ts at time zone 'UTC') = %s
        order by f.ts
        """,
        (year,),
    ).fetchall()
    expected, days = {}, {}
    for ts, before, now in rows:
        for name in before:
            if before[name] != now[name] and name not in {*VALUES, "extra"}:
                expected.setdefault(name, (ts, before[name], now[name]))
                days[name] = days.get(name, 0) + 1
    found = pair.level("feature")
    assert {each.what: each.ts for each in found} == {n: e[0] for n, e in expected.items()}
    for each in found:
        _, a, b = expected[each.what]
        for text, value in ((each.a, a), (each.b, b)):
            assert (
                text is None
                if value is None
                else str(value).lower() == text or (float(text) == value)
            )
        assert each.detail.startswith(f"{counted(days[each.what], 'bar')} of the segment")
    read = [each.what for each in found if "read by the signal" in each.detail]
    # Those of the signal itself, and those that every signal may be filtered and sized by.
    assert set(read) == {"ema_9", "ema_21", "rsi_14", "atr_14", "parkinson_20"}
    assert [each.what for each in found[: len(read)]] == read, "those that are read come first"


def test_features_are_those_of_the_segment_though_others_differ_too(pair, conn):
    year = prices.ts(REVISED).year
    conn.execute(
        """
        update backtest.run_segments as s
        set digest = o.digest
        from backtest.run_segments as o
        where s.run_id = %s and o.run_id = %s and o.id = s.id and o.year = s.year and o.year = %s
        """,
        (pair.second, pair.first, year),
    )
    found = runs.compare(conn, pair.first, pair.second)
    assert {each.ts.year for each in found if each.level == "feature"} == {year + 1}


def test_the_signals_are_those_that_came_went_or_changed(pair):
    columns = "entry_ts, entry_price, exit_price, pnl_pct, direction"
    rows = pair.conn.execute(
        f"""
        select coalesce(x.ts, y.ts), x.ts is not null, y.ts is not null
        from (select * from cmc_signals_before where id = 2 and signal_id = %s) as x
        full join (select * from signals.cmc_signals where id = 2 and signal_id = %s) as y
            using (ts, position_state)
        where ({", ".join("x." + c for c in columns.split(", "))})
            is distinct from ({", ".join("y." + c for c in columns.split(", "))})
        """,
        (1, 1),
    ).fetchall()
    assert rows, "the revision moves a signal"
    names = {(True, True): "differs", (True, False): "only in a", (False, True): "only in b"}
    expected = sorted((ts, names[a, b]) for ts, a, b in rows)
    assert sorted((each.ts, each.what) for each in pair.level("signal")) == expected
    assert {each.id for each in pair.level("signal")} == {2}


def test_the_trades_are_those_that_came_went_or_were_filled_otherwise(pair):
    def trades(run):
        found = pair.conn.execute(
            """
            select t.id, t.entry_signal_ts, t.direction, t.entry_ts, t.entry_price, t.exit_ts,
                t.exit_price, t.units, t.net_pnl
            from backtest.trades as t
            where t.run_id = %s
            """,
            (run,),
        )
        return {row[:3]: row[3:] for row in found}

    a, b = trades(pair.first), trades(pair.second)
    expected, sizes = [], 0
    for key in a.keys() | b.keys():
        if key not in a or key not in b:
            expected.append((key[0], key[1], "only in b" if key not in a else "only in a"))
        elif a[key][:4] != b[key][:4]:
            expected.append((key[0], key[1], "fills"))
        elif a[key] != b[key]:
            sizes += 1
    found = pair.level("trade")
    assert sorted(expected) == sorted(
        (each.id, each.ts, each.what) for each in found if each.what != "size"
    )
    told = [each.detail for each in found if each.what == "size"]
    assert told == ([f"the first of {sizes} with the same fills and another size"] if sizes else [])


def test_a_trade_of_the_other_direction_is_another_trade(pair, conn):
    asset, ts = conn.execute(
        """
        update backtest.trades as t
        set direction = 'short'
        where t.run_id = %(second)s and t.trade_no = 1 and exists (
            select from backtest.trades as o
            where o.run_id = %(first)s and o.id = t.id and o.entry_signal_ts = t.entry_signal_ts
        )
        returning t.id, t.entry_signal_ts
        """,
        {"first": pair.first, "second": pair.second},
    ).fetchone()
    found = runs.compare(conn, pair.first, pair.second)
    told = [
        each.what for each in found if each.level == "trade" and (each.id, each.ts) == (asset, ts)
    ]
    assert sorted(told) == ["only in a", "only in b"]


def test_trades_of_two_assets_on_the_same_bars_are_told_apart(pair, conn):
    contract.put(conn, 3, closes(1))
    (at,) = conn.execute(
        "select p.recorded_at from bars.price_state as p where p.id = 3"
    ).fetchone()
    a, b = (
        start(conn, asset_ids=[1, 3], known_at=at, cost_model=costs)
        for costs in ("clean", "realistic")
    )
    expected = conn.execute(
        """
        select distinct t.id, t.entry_signal_ts
        from backtest.trades as t
        where t.run_id in (%s, %s)
        order by t.entry_signal_ts, t.id
        """,
        (a, b),
    ).fetchall()
    assert {asset for asset, _ in expected} == {1, 3}
    told = [(each.id, each.ts) for each in runs.compare(conn, a, b) if each.level == "trade"]
    assert told == expected


def test_equity_is_named_where_it_parts_and_every_metric_that_differs(pair):
    rows = pair.conn.execute(
        """
        select x.ts, x.equity, y.equity, x.benchmark, y.benchmark
        from backtest.equity as x
        join backtest.equity as y using (ts)
        where x.run_id = %s and y.run_id = %s
        order by x.ts
        """,
        (pair.first, pair.second),
    ).fetchall()
    found = {each.what: each for each in pair.level("equity")}
    assert list(found) == ["equity", "benchmark"]
    for each, at in zip(found.values(), (1, 3), strict=True):
        parted = [(row[0], row[at], row[at + 1]) for row in rows if row[at] != row[at + 1]]
        assert (each.ts, float(each.a), float(each.b)) == parted[0]
        assert each.detail == f"bars that differ: {len(parted)}"
    values = [
        {each.metric: each.value for each in runs.metrics(pair.conn, run)}
        for run in (pair.first, pair.second)
    ]
    expected = {n: (a, values[1][n]) for n, a in values[0].items() if a != values[1][n]}
    assert {
        each.what: (each.a and float(each.a), each.b and float(each.b))
        for each in pair.level("metric")
    } == expected


def test_other_settings_are_named_and_no_data(pair, conn):
    other = start(conn, cost_model="clean", capital=500.0, to=prices.ts(300))
    found = runs.compare(conn, pair.second, other)
    settings = {each.what: (each.a, each.b) for each in found if each.level == "setting"}
    assert settings["cost_model"] == ("realistic", "clean")
    assert settings["fee_bps"] == ("10", "0")
    assert settings["capital"] == ("10000", "500")
    assert settings["to_ts"][0] is None
    assert set(settings) == {"cost_model", "fee_bps", "slippage_bps", "capital", "to_ts"}
    assert not {each.level for each in found} & {"candle", "feature", "signal"}
    # Bars that only the longer run has count too.
    whole, part = (
        {
            ts: values
            for ts, *values in conn.execute(
                "select e.ts, e.equity, e.benchmark from backtest.equity as e where e.run_id = %s",
                (run,),
            )
        }
        for run in (pair.second, other)
    )
    assert part.keys() < whole.keys()
    for at, what in enumerate(("equity", "benchmark")):
        (told,) = [e.detail for e in found if (e.level, e.what) == ("equity", what)]
        differ = sum(ts not in part or values[at] != part[ts][at] for ts, values in whole.items())
        assert told == f"bars that differ: {differ}"


def test_runs_of_other_signals_are_not_compared_by_data(pair, conn):
    found = runs.compare(conn, pair.first, start(conn, signal="rsi_30_70_mr"))
    (segment,) = [each for each in found if each.level == "segment"]
    assert segment.what == "not compared"
    assert {each.what for each in found if each.level == "setting"} >= {
        "signal_name", "signal_type", "fast_period", "oversold",
    }  # fmt: skip
    assert not {each.level for each in found} & {"candle", "feature", "signal"}


def test_features_that_the_store_has_no_column_of_are_named_too(pair, conn):
    """On the candles as they stood before the revision and after it."""
    conn.execute(
        "insert into features.dim_indicators (kind, params) values ('rsi', '{\"period\": 5}')"
    )
    conn.execute("select features.prepare_indicators()")
    conn.execute("""
        insert into signals.dim_signals (signal_name, signal_type, params)
        values (
            'added', 'ema_crossover', '{"fast_period": 6, "slow_period": 12, "direction": "long"}'
        )
    """)
    a, b = (
        start(conn, signal="added", known_at=runs.one(conn, run).data_at)
        for run in (pair.first, pair.second)
    )
    found = {each.what: each for each in runs.compare(conn, a, b) if each.level == "feature"}
    assert [*found][:5] == ["atr_14", "ema_12", "ema_6", "parkinson_20", "rsi_14"]
    revised = closes(2) | {REVISED: closes(2)[REVISED] * FACTOR}
    assert found["rsi_5"].ts == prices.ts(REVISED)
    for period in (6, 12):
        each = found[f"ema_{period}"]
        assert each.ts == prices.ts(REVISED)
        assert "read by the signal" in each.detail
        for value, series in ((each.a, closes(2)), (each.b, revised)):
            expected = naive.ema(list(series.values()), period)[REVISED]
            assert float(value) == pytest.approx(expected, rel=1e-12)


def test_another_universe_is_a_setting_and_a_segment_of_one_run_only(pair, conn):
    found = runs.compare(conn, pair.second, start(conn, asset_ids=[1]))
    (setting,) = [each for each in found if each.level == "setting"]
    assert (setting.what, setting.a, setting.b) == ("asset_ids", "[1, 2]", "[1]")
    (segment,) = [each for each in found if each.level == "segment"]
    assert (segment.id, segment.what, segment.b) == (2, "only in a", None)


def test_another_machinery_is_named_routine_by_routine(pair, conn):
    repeated = start(conn)
    conn.execute(
        """
        update backtest.runs
        set machinery = jsonb_set(machinery, '{versions,numpy}', '"0.0"'),
            machinery_digest = sha256('')
        where run_id = %s
        """,
        (repeated,),
    )
    found = runs.compare(conn, pair.second, repeated)
    assert [(each.level, each.what) for each in found] == [
        ("inputs", "equal"), ("machinery", "differs"), ("result", "equal"), ("routine", "numpy"),
    ]  # fmt: skip
    for each in found[:3]:
        assert (each.a, each.b) == conn.execute(
            f"""
            select encode(a.{each.level}_digest, 'hex'), encode(b.{each.level}_digest, 'hex')
            from backtest.runs as a
            cross join backtest.runs as b
            where a.run_id = %s and b.run_id = %s
            """,
            (pair.second, repeated),
        ).fetchone()
    assert (found[3].b, found[3].detail) == ("0.0", "versions")
    conn.execute(
        """
        update backtest.runs
        set machinery = jsonb_set(machinery, '{routines,new}', '"its digest"')
        where run_id = %s
        """,
        (repeated,),
    )
    for a, b in ((pair.second, repeated), (repeated, pair.second)):
        (new,) = [each for each in runs.compare(conn, a, b) if each.what == "new"]
        assert {new.a, new.b} == {None, "its digest"}


def test_new_and_deleted_candles_are_counted_not_listed(server_url, template):
    with (
        servers.copy(server_url, "compare_days", template=template) as conninfo,
        psycopg.connect(conninfo, autocommit=True) as conn,
    ):
        contract.only(conn, ["1D"])
        contract.put(conn, 1, contract.history(120, without=1000))
        refresh(conn)
        first = start(conn, asset_ids=[1])
        contract.put(conn, 1, {120: 99.0, 121: 98.0})
        refresh(conn)
        second = start(conn, asset_ids=[1])
        prices.drop(conn, 1, [60])
        refresh(conn)
        third = start(conn, asset_ids=[1])

        def candles(a, b):
            return [
                (each.what, each.a, each.b, each.ts)
                for each in runs.compare(conn, a, b)
                if each.level == "candle"
            ]

        assert candles(first, second) == [("only in b", "0", "2", prices.ts(120))]
        assert candles(second, third) == [("only in a", "1", "0", prices.ts(60))]
        assert sorted(candles(first, third)) == [
            ("only in a", "1", "0", prices.ts(60)), ("only in b", "0", "2", prices.ts(120)),
        ]  # fmt: skip


def test_a_run_that_is_not_there_is_refused(conn):
    with pytest.raises(errors.UnknownRun):
        runs.compare(conn, UUID(int=1), UUID(int=1))


def test_moments_are_told_in_utc_whatever_the_session_has(pair, conn):
    conn.execute("set local timezone = 'America/New_York'")
    (data,) = [e for e in runs.compare(conn, pair.first, pair.second) if e.level == "data"]
    assert data.a.endswith("+00")
    assert data.b.endswith("+00")
    (segment,) = [e for e in runs.compare(conn, pair.first, pair.second) if e.level == "segment"]
    assert segment.ts.utcoffset() is not None
    assert segment.ts + timedelta(0) == pair.level("segment")[0].ts
