"""Calls into the ``signals`` schema. No arithmetic lives here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from ta_lab2.errors import translated
from ta_lab2.features import queries as features
from ta_lab2.signals import errors as errors  # the classes of the SQLSTATEs that are raised here


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal as it is configured."""

    signal_id: int
    signal_name: str
    signal_type: str
    params: dict[str, Any]
    signal_version: int
    is_active: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of signal: its parameters with kinds, ranges and defaults."""

    signal_type: str
    parameters: dict[str, dict[str, Any]]
    description: str


@dataclass(frozen=True, slots=True)
class Standing:
    """An open position, or what was entered or exited on the last bar."""

    symbol: str
    signal_name: str
    event: str
    direction: str
    entry_day: date
    entry_price: float
    close: float
    pnl_pct: float
    exit_level: float | None


@dataclass(frozen=True, slots=True)
class LastBar:
    """The last bar that the signals of an asset have seen."""

    id: int
    symbol: str
    day: date


def refresh(
    conn: Connection,
    asset_ids: Sequence[int] | None = None,
    *,
    rebuild: bool = False,
    dry_run: bool = False,
    on_notice: Callable[[str], None] = lambda _: None,
) -> None:
    """Run ``refresh_signals`` as ``features.queries.refresh`` runs its verb."""
    features.refresh(
        conn,
        asset_ids,
        rebuild=rebuild,
        dry_run=dry_run,
        on_notice=on_notice,
        verb="refresh_signals",
    )


def signals(conn: Connection) -> list[Signal]:
    """Return every signal that is configured, in the order of their ids."""
    with conn.cursor(row_factory=class_row(Signal)) as cursor:
        return cursor.execute(
            """
            select
                d.signal_id, d.signal_name, d.signal_type, d.params, d.signal_version, d.is_active
            from signals.dim_signals as d
            order by d.signal_id
            """
        ).fetchall()


def kinds(conn: Connection) -> list[Kind]:
    """Return the types of signals that there are."""
    with conn.cursor(row_factory=class_row(Kind)) as cursor:
        return cursor.execute(
            "select k.signal_type, k.parameters, k.description from signals.kinds() as k"
        ).fetchall()


def add(
    conn: Connection, name: str, kind: str, params: Mapping[str, Any], *, description: str = ""
) -> Signal | None:
    """Insert a signal; None when there is one of this name already."""
    with translated(), conn.cursor(row_factory=class_row(Signal)) as cursor:
        return cursor.execute(
            """
            insert into signals.dim_signals as d (signal_name, signal_type, params, description)
            values (%s, %s, %s, %s)
            on conflict (signal_name) do nothing
            returning
                d.signal_id, d.signal_name, d.signal_type, d.params, d.signal_version, d.is_active
            """,
            (name, kind, Jsonb(dict(params)), description),
        ).fetchone()


def switch(conn: Connection, name: str, *, on: bool) -> Signal | None:
    """Switch a signal on or off; None when there is none of this name."""
    with translated(), conn.cursor(row_factory=class_row(Signal)) as cursor:
        return cursor.execute(
            """
            update signals.dim_signals as d
            set is_active = %s
            where d.signal_name = %s
            returning
                d.signal_id, d.signal_name, d.signal_type, d.params, d.signal_version, d.is_active
            """,
            (on, name),
        ).fetchone()


def last_bars(conn: Connection, asset_ids: Sequence[int] | None = None) -> list[LastBar]:
    """Return the last bar that the signals of each asset have seen, the earliest first."""
    with translated(), conn.cursor(row_factory=class_row(LastBar)) as cursor:
        return cursor.execute(
            """
            select s.id, a.symbol, (max(s.last_ts) at time zone 'UTC')::date as day
            from published.cmc_signal_status as s
            join published.dim_assets as a using (id)
            where s.is_active
              and s.last_ts is not null
              and s.id = any (coalesce(%s::integer[], array[s.id]))
            group by s.id, a.symbol
            order by day, s.id
            """,
            (None if asset_ids is None else list(asset_ids),),
        ).fetchall()


def today(conn: Connection, asset_ids: Sequence[int] | None = None) -> list[Standing]:
    """Return what the signals of these assets say, of all by default."""
    with translated(), conn.cursor(row_factory=class_row(Standing)) as cursor:
        return cursor.execute(
            """
            select
                t.symbol, t.signal_name, t.event, t.direction,
                (t.entry_ts at time zone 'UTC')::date as entry_day, t.entry_price,
                coalesce(t.exit_price, t.close) as close, t.pnl_pct, t.exit_level
            from published.cmc_signals_today as t
            where t.id = any (coalesce(%s::integer[], array[t.id]))
            order by t.id, t.signal_id, t.entry_ts
            """,
            (None if asset_ids is None else list(asset_ids),),
        ).fetchall()
