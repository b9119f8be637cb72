"""Every computation against the contract, and the contract against planted faults."""

from __future__ import annotations

import pytest

from tests.support import contract
from tests.support.contract import RETURNS, by_table

KERNEL = "functions/features/returns_kernel.sql"
REFRESH = "functions/features/refresh_returns.sql"
ASSETS = "functions/features/refresh_assets.sql"
PACKING = "functions/db/packing.sql"
LADDER = "functions/bars/ladder.sql"
LADDER_KERNEL = "functions/bars/ladder_kernel.sql"
REFRESH_BARS = "functions/features/refresh_bars.sql"
EMA_KERNEL = "functions/features/ema_kernel.sql"
EMA_STEP = "functions/features/refresh_emas.sql"
SERIES = "functions/indicators/series.sql"
VERB = "procedures/features/refresh_features.sql"


@pytest.fixture
def connect(own_db, autocommit):
    """Open connections to a database of the test's own, with one timeframe of each family."""
    contract.only(autocommit(own_db))
    return lambda: autocommit(own_db)


@pytest.fixture
def conn(connect):
    """One of them."""
    return connect()


@pytest.fixture
def few(connect):
    """The same with the timeframes that regimes and signals read, where more would show no more."""
    contract.only(connect(), contract.READ)
    return connect


@pytest.fixture
def daily(connect):
    """The same without bars, for what reads candles alone."""
    contract.only(connect(), ())
    return connect


# Two hundred histories: more than one test may take on a slow machine.
@pytest.mark.parametrize("part", range(4))
def test_incremental_equals_full_to_the_last_bit(conn, part):
    contract.incremental_equals_full(conn, examples=50, part=part)


def test_batches_and_restarts_make_no_difference(connect):
    contract.any_batches_and_restarts(connect)


def test_a_revised_candle_rewrites_just_what_depends_on_it(conn):
    contract.repairs_just_what_depends(conn)


def test_a_killed_refresh_loses_nothing(connect):
    fell = contract.survives_a_kill(connect, kills=12)
    assert all(fell[step] for step in contract.STEPS)


@by_table
def test_a_refresh_killed_in_any_step_loses_nothing(few, computation):
    contract.survives_a_kill_in(few, computation, *contract.STEPS)


def test_two_sessions_share_the_work(connect):
    contract.two_share_the_work(connect)


@by_table
def test_what_comes_while_a_refresh_runs_is_taken_by_the_next(few, computation):
    contract.sees_what_comes_meanwhile(few, computation)


def test_nothing_looks_ahead(conn):
    contract.never_looks_ahead(conn, prefixes=200)


# Ten thousand prefixes, told of as each part is through.
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(10))
def test_nothing_looks_ahead_at_length(conn, part):
    contract.never_looks_ahead(conn, prefixes=1000, part=part)


# Each check, seen to fail: no more is refreshed and looked at than the fault is in.

FEATURES = RETURNS.verb


def test_a_window_that_reaches_into_the_future_is_found(daily):
    conn = daily()
    contract.broken(
        conn,
        SERIES,
        (
            "mean, deviation = moments(values, ends, window)",
            "mean, deviation = (np.roll(each, -9) for each in moments(values, ends, window))",
        ),
    )
    contract.is_found(lambda: contract.never_looks_ahead(conn, prefixes=20, upto=FEATURES))


def test_a_window_that_lost_its_past_is_found(daily):
    conn = daily()
    contract.broken(conn, REFRESH, ("252) + 88)", "252) - 152)"))
    contract.broken(conn, KERNEL, ("        if not whole\n", "        if False\n"))
    contract.is_found(
        lambda: contract.incremental_equals_full(conn, examples=100, shrink=False, upto=FEATURES)
    )


VOL_KERNEL = "functions/features/vol_kernel.sql"
VOL_STEP = "functions/features/refresh_vol.sql"


def test_a_volatility_of_the_next_candle_is_found(daily):
    conn = daily()
    mean = "series.means(each, ends, window)"
    contract.broken(conn, VOL_KERNEL, (mean, f"np.roll({mean}, -1)"))
    contract.is_found(lambda: contract.never_looks_ahead(conn, prefixes=20, upto=FEATURES))


