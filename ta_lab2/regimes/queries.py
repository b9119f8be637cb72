"""Calls into the ``regimes`` schema. No arithmetic lives here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from psycopg import Connection
from psycopg.rows import class_row

from ta_lab2.errors import translated
from ta_lab2.features import queries as features
from ta_lab2.regimes import errors as errors  # the classes of the SQLSTATEs that are raised here


@dataclass(frozen=True, slots=True)
class Regime:
    """An asset's last regimes and what they allow together."""

    id: int
    symbol: str
    day: date
    l0_key: str
    l1_key: str
    l2_key: str
    size: float | None
    stop: float | None
    setups: list[str]
    stand_down: bool


def refresh(
    conn: Connection,
    asset_ids: Sequence[int] | None = None,
    *,
    rebuild: bool = False,
    dry_run: bool = False,
    on_notice: Callable[[str], None] = lambda _: None,
) -> None:
    """Run ``refresh_regimes`` as ``features.queries.refresh`` runs its verb."""
    features.refresh(
        conn,
        asset_ids,
        rebuild=rebuild,
        dry_run=dry_run,
        on_notice=on_notice,
        verb="refresh_regimes",
    )


@dataclass(frozen=True, slots=True)
class Trends:
    """An asset's closes and the trend of each layer on each day, in order of time."""

    symbol: str
    days: list[date]
    closes: list[float]
    months: list[str]
    weeks: list[str]
    daily: list[str]


def trends(conn: Connection, asset_id: int) -> Trends | None:
    """Return the closes and trends of an asset, or nothing if it has none."""
    with translated(), conn.cursor(row_factory=class_row(Trends)) as cursor:
        return cursor.execute(
            """
            select
                a.symbol,
                array_agg((p.ts at time zone 'UTC')::date order by p.ts) as days,
                array_agg(p.close order by p.ts) as closes,
                array_agg(r.l0_trend order by p.ts) as months,
                array_agg(r.l1_trend order by p.ts) as weeks,
                array_agg(r.l2_trend order by p.ts) as daily
            from bars.dim_assets as a
            join bars.cmc_price_histories7 as p on p.id = a.id
            join regimes.cmc_regimes_daily as r on r.id = p.id and r.ts = p.ts
            where a.id = %s
            group by a.id
            """,
            (asset_id,),
        ).fetchone()


def latest(conn: Connection, asset_ids: Sequence[int] | None = None) -> list[Regime]:
    """Return the last regimes of these assets, of all by default."""
    with translated(), conn.cursor(row_factory=class_row(Regime)) as cursor:
        return cursor.execute(
            """
            select
                a.id, a.symbol, (r.ts at time zone 'UTC')::date as day,
                r.l0_key, r.l1_key, r.l2_key, r.size, r.stop, r.setups, r.stand_down
            from regimes.as_of(%s::integer[]) as r
            join bars.dim_assets as a on a.id = r.id
            order by a.id
            """,
            (None if asset_ids is None else list(asset_ids),),
        ).fetchall()
