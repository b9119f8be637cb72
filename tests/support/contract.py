"""What every computation of a refresh is held to, written once and parametrised by table.

Each check takes a connection in autocommit mode to a database of the test's own, and raises
AssertionError. A refresh works on all computations, so a check looks at all of them, each in the
rows of its own table: a digest by feature type says where they part. ``broken`` plants a fault in a
shipped routine, so that a test can see each check fail. A new computation adds itself to
``COMPUTATIONS``, or to ``EVERY`` if another verb has it, and is held to all of this.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ta_lab2.features import queries
from tests.support import prices
from tests.support.plpython import SQL

DAYS = 800
Connect = Callable[[], psycopg.Connection]


@dataclass(frozen=True)
class Computation:
    """A table that a refresh fills, and the routines that do it.

    ``key`` is the rest of the table's key after the asset. ``known`` is the column that says when
    a row could first be known: no row may look at candles later than that. ``verb`` refreshes it.
    ``also`` are tables in which it keeps something beside its rows.
    """

    feature_type: str
    table: str
    step: str
    kernel: str
    key: tuple[str, ...] = ("ts",)
    known: str = "available_at"
    verb: str = "refresh_features"
    also: tuple[str, ...] = ()


RETURNS = Computation(
    "returns",
    "features.cmc_returns_daily",
    "functions/features/refresh_returns.sql",
    "functions/features/returns_kernel.sql",
)
BARS = Computation(
    "bars",
    "bars.cmc_price_bars_multi_tf",
    "functions/features/refresh_bars.sql",
    "functions/bars/ladder_kernel.sql",
    key=("tf_id", "time_close"),
    known="time_close",
)
EMA = Computation(
    "ema",
    "features.cmc_ema_multi_tf",
    "functions/features/refresh_emas.sql",
    "functions/features/ema_kernel.sql",
    key=("tf_id", "time_close"),
    known="time_close",
)
VOLATILITY = Computation(
    "volatility",
    "features.cmc_vol_daily",
    "functions/features/refresh_vol.sql",
    "functions/features/vol_kernel.sql",
)
INDICATORS = Computation(
    "indicators",
    "features.cmc_ta_daily",
    "functions/features/refresh_indicators.sql",
    "functions/features/indicators_kernel.sql",
)
STORE = Computation(
    "store",
    "features.cmc_daily_features",
    "functions/features/refresh_store.sql",
    "functions/features/refresh_store.sql",
)
REGIMES = Computation(
    "regimes",
    "regimes.cmc_regimes_daily",
    "functions/regimes/refresh_daily.sql",
    "functions/regimes/regimes_kernel.sql",
    verb="refresh_regimes",
)
TRANSITIONS = Computation(
    "regime_transitions",
    "regimes.cmc_regime_transitions",
    "functions/regimes/refresh_transitions.sql",
    "functions/regimes/refresh_transitions.sql",
    key=("ts", "layer", "dimension"),
    verb="refresh_regimes",
)
EMA_CROSSES, RSI_REVERSALS, BREAKOUTS = (
    Computation(
        f"signals_{kind}",
        f"signals.cmc_signals_{kind}",
        "functions/signals/refresh_type.sql",
        "functions/signals/signals_kernel.sql",
        key=("signal_id", "ts", "position_state"),
        verb="refresh_signals",
        also=("signals.cmc_signal_state", "signals.cmc_signal_segments"),
    )
    for kind in ("ema_crossover", "rsi_mean_revert", "atr_breakout")
)
#: In the order in which a refresh runs them.
COMPUTATIONS = (BARS, RETURNS, VOLATILITY, INDICATORS, EMA, STORE)
#: With those of the verbs that follow it.
EVERY = (*COMPUTATIONS, REGIMES, TRANSITIONS, EMA_CROSSES, RSI_REVERSALS, BREAKOUTS)
#: In the order in which they are called.
VERBS = tuple(dict.fromkeys(computation.verb for computation in EVERY))
#: Those with a row for each session of an asset, from its first candle to its last.
DAILY = tuple(each for each in COMPUTATIONS if each.key == ("ts",))
by_table = pytest.mark.parametrize("computation", EVERY, ids=lambda c: c.feature_type)


#: One timeframe of each family: all 199 would take their time and show no more.
TIMEFRAMES = (
    *("1D", "7D", "365D", "1W", "3D_CAL", "100D_CAL", "2W_CAL_ISO", "1W_CAL_US"),
    *("1W_CAL_ANCHOR_ISO", "10W_CAL_ANCHOR_US", "1W_CAL_ISO", "1M_CAL", "9M_CAL", "2M_CAL_ANCHOR"),
    *("1Y_CAL", "1Y_CAL_ANCHOR"),
)


#: Signals that have events within a few weeks: every filter, and both directions.
SIGNALS = {
    "ema_6_9_both": ("ema_crossover", {"fast_period": 6, "slow_period": 9, "direction": "both"}),
    "ema_9_21_filtered": (
        "ema_crossover",
        {
            **{"fast_period": 9, "slow_period": 21, "direction": "both"},
            **{"cooldown_bars": 5, "rsi_threshold": 40, "max_open_positions": 2},
        },
    ),
    "rsi_7_both": (
        "rsi_mean_revert",
        {
            **{"rsi_period": 7, "oversold": 48, "overbought": 55, "direction": "both"},
            "max_open_positions": 3,
        },
    ),
    "rsi_14_filtered": (
        "rsi_mean_revert",
        {
            **{"rsi_period": 14, "oversold": 45, "overbought": 60, "direction": "both"},
            **{"min_vol": 0.3, "cooldown_bars": 2, "use_regime": True},
        },
    ),
    "atr_2_both": (
        "atr_breakout",
        {
            **{"atr_period": 14, "channel_period": 2, "atr_multiplier": 1, "direction": "both"},
            **{"max_open_positions": 2},
        },
    ),
    "atr_5_regime": (
        "atr_breakout",
        {
            **{"atr_period": 14, "channel_period": 5, "atr_multiplier": 1.5, "direction": "both"},
            **{"use_regime": True, "cooldown_bars": 1},
        },
    ),
}


def only(conn: psycopg.Connection, timeframes: Sequence[str] = TIMEFRAMES) -> None:
    """Switch every other timeframe off, let a regime know its labels early, and add the signals."""
    for name, (kind, params) in SIGNALS.items():
        conn.execute(
            """
            insert into signals.dim_signals (signal_name, signal_type, params)
            values (%s, %s, %s)
            on conflict do nothing
            """,
            (name, kind, json.dumps(params)),
        )
    conn.execute(
        "update timemodel.dim_timeframe as t set is_active = t.tf = any (%s)", (list(timeframes),)
    )
    conn.execute(
        """
        update regimes.dim_regime_layers as l
        set ema_fast = w.ema_fast,
            ema_mid = w.ema_mid,
            ema_slow = w.ema_slow,
            adx_period = w.days,
            atr_period = w.days,
            volatility_window = 5 * w.days,
            liquidity_window = 4,
            liquidity_hold = w.hold
        from (
            values ('L0', 6, 9, 10, 2, 3), ('L1', 6, 9, 10, 3, 3), ('L2', 20, 50, 100, 14, 1)
        ) as w (layer, ema_fast, ema_mid, ema_slow, days, hold)
        where w.layer = l.layer
        """
    )


def unread(conn: psycopg.Connection) -> None:
    """Let no signal and no layer read EMAs or indicators, so that any may go."""
    conn.execute("update signals.dim_signals as d set is_active = false where d.is_active")
    conn.execute("delete from regimes.dim_regime_layers")


# --- histories -------------------------------------------------------------------------------


def price(number: int, salt: int) -> float:
    """The close of a day, all by arithmetic: salt 0 never moves, others wander and jump."""
    if not salt:
        return 100.0
    jump = 3.0 if (number * salt) % 97 == 5 else 1.0
    return (50 + (number * 7919 * salt) % 1009 / 10) * jump


def history(days: int = DAYS, salt: int = 1, *, without: int = 11) -> dict[int, float]:
    """Closes by day number, with every n-th day missing."""
    return {n: price(n, salt) for n in range(days) if n % without != 5}


Candle = tuple[
    int,
    datetime,
    float,
    float,
    float,
    float,
    float | None,
    float | None,
    datetime | None,
    datetime | None,
]


def candle(asset: int, number: int, close: float, shape: int) -> Candle:
    """The whole candle of a day round its close: shape 0 is flat and untraded, others differ.

    Two shapes share their close: what reads only that must not write for the other.
    """
    ts = prices.ts(number)
    if not shape:
        return asset, ts, close, close, close, close, None, None, None, None
    wander = (number * 613 * shape) % 101
    opened = close * (1 + (wander - 50) / 1000)
    high = max(opened, close) * (1 + wander % 7 / 100)
    low = min(opened, close) * (1 - wander % 11 / 100)
    volume = float((number * 7001 * shape) % 10007)
    # A source that knows no market cap, or not when the extremes were, has them null.
    cap = None if shape == 2 else close * 1e6
    at = [None, None] if shape == 2 else [ts - timedelta(hours=wander % 23 + n) for n in (0, 1)]
    return asset, ts, opened, high, low, close, volume, cap, at[0], at[1]


def put(conn: psycopg.Connection, asset: int, closes: Mapping[int, float], shape: int = 1) -> None:
    """Store candles in one statement, making the asset."""
    prices.put(conn, asset, {})
    candles = [candle(asset, number, close, shape) for number, close in closes.items()]
    conn.execute(
        """
        insert into bars.cmc_price_histories7 (
            id, ts, open, high, low, close, volume, market_cap, time_high, time_low
        )
        select u.*
        from unnest(
            %s::integer[], %s::timestamptz[], %s::float8[], %s::float8[], %s::float8[],
            %s::float8[], %s::float8[], %s::float8[], %s::timestamptz[], %s::timestamptz[]
        ) as u
        on conflict (id, ts) do update
        set open = excluded.open,
            high = excluded.high,
            low = excluded.low,
            close = excluded.close,
            volume = excluded.volume,
            market_cap = excluded.market_cap,
            time_high = excluded.time_high,
            time_low = excluded.time_low
        """,
        [list(column) for column in zip(*candles, strict=True)] if candles else [[]] * 10,
    )


def wipe(conn: psycopg.Connection) -> None:
    """Take away what a refresh wrote, so that the next one builds everything."""
    for computation in EVERY:
        for table in (computation.table, *computation.also):
            conn.execute(f"delete from {table}")
    conn.execute("delete from features.feature_state")
    conn.execute("update features.refresh_state set refreshed_at = null")


def start_over(conn: psycopg.Connection) -> None:
    """Take away the candles too, and what is known of them; this is no change to log."""
    wipe(conn)
    with conn.transaction():
        conn.execute("set local session_replication_role = replica")
        for table in ("cmc_price_histories7", "price_revisions", "dirty_range"):
            conn.execute(f"delete from bars.{table}")


# --- looking at what stands ------------------------------------------------------------------


def look(
    conn: psycopg.Connection, what: str, computation: Computation, asset: int
) -> dict[Any, Any]:
    """Something of each of an asset's rows, by the row's key."""
    key = ", ".join(f"r.{column}" for column in computation.key)
    found = conn.execute(
        f"select {key}, {what} from {computation.table} as r where r.id = %s", (asset,)
    )
    return {row[:-1]: row[-1] for row in found}


def rows(conn: psycopg.Connection, computation: Computation, asset: int = 1) -> dict[Any, bytes]:
    """Every bit of an asset's rows."""
    return look(conn, "record_send(r)", computation, asset)


