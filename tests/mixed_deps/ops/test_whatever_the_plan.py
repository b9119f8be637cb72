"""One history of a database, planned in every way: no statement fails, and no bit differs.

A statement of a routine gets a plan for any arguments at its sixth call of a session, if PostgreSQL
thinks it no dearer. Such a plan may be one that TimescaleDB fails on, and any other way to
join and to sort may add numbers up in another order.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg

from ta_lab2.bars import queries
from ta_lab2.timemodel.exchange import Schedule
from ta_lab2.timemodel.queries import load_calendar
from tests.support import runs, servers, sessions

COLUMNS = ("day", "open", "high", "low", "close", "volume")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
#: A partition of the daily candles ends seven weeks later.
FIRST = datetime(2023, 11, 1, tzinfo=UTC)
#: Columns that hold the clock or an id drawn by chance, which no two databases share.
OF_THE_RUN = (
    *("recorded_at", "superseded_at", "first_recorded_at", "started_at", "finished_at"),
    *("undone_at", "rejected_at", "logged_at", "found_at", "created_at", "known_at", "data_at"),
    *("refreshed_at", "failed_at", "duration", "load", "file", "run_id", "range_id", "written_by"),
)
GENERIC = {"plan_cache_mode": "force_generic_plan"}
#: A plan for each call; rows in the order of an index instead of the order in which they lie, no
#: hash tables, and workers that share the rows.
UNUSUAL = {
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashagg": "off",
    "enable_hashjoin": "off",
    "max_parallel_workers_per_gather": "1",
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0",
    "min_parallel_table_scan_size": "0",
}
#: Nothing is staged or dirty in the end, and no line is bad; one edition has its own bars of
#: intraday candles.
WITHOUT_ROWS = {
    *("bars.dirty_range", "bars.price_rejects", "bars.price_staging", "bars.intraday_rollups"),
}
#: What is asked in the end: of the moment before anything was revised, and of the run made then.
QUESTIONS = (
    "call validate_backtest_reproducibility(%(run)s, p_known_at => %(then)s)",
    "select * from backtest.compare_runs(%(run)s, %(run)s)",
    "select p.id, p.ts, p.close from bars.prices_as_of(%(then)s) as p",
    "select record_send(f) from features.as_of(p_at => '2024-02-01') as f",
    "select record_send(f) from features.as_of('{1,3}', p_known_at => %(then)s) as f",
    "select record_send(e) from features.ema_as_of('{1,2}', '1W') as e",
    "select record_send(e) from features.ema_as_of('{1}', '1W', p_known_at => %(then)s) as e",
    "select record_send(e) from features.cmc_ema_multi_tf_u as e where e.tf = '1W'",
    "select record_send(e) from features.ema_roll(1, '1W', '2024-05-16') as e",
    "select record_send(f) from bars.forming(1, '1W', '2024-05-16') as f",
    "select record_send(r) from regimes.as_of() as r",
    "select record_send(r) from regimes.as_of('{1}', p_known_at => %(then)s) as r",
    "select record_send(t) from signals.today() as t",
    "select record_send(c) from features.refresh_candidates() as c",
    "select record_send(s) from ops.price_summary() as s",
    "select record_send(l) from ops.price_lines() as l",
    "select record_send(c) from ops.candles(1, '1W') as c",
    "select record_send(r) from bars.intraday_1d as r",
    "select p.metrics from observability.prune('90 days') as p",
)


def lines(asset: int, count: int, step: timedelta = DAY, *, first: int = 0, changed: int = 0):
    """Staged lines of a random walk from the number first on; changed gives other volumes."""
    walk = random.Random(asset)
    close = 100.0
    for number in range(count):
        opened, close = close, close * walk.uniform(0.95, 1.0505)
        at = FIRST + number * step
        if number < first:
            continue
        cells = (
            f"{at:%Y-%m-%d}" if step == DAY else f"{at:%Y-%m-%dT%H:%M:%SZ}",
            *(opened, max(opened, close) * 1.01, min(opened, close) * 0.98, close),
            10 * opened + (changed if number % 30 == 7 else 0),
        )
        yield number + 2, f"line {number}", None, [str(cell) for cell in cells]


def load(conn, asset: int, rows, source: str = "coinmarketcap", **how: Any) -> UUID:
    """Stage lines and turn them into candles."""
    number = uuid4()
    with conn.transaction():
        queries.stage(conn, number, COLUMNS, list(rows))
        queries.load_staged(
            conn,
            number,
            file=f"/data/{number}.csv",
            asset_id=asset,
            slug=f"test-{asset}",
            columns=COLUMNS,
            source=source,
            sha256=None,
            extend=how.pop("extend", False),
            switch=how.pop("switch", False),
            **how,
        )
    return number


def live(conn, calendar: Schedule) -> dict[str, list[str]]:
    """Do to a database what changes prices and all that is made of them; return its answers."""
    load_calendar(conn, "EQUITY", calendar)
    for asset, count in ((1, 260), (2, 120), (3, 60)):
        load(conn, asset, lines(asset, count))
    ends = sessions.ends(sessions.part(calendar, 0, 80))
    sessions.put(conn, {ts: 50.0 + n % 9 for n, ts in enumerate(ends) if n % 10})
    for asset, source in ((1, "kraken"), (2, "binance")):
        load(conn, asset, lines(asset, 1000, HOUR), source, resolution=HOUR)
    refresh(conn)
    known = {
        "then": queries.now(conn),
        "run": runs.call(conn, asset_ids=[1], label="then"),
    }

    revision = load(conn, 1, lines(1, 261, changed=5))
    load(conn, 2, lines(2, 130, changed=5), "yahoo", extend=True)
    load(conn, 3, lines(3, 65, changed=5), "kraken", switch=True)
    load(conn, 1, lines(1, 1000, HOUR, first=900, changed=3), "yahoo", resolution=HOUR, switch=True)
    more = load(conn, 2, lines(2, 1100, HOUR, first=990), "binance", resolution=HOUR)
    load_calendar(conn, "EQUITY", sessions.without(calendar, (), early=[50]))
    sessions.drop(conn, ends[40:43])
    conn.execute("delete from bars.cmc_price_histories7 as p where p.id = 2 and p.close < 80")
    refresh(conn)
    queries.undo(conn, revision)
    queries.undo(conn, more)
    queries.delete_prices(conn, 3)
    refresh(conn)
    conn.execute("call refresh_intraday(p_rebuild => true)")
    conn.execute("call run_backtests(p_each_asset => true, p_label => 'each')")

    answers = {
        # Who asks for no order gets any.
        question: sorted(str(row) for row in conn.execute(question, known).fetchall())
        for question in QUESTIONS
    }
    conn.execute("delete from backtest.runs as r where r.run_id = %(run)s", known)
    return answers


def refresh(conn) -> None:
    """Bring everything up to date, of every asset."""
    conn.execute("call refresh_all()")
    conn.execute("call refresh_intraday()")
    failed = "select s.* from features.refresh_state as s where s.failed_at is not null"
    assert conn.execute(failed).fetchall() == []


def content(conn) -> dict[str, str | None]:
    """Every bit of every asset's and every run's rows, by table."""
    tables = conn.execute(
        """
        select
            c.schema_name || '.' || c.table_name,
            string_agg('t.' || a.attname, ', ' order by a.attnum)
        from ta_meta.table_class as c
        join pg_attribute as a
            on a.attrelid = (c.schema_name || '.' || c.table_name)::regclass
            and a.attnum > 0
            and not a.attisdropped
            and a.attname <> all (%s)
        where c.class in ('asset', 'single')
          and c.schema_name not in ('observability', 'ta_meta')
          and c.table_name <> 'refresh_events'
        group by 1
        """,
        (list(OF_THE_RUN),),
    ).fetchall()
    found = {}
    for table, columns in tables:
        row = conn.execute(
            f"""
            select md5(string_agg(r.bits, '' order by r.bits))
            from (select record_send(row ({columns})) as bits from {table} as t) as r
            """
        ).fetchone()
        found[table] = row[0]
    return found


def lived(server_url: str, template: str, calendar: Schedule, settings: Mapping[str, str]):
    """What a new database answered, and what it holds in the end, planned by these settings."""
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    with servers.copy(server_url, "planned", template=template) as conninfo:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            # Those that have their own way of planning.
            for (alter,) in conn.execute(
                """
                select format('alter routine %s reset plan_cache_mode', p.oid::regprocedure)
                from pg_proc as p
                where p.proconfig::text ~ 'plan_cache_mode'
                """
            ).fetchall():
                conn.execute(alter)
        with psycopg.connect(conninfo, autocommit=True, options=options) as conn:
            for name, value in settings.items():
                assert conn.execute(f"show {name}").fetchone() == (value,)
            return live(conn, calendar), content(conn)


def test_one_history_is_the_same_to_the_bit(server_url, template, new_york):
    # Over two partitions of candles.
    calendar = sessions.part(new_york, 8500, 300)
    answers, tables = lived(server_url, template, calendar, GENERIC)
    assert {question for question, rows in answers.items() if not rows} == set()
    assert {name for name, digest in tables.items() if not digest} <= WITHOUT_ROWS
    others, stored = lived(server_url, template, calendar, UNUSUAL)
    assert {question for question in answers if others[question] != answers[question]} == set()
    assert {name for name in tables if stored[name] != tables[name]} == set()
