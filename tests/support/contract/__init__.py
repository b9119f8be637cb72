"""What every computation of a refresh is held to, written once and parametrised by table.

Each check takes a connection in autocommit mode to a database of the test's own, and raises
AssertionError. A refresh works on all computations of a verb, so a check looks at all of them, each
in the rows of its own table: a digest by feature type says where they part. ``broken`` plants a
fault in a shipped routine, so that a test can see each check fail. A new computation adds itself to
``COMPUTATIONS``, or to ``EVERY`` if another verb has it, and is held to all of this.

``computations``  the tables, the routines that fill them, and the configuration of the tests
``histories``     candles
``looking``       refreshes, and the bits that they leave
``checks``        the contract of one session: incremental equals full, nothing looks ahead
``sessions``      that of several: kills, shared work, candles that come meanwhile
``faults``        planted faults
"""

from __future__ import annotations

from tests.support.contract.checks import (
    any_batches_and_restarts,
    incremental_equals_full,
    never_looks_ahead,
    repairs_just_what_depends,
)
from tests.support.contract.computations import (
    BARS,
    BREAKOUTS,
    COMPUTATIONS,
    DAILY,
    EMA,
    EMA_CROSSES,
    EVERY,
    INDICATORS,
    LAST,
    READ,
    REGIMES,
    RETURNS,
    RSI_REVERSALS,
    STORE,
    TRANSITIONS,
    VERBS,
    VOLATILITY,
    by_table,
    only,
    unread,
)
from tests.support.contract.faults import broken, is_found
from tests.support.contract.histories import candle, history, price, put
from tests.support.contract.looking import (
    digest,
    full,
    refresh,
    rows,
    start_over,
    versions,
    wipe,
    written,
)
from tests.support.contract.sessions import (
    STEPS,
    held,
    sees_what_comes_meanwhile,
    slow_down,
    survives_a_kill,
    survives_a_kill_in,
    two_share_the_work,
    wait_for_hold,
    wait_for_sleep,
)

__all__ = [
    "BARS",
    "BREAKOUTS",
    "COMPUTATIONS",
    "DAILY",
    "EMA",
    "EMA_CROSSES",
    "EVERY",
    "INDICATORS",
    "LAST",
    "READ",
    "REGIMES",
    "RETURNS",
    "RSI_REVERSALS",
    "STEPS",
    "STORE",
    "TRANSITIONS",
    "VERBS",
    "VOLATILITY",
    "any_batches_and_restarts",
    "broken",
    "by_table",
    "candle",
    "digest",
    "full",
    "held",
    "history",
    "incremental_equals_full",
    "is_found",
    "never_looks_ahead",
    "only",
    "price",
    "put",
    "refresh",
    "repairs_just_what_depends",
    "rows",
    "sees_what_comes_meanwhile",
    "slow_down",
    "start_over",
    "survives_a_kill",
    "survives_a_kill_in",
    "two_share_the_work",
    "unread",
    "versions",
    "wait_for_hold",
    "wait_for_sleep",
    "wipe",
    "written",
]