def versions(conn: psycopg.Connection, computation: Computation, asset: int = 1) -> dict[Any, str]:
    """The transaction that wrote each of an asset's rows."""
    return look(conn, "r.xmin::text", computation, asset)


def known(conn: psycopg.Connection, computation: Computation, asset: int = 1) -> dict[Any, Any]:
    """When each of an asset's rows could first be known."""
    return look(conn, f"r.{computation.known}", computation, asset)


def digest(conn: psycopg.Connection) -> dict[str, str]:
    """All bits of all columns of each table, its state included, by feature type.

    No table has a wall-clock stamp.
    """
    found = {}
    for computation in EVERY:
        tables = " || ".join(
            f"""
                coalesce((
                    select string_agg(record_send(r), '' order by record_send(r))
                    from {table} as r
                ), '')
            """
            for table in (computation.table, *computation.also)
        )
        row = conn.execute(
            f"""
            select md5(
                {tables}
                || coalesce((
                    select string_agg(record_send(s), '' order by s.id, s.feature_name)
                    from features.feature_state as s
                    where s.feature_type = %s
                ), '')
            )
            """,
            (computation.feature_type,),
        ).fetchone()
        assert row is not None
        found[computation.feature_type] = row[0]
    return found


def refresh(conn: psycopg.Connection, asset_ids: Sequence[int] | None = None) -> list[str]:
    """Run the verbs; return what they said."""
    lines: list[str] = []
    for verb in VERBS:
        queries.refresh(conn, asset_ids, on_notice=lines.append, verb=verb)
    failed = [line for line in lines if " failed: " in line]
    assert not failed, failed
    return lines