def test_a_recurrence_that_goes_on_from_another_row_is_found(daily):
    contract.broken(
        daily(),
        VOL_STEP,
        ("and v.ts = c.after_ts", "and v.ts < c.after_ts order by v.ts desc limit 1"),
    )
    contract.is_found(lambda: contract.any_batches_and_restarts(daily, upto=FEATURES))


def test_a_recurrence_that_begins_anew_is_found(daily):
    conn = daily()
    contract.broken(
        conn,
        VOL_KERNEL,
        ("p_atr[n] is None or first <", "first <"),
        ("        if atr is None:", "        if True:"),
    )
    contract.is_found(lambda: contract.any_batches_and_restarts(daily, upto=FEATURES))


def test_progress_without_its_past_is_found_in_batches(daily):
    conn = daily()
    contract.broken(conn, REFRESH, ("b.ts < a.from_ts", "b.ts <= a.from_ts"))
    contract.is_found(lambda: contract.any_batches_and_restarts(daily, upto=FEATURES))


def write_without_need(conn) -> None:
    """Plant rows that are written though they stand."""
    contract.broken(
        conn,
        PACKING,
        ("            if old == record:", "            if False:"),
    )


def test_a_row_written_without_need_is_found(few):
    conn = few()
    write_without_need(conn)
    contract.is_found(lambda: contract.repairs_just_what_depends(conn, upto=FEATURES))


def commit_progress_first(conn) -> None:
    """Plant what the order of the steps is there for."""
    contract.broken(
        conn,
        VERB,
        ("    v_told         integer := 0;", "    v_told integer := 0;\n    v_is_due boolean;"),
        (
            "            v_began := clock_timestamp();\n",
            "            v_is_due := p_rebuild;\n"
            "            if p_verb = 'refresh_features' then\n"
            "                v_is_due := exists (\n"
            "                    select from features.take_dirty(array[v_id], 'returns')\n"
            "                );\n"
            "                perform features.record_progress(\n"
            "                    array[v_id], 'returns', 'cmc_returns_daily',\n"
            "                    v_fingerprints ->> 'returns', '{2100-01-01}', '{null}'\n"
            "                );\n"
            "                commit;\n"
            "            end if;\n"
            "            v_began := clock_timestamp();\n",
        ),
        ("array[v_id], p_rebuild, v_fingerprints", "array[v_id], v_is_due, v_fingerprints"),
    )


def test_progress_committed_before_its_rows_is_found(few):
    commit_progress_first(few())
    contract.is_found(lambda: contract.survives_a_kill(few, kills=30, upto=FEATURES))


@pytest.mark.parametrize("step", ["kernel", "write"])
def test_progress_committed_before_its_rows_is_found_in_a_step(daily, step):
    # Without bars: they would be written by the next refresh all the same.
    commit_progress_first(daily())
    contract.is_found(
        lambda: contract.survives_a_kill_in(daily, RETURNS, step),
        "what was killed is done by the next",
    )


def test_a_step_that_no_kill_falls_in_is_found(few):
    contract.broken(
        few(),
        ASSETS,
        ("      and s.verb = p_verb;\nend", "      and false;\nend"),
    )
    contract.is_found(
        lambda: contract.survives_a_kill(few, kills=1, at_most=5, upto=FEATURES), r"'commit': 0"
    )


def test_a_second_run_that_writes_is_found(daily):
    conn = daily()
    contract.broken(
        conn,
        REFRESH,
        ("a.after_ts, a.last_ts,", "a.after_ts, a.last_ts - interval '24 hours',"),
    )
    write_without_need(conn)
    contract.is_found(
        lambda: contract.incremental_equals_full(conn, examples=20, shrink=False, upto=FEATURES),
        "a second run writes nothing",
    )


def test_work_done_twice_is_found(daily):
    contract.broken(
        daily(),
        VERB,
        ("(s.refreshed_at < v_started or s.refreshed_at is null)", "true"),
        ("for update skip locked", "for update"),
    )
    contract.is_found(lambda: contract.two_share_the_work(daily, upto=FEATURES))


