"""What holds where sessions meet: one is killed in any step, two share the work, candles come."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psycopg

from tests.support.contract.checks import Connect
from tests.support.contract.computations import LAST, Computation, computations
from tests.support.contract.histories import history, price, put
from tests.support.contract.looking import digest, full, refresh, versions, wipe
from tests.support.plpython import SQL

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


def make_pauses(conn: psycopg.Connection, held: Sequence[Computation]) -> None:
    """Let the sessions of ``victim`` say which step they are in, and stay a while in each."""
    conn.execute(PAUSES)
    for computation in held:
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


def survives_a_kill(
    connect: Connect, *, kills: int, at_most: int = 200, upto: str = LAST
) -> dict[str, int]:
    """A refresh killed at any moment loses nothing: the next one ends in the same bits.

    The moments are drawn uniformly over what a refresh takes, until there are so many ``kills`` and
    one fell in every step; how many fell where is returned.
    """
    conn = connect()
    for asset in range(1, 4):
        put(conn, asset, history(150, asset))
    make_pauses(conn, computations(upto))
    expected = full(conn, upto)
    wipe(conn)
    slow = victim(connect)
    began = time.perf_counter()
    refresh(slow, upto=upto)
    duration = time.perf_counter() - began
    chance = random.Random(1)
    fell = dict.fromkeys(STEPS, 0)
    for tried in range(at_most):
        if tried >= kills and all(fell.values()):
            break
        wipe(conn)
        slow = victim(connect)
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(refresh, slow, upto=upto)
            time.sleep(chance.uniform(0, duration))
            step = killed(conn, slow.info.backend_pid)
            if isinstance(run.exception(), psycopg.OperationalError) and step in fell:
                fell[step] += 1
        refresh(conn, upto=upto)
        assert digest(conn, upto) == expected, step
    assert all(fell.values()), f"no kill fell in some step: {fell}"
    return fell


def survives_a_kill_in(connect: Connect, computation: Computation, *steps: str) -> None:
    """A refresh killed in a step loses nothing; each step finds other candles changed."""
    conn, upto = connect(), computation.verb
    put(conn, 1, history(300))
    make_pauses(conn, [computation])
    refresh(conn, upto=upto)
    for n, step in enumerate(steps):
        put(conn, 1, {100 + n: 77.0 + 20 * n, 400 + n: 5.0 + 90 * (n % 2)})
        slow = victim(connect, stop=step)
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(refresh, slow, upto=upto)
            wait_for_sleep(conn, slow.info.backend_pid, step)
            assert killed(conn, slow.info.backend_pid) == step
            assert isinstance(run.exception(), psycopg.OperationalError)
        before = versions(conn, computation)
        refresh(conn, upto=upto)
        assert versions(conn, computation) != before, f"what was killed is done by the next: {step}"
        found = digest(conn, upto)
        assert found == full(conn, upto), step


def two_share_the_work(connect: Connect, *, upto: str = LAST) -> None:
    """Two sessions at once do each asset once, and end in the same bits."""
    conn = connect()
    assets = range(1, 9)
    for asset in assets:
        put(conn, asset, history(250, asset))
    expected = full(conn, upto)
    wipe(conn)
    pair = [connect(), connect()]
    with ThreadPoolExecutor(2) as pool:
        lines = [line for run in pool.map(partial(refresh, upto=upto), pair) for line in run]
    done = [
        int(found[1])
        for line in lines
        # A verb that follows may find nothing left of what the other session did before it began.
        if (found := re.match(r"refresh_features: (\d+) assets?, \d+ rows?", line))
    ]
    assert sum(done) == len(assets), "each asset is done once"
    assert digest(conn, upto) == expected


#: The key of the lock that ``held`` takes.
HELD = 7


@contextmanager
def held(conn: psycopg.Connection, computation: Computation) -> Iterator[None]:
    """Let whoever stores rows of it wait before the first one, until the block ends."""
    conn.execute(
        f"""
        create function public.wait() returns trigger language plpgsql as $$
        begin
            perform pg_advisory_xact_lock({HELD});
            return null;
        end $$;
        create trigger held before insert on {computation.table}
        for each statement execute function public.wait()
        """
    )
    conn.execute("select pg_advisory_lock(%s)", (HELD,))
    try:
        yield
    finally:
        conn.execute("select pg_advisory_unlock(%s)", (HELD,))


def slow_down(conn: psycopg.Connection, rows: str, seconds: float) -> None:
    """Hold rows up by a trigger, ``dawdle``: ``insert on its_table for each row when (...)``."""
    conn.execute(
        f"""
        create function public.dawdle() returns trigger language plpgsql as $$
        begin
            perform pg_sleep({seconds});
            return new;
        end $$
        """
    )
    conn.execute(f"create trigger dawdle before {rows} execute function public.dawdle()")


def wait_for_sleep(
    conn: psycopg.Connection, pid: int, step: str = "", *, event: str = "PgSleep"
) -> None:
    """Return when that backend sleeps, in that step if one is named."""
    for _ in range(1200):
        if conn.execute(
            """
            select
            from pg_stat_activity as a
            where a.pid = %s
              and a.wait_event = %s
              and %s in ('', a.application_name)
            """,
            (pid, event, step),
        ).rowcount:
            return
        time.sleep(0.02)
    raise AssertionError("the refresh never came to where it waits")


def wait_for_hold(conn: psycopg.Connection, pid: int) -> None:
    """Return when that backend waits for the end of ``held``."""
    wait_for_sleep(conn, pid, event="advisory")


def sees_what_comes_meanwhile(connect: Connect, computation: Computation) -> None:
    """Candles committed between the read and the commit are taken by the next run."""
    conn, slow, upto = connect(), connect(), computation.verb
    put(conn, 1, {n: price(n, 1) for n in range(40)})
    with ThreadPoolExecutor(1) as pool:
        with held(conn, computation):
            run = pool.submit(refresh, slow, upto=upto)
            wait_for_hold(conn, slow.info.backend_pid)
            put(conn, 1, {20: 77.0, 40: 5.0, 41: 6.0})
        run.result()
    refresh(conn, upto=upto)
    found = digest(conn, upto)
    assert found == full(conn, upto)