def written(lines: Sequence[str]) -> int:
    """The number of rows that the last lines of a refresh tell."""
    found = [re.search(r" \d+ assets, (\d+) rows,", line) for line in lines]
    counts = [int(each[1]) for each in found if each]
    assert len(counts) == len(VERBS), lines
    return sum(counts)


def full(conn: psycopg.Connection) -> dict[str, str]:
    """The digest of a build from nothing."""
    wipe(conn)
    refresh(conn)
    return digest(conn)


# --- the contract ----------------------------------------------------------------------------

spans = st.tuples(st.integers(0, DAYS - 1), st.integers(1, DAYS), st.sampled_from([1, 1, 2, 7, 40]))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), spans, st.integers(0, 5), st.integers(0, 3)),
        st.tuples(st.just("drop"), spans, st.just(0), st.just(0)),
        st.tuples(st.just("refresh"), st.just((0, 0, 1)), st.just(0), st.just(0)),
    ),
    min_size=1,
    max_size=7,
)


def days_of(span: tuple[int, int, int]) -> range:
    """The day numbers from a start, over a length, by a stride."""
    start, length, stride = span
    return range(start, min(start + length, DAYS), stride)


def incremental_equals_full(
    conn: psycopg.Connection, *, examples: int, part: int = 0, shrink: bool = True
) -> None:
    """Whatever is loaded, revised and deleted, in whatever order, ends in a full build's bits.

    Each ``part`` has other examples, always the same.
    """

    @seed(part)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(first=st.sampled_from([0, 0, 350, 600]), steps=steps)
    def holds(first: int, steps: list[tuple[str, tuple[int, int, int], int, int]]) -> None:
        start_over(conn)
        # Most windows are long: what goes wrong after their warm-up needs a history to stand.
        put(conn, 1, history(first, without=5))
        refresh(conn)
        for what, span, salt, shape in steps:
            if what == "put":
                put(conn, 1, {n: price(n, salt) for n in days_of(span)}, shape)
            elif what == "drop":
                prices.drop(conn, 1, days_of(span))
            else:
                refresh(conn)
        refresh(conn)
        incremental = digest(conn)
        assert written(refresh(conn)) == 0, "a second run writes nothing"
        assert incremental == full(conn)

    holds()