def test_a_watermark_asked_for_again_is_found(daily):
    contract.broken(
        daily(),
        REFRESH,
        (
            "    return query\n    select\n        a.id, a.rows_read",
            "    delete from bars.dirty_range as d where d.id = any (p_ids);\n"
            "    v_kernel.last_ts := array(\n"
            "        select max(b.ts) from bars.cmc_price_histories7 as b\n"
            "        where b.id = any (p_ids) group by b.id order by b.id\n"
            "    );\n"
            "    return query\n    select\n        a.id, a.rows_read",
        ),
    )
    contract.is_found(lambda: contract.sees_what_comes_meanwhile(daily, RETURNS))


def test_a_bar_that_is_closed_a_day_early_is_found(conn):
    contract.broken(
        conn, LADDER_KERNEL, ("until = (following - base)", "until = (following + 1 - base)")
    )
    contract.is_found(lambda: contract.never_looks_ahead(conn, prefixes=20, upto=FEATURES))


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        (
            LADDER,
            "    c_longest constant integer := 366;\n    v_longest",
            "    c_longest constant integer := 100;\n    v_longest",
        ),
        (REFRESH_BARS, "b.ts < a.from_ts", "b.ts <= a.from_ts"),
        (REFRESH_BARS, "select max(b.ts) as", "select coalesce(max(b.ts), '-infinity') as"),
    ],
    ids=["too little is read", "a change is overlooked", "the first candle is an old one"],
)
def test_bars_that_do_not_follow_their_candles_are_found(connect, path, text, fault):
    contract.broken(connect(), path, (text, fault))
    contract.is_found(lambda: contract.any_batches_and_restarts(connect, upto=FEATURES))


def test_an_average_of_the_next_close_is_found(conn):
    contract.broken(conn, EMA_KERNEL, ("close[by_step]", "np.roll(close, -1)[by_step]"))
    contract.is_found(lambda: contract.never_looks_ahead(conn, prefixes=5, upto=FEATURES))


def test_an_average_that_goes_on_from_its_own_row_is_found(connect):
    contract.broken(connect(), EMA_STEP, ("e.time_close < d.from_ts", "e.time_close <= d.from_ts"))
    contract.is_found(lambda: contract.any_batches_and_restarts(connect, upto=FEATURES))


def test_a_period_that_begins_without_its_first_bars_is_found(connect):
    contract.broken(connect(), EMA_STEP, ("<= l.bar_no + d.bars", "< l.bar_no + d.bars"))
    contract.is_found(lambda: contract.any_batches_and_restarts(connect, upto=FEATURES))


STORE_STEP = "functions/features/refresh_store.sql"


def test_a_row_with_the_next_candle_is_found(few):
    conn = few()
    contract.broken(conn, STORE_STEP, ("and c.ts = s.ts", "and c.ts = s.ts + interval '24 hours'"))
    contract.is_found(lambda: contract.never_looks_ahead(conn, prefixes=5, upto=FEATURES))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("b.ts < a.from_ts", "b.ts < a.from_ts + interval '240 hours'"),
        ("j.id is null\n           or o *<> j", "o *<> j"),
    ],
    ids=["a change is overlooked", "rows that went stay"],
)
def test_a_store_that_does_not_follow_its_sources_is_found(few, old, new):
    conn = few()
    contract.broken(conn, STORE_STEP, (old, new))
    contract.is_found(
        lambda: contract.incremental_equals_full(conn, examples=100, shrink=False, upto=FEATURES)
    )


def test_rows_of_the_store_that_are_written_without_need_are_found(few):
    conn = few()
    contract.broken(conn, STORE_STEP, ("or o *<> j", "or true"))
    contract.is_found(lambda: contract.repairs_just_what_depends(conn, upto=FEATURES))


def test_a_store_that_is_told_of_candles_alone_is_found(few):
    conn = few()
    contract.put(conn, 1, contract.history(40))
    contract.refresh(conn)
    conn.execute("update bars.dim_consumers set also_reads = '{}' where consumer = 'store'")
    conn.execute("update timemodel.dim_sessions set annualisation_days = 91")
    conn.execute("delete from bars.dirty_range as d where d.consumer = 'store'")
    contract.refresh(conn)
    found = contract.digest(conn)
    assert found["store"] != contract.full(conn)["store"]