def any_batches_and_restarts(connect: Connect) -> None:
    """Batches of any size, the oldest last, a session of its own for each."""
    conn = connect()
    closes = history(600)
    put(conn, 1, closes)
    refresh(conn)
    expected = digest(conn)
    numbers = list(closes)
    # The short ways first: most of what goes wrong shows in them.
    for size, backwards in ((len(numbers), True), (100, False), (1, False), (7, True)):
        start_over(conn)
        # A day at a time is a long way: the last 60 of them tell.
        first = len(numbers) - 60 if size == 1 else 0
        batches = [numbers[:first]] if first else []
        batches += [numbers[at : at + size] for at in range(first, len(numbers), size)]
        for n, batch in enumerate(reversed(batches) if backwards else batches):
            put(conn, 1, {number: closes[number] for number in batch})
            if n % 20 == 0:
                conn.close()
                conn = connect()
            refresh(conn)
        assert digest(conn) == expected, f"batches of {size}"


def repairs_just_what_depends(conn: psycopg.Connection) -> None:
    """A candle revised 300 days back rewrites the rows whose bits it changes, and no other."""
    closes = history(DAYS)
    put(conn, 1, closes)
    refresh(conn)
    before = {each: (rows(conn, each), versions(conn, each)) for each in EVERY}
    revised = sorted(closes)[-300]
    put(conn, 1, {revised: closes[revised] * 1.5})
    count = written(refresh(conn))
    for computation in EVERY:
        stood, by = before[computation]
        after = rows(conn, computation)
        changed = {key for key in after.keys() | stood.keys() if after.get(key) != stood.get(key)}
        new = versions(conn, computation)
        assert {key for key in new.keys() | by.keys() if new.get(key) != by.get(key)} == changed
        since = known(conn, computation)
        assert min(since[key] for key in changed if key in since) >= prices.ts(revised)
        count -= len(changed)
    assert count == 0, "the rows are counted"
    incremental = digest(conn)
    assert incremental == full(conn)


#: Where a refresh can be killed, each with what it has done by then.
STEPS = ("read", "kernel", "write", "state", "commit")

PAUSES = """
create function public.pause(p_step text) returns void language plpgsql as $$
begin
    if current_setting('contract.pause', true) is null then
        return;
    end if;
    perform set_config('application_name', p_step, false);
    perform pg_sleep(
        case when current_setting('contract.stop', true) = p_step then 60
            else current_setting('contract.pause')::float8 end
    );
end $$;
create function public.pause_there() returns trigger language plpgsql as $$
begin
    perform public.pause(tg_argv[0]);
    return null;
end $$;
create trigger pauses after delete on bars.dirty_range
for each statement execute function public.pause_there('read');
create trigger pauses after insert or update on features.feature_state
for each statement execute function public.pause_there('state');
create constraint trigger pauses after update on features.refresh_state
deferrable initially deferred for each row execute function public.pause_there('commit');
"""


def make_pauses(conn: psycopg.Connection, computations: Sequence[Computation]) -> None:
    """Let the sessions of ``victim`` say which step they are in, and stay a while in each."""
    conn.execute(PAUSES)
    for computation in computations:
        conn.execute(
            f"""
            create trigger pauses after insert on {computation.table}
            for each statement execute function public.pause_there('write')
            """
        )
        text = (SQL / computation.kernel).read_text()
        if "language plpython3u" in text:
            begin, pause = "as $$\n", "plpy.execute(\"select public.pause('kernel')\")\n"
        else:
            begin, pause = "\nbegin\n", "    perform public.pause('kernel');\n"
        start, body = text.rsplit(begin, 1)
        conn.execute(f"{start}{begin}{pause}{body}".encode())


def victim(connect: Connect, *, stop: str = "") -> psycopg.Connection:
    """A session that pauses in every step, for good in one of them."""
    conn = connect()
    # Modules are imported once a session: the moments are those of the work itself.
    conn.execute("select features.fingerprints()")
    conn.execute("set contract.pause = 0.005")
    conn.execute("select set_config('contract.stop', %s, false)", (stop,))
    return conn


def killed(conn: psycopg.Connection, pid: int) -> str:
    """The step in which a session was killed."""
    row = conn.execute(
        """
        select a.application_name, pg_terminate_backend(a.pid)
        from pg_stat_activity as a
        where a.pid = %s
        """,
        (pid,),
    ).fetchone()
    return row[0] if row else ""


def survives_a_kill(connect: Connect, *, kills: int, at_most: int = 200) -> dict[str, int]:
    """A refresh killed at any moment loses nothing: the next one ends in the same bits.

    The moments are drawn uniformly over what a refresh takes, until there are so many ``kills`` and
    one fell in every step; how many fell where is returned.
    """
    conn = connect()
    for asset in range(1, 4):
        put(conn, asset, history(300, asset))
    make_pauses(conn, EVERY)
    expected = full(conn)
    wipe(conn)
    slow = victim(connect)
    began = time.perf_counter()
    refresh(slow)
    duration = time.perf_counter() - began
    chance = random.Random(1)
    fell = dict.fromkeys(STEPS, 0)
    for tried in range(at_most):
        if tried >= kills and all(fell.values()):
            break
        wipe(conn)
        slow = victim(connect)
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(refresh, slow)
            time.sleep(chance.uniform(0, duration))
            step = killed(conn, slow.info.backend_pid)
            if isinstance(run.exception(), psycopg.OperationalError) and step in fell:
                fell[step] += 1
        refresh(conn)
        assert digest(conn) == expected, step
    assert all(fell.values()), f"no kill fell in some step: {fell}"
    return fell


def survives_a_kill_in(connect: Connect, computation: Computation, step: str) -> None:
    """A refresh killed in a step loses nothing."""
    conn = connect()
    put(conn, 1, history(400))
    make_pauses(conn, [computation])
    refresh(conn)
    put(conn, 1, {100: 77.0, 500: 5.0})
    slow = victim(connect, stop=step)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, slow)
        wait_for_sleep(conn, slow.info.backend_pid, step)
        assert killed(conn, slow.info.backend_pid) == step
        assert isinstance(run.exception(), psycopg.OperationalError)
    before = versions(conn, computation)
    refresh(conn)
    assert versions(conn, computation) != before, "what was killed is done by the next"
    found = digest(conn)
    assert found == full(conn)


def two_share_the_work(connect: Connect) -> None:
    """Two sessions at once do each asset once, and end in the same bits."""
    conn = connect()
    assets = range(1, 9)
    for asset in assets:
        put(conn, asset, history(400, asset))
    refresh(conn)
    expected = full(conn)
    wipe(conn)
    pair = [connect(), connect()]
    with ThreadPoolExecutor(2) as pool:
        lines = [line for run in pool.map(refresh, pair) for line in run]
    done = [
        int(found[1])
        for line in lines
        # A verb that follows may find nothing left of what the other session did before it began.
        if (found := re.match(r"refresh_features: (\d+) assets, \d+ rows", line))
    ]
    assert sum(done) == len(assets), "each asset is done once"
    assert digest(conn) == expected


def make_slow(conn: psycopg.Connection, computation: Computation) -> None:
    """Let every row that is stored take a while."""
    conn.execute(
        """
        create function public.dawdle() returns trigger language plpgsql as $$
        begin
            perform pg_sleep(0.02);
            return new;
        end $$
        """
    )
    conn.execute(
        f"""
        create trigger dawdle before insert on {computation.table}
        for each row execute function public.dawdle()
        """
    )


def wait_for_sleep(conn: psycopg.Connection, pid: int, step: str = "") -> None:
    """Return when that backend sleeps, in that step if one is named."""
    for _ in range(1200):
        if conn.execute(
            """
            select
            from pg_stat_activity as a
            where a.pid = %s
              and a.wait_event = 'PgSleep'
              and %s in ('', a.application_name)
            """,
            (pid, step),
        ).rowcount:
            return
        time.sleep(0.02)
    raise AssertionError("the refresh never came to where it sleeps")


def sees_what_comes_meanwhile(connect: Connect, computation: Computation) -> None:
    """Candles committed between the read and the commit are taken by the next run."""
    conn, slow = connect(), connect()
    put(conn, 1, {n: price(n, 1) for n in range(40)})
    make_slow(conn, computation)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(refresh, slow)
        wait_for_sleep(conn, slow.info.backend_pid)
        put(conn, 1, {20: 77.0, 40: 5.0, 41: 6.0})
        run.result()
    conn.execute(f"drop trigger dawdle on {computation.table}")
    refresh(conn)
    found = digest(conn)
    assert found == full(conn)


def never_looks_ahead(conn: psycopg.Connection, *, prefixes: int, days: int = 460) -> None:
    """With another future, the rows that could be known have the same bits.

    Where it begins after a candle there is none. Where it begins in a gap the next candle is
    another one: what fills the gap must not tell it early, though the gap has rows only by then.
    No prefix is taken twice: where one history has too few, others follow, each an asset.
    """
    chance = random.Random(1)
    for asset in itertools.count(1):
        closes = history(days, asset, without=10 + asset % 7)
        first, *_, final = sorted(closes)
        ends = list(range(first, final))
        taken = chance.sample(ends, min(prefixes, len(ends)))
        _replays_prefixes(conn, asset, closes, taken)
        prefixes -= len(taken)
        if not prefixes:
            return


def _replays_prefixes(
    conn: psycopg.Connection, asset: int, closes: Mapping[int, float], taken: Sequence[int]
) -> None:
    put(conn, asset, closes)
    refresh(conn, [asset])
    whole = {each: rows(conn, each, asset) for each in EVERY}
    since = {each: known(conn, each, asset) for each in EVERY}
    for last in taken:
        end = prices.ts(last)
        later = sorted(n for n in closes if n > last)
        with conn.transaction(force_rollback=True):
            prices.drop(conn, asset, later)
            if last not in closes:
                put(conn, asset, {later[0]: 3 * closes[later[0]]}, shape=2)
            for verb in VERBS:
                conn.execute("select features.refresh_asset(%s, true, p_verb => %s)", (asset, verb))
            found = {each: rows(conn, each, asset) for each in EVERY}
            then = {each: known(conn, each, asset) for each in EVERY}
        for each in EVERY:
            expected = {key: row for key, row in whole[each].items() if since[each][key] <= end}
            if last not in closes:
                found[each] = {k: row for k, row in found[each].items() if then[each][k] <= end}
            assert found[each] == expected, each.table


# --- planted faults --------------------------------------------------------------------------


def broken(conn: psycopg.Connection, path: str, *changes: tuple[str, str]) -> None:
    """Apply a shipped routine file with something changed in it."""
    text = (SQL / path).read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"sql/{path} has {text.count(old)} times {old!r}"
        text = text.replace(old, new)
    conn.execute(text.encode())


def is_found(check: Callable[[], object], says: str | None = None) -> None:
    """See a check fail, and say so in these words."""
    with pytest.raises(AssertionError, match=says):
        check()
