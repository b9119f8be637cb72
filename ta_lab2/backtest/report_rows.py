"""What a report shows, as rows; the database has worked out every number of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from ta_lab2.backtest import runs
from ta_lab2.charts.performance import Curve, Position, Priced
from ta_lab2.errors import Refused, translated

#: More pictures and rows than these would hide the rest of the page.
PICTURES: Final = 6
TRADES: Final = 60
DRAWDOWNS: Final = 5
#: Where a month's return gets another shade, fractions; the middle one parts gains from losses.
_SHADES: Final = (-0.2, -0.1, -0.05, -0.02, 0.0, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True)
class Month:
    """The return of a month, and its shade: 0 to 9, 10 for none; month 0 is the year."""

    year: int
    month: int
    value: float
    shade: int


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A stretch below the peak; one that goes on has no recovery."""

    drawdown: float
    peak_ts: datetime
    trough_ts: datetime
    recovery_ts: datetime | None
    days: float


@dataclass(frozen=True, slots=True)
class Trade:
    """A row of ``backtest.trades`` with its symbol; costs are fees, slippage and funding."""

    trade_no: int
    id: int
    symbol: str
    direction: str
    entry_ts: datetime
    entry_price: float
    exit_ts: datetime | None
    exit_price: float | None
    exit_reason: str | None
    bars_held: int
    costs: float
    net_pnl: float
    return_pct: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the page of a run shows."""

    run: runs.Run
    symbols: list[str]
    is_synthetic: bool
    segments: int
    trade_count: int
    benchmark_drawdown: float | None
    metrics: list[runs.Metric]
    cautions: list[str]
    curve: Curve
    months: list[Month]
    drawdowns: list[Drawdown]
    trades: list[Trade]
    prices: list[Priced]


@dataclass(frozen=True, slots=True)
class _Facts:
    symbols: list[str]
    is_synthetic: bool
    segments: int
    trade_count: int
    benchmark_drawdown: float | None


def load(conn: Connection, run_id: UUID) -> Report:
    """Return all rows of a run's page, of one moment."""
    with conn.transaction(), translated():
        conn.execute("set transaction isolation level repeatable read, read only")
        run = runs.one(conn, run_id)
        facts = _facts(conn, run_id)
        curve = _curve(conn, run_id)
        if not curve.days:
            raise Refused(f"run {run_id} has no equity", "Run it again.")
        return Report(
            run=run,
            symbols=facts.symbols,
            is_synthetic=facts.is_synthetic,
            segments=facts.segments,
            trade_count=facts.trade_count,
            benchmark_drawdown=facts.benchmark_drawdown,
            metrics=runs.metrics(conn, run_id),
            cautions=runs.cautions(conn, run_id),
            curve=curve,
            months=_months(conn, run_id),
            drawdowns=_drawdowns(conn, run_id),
            trades=_trades(conn, run_id),
            prices=[_priced(conn, run_id, asset_id) for asset_id in _drawn(conn, run_id)],
        )


def _facts(conn: Connection, run_id: UUID) -> _Facts:
    with conn.cursor(row_factory=class_row(_Facts)) as cursor:
        found = cursor.execute(
            """
            select
                array(
                    select coalesce(a.symbol, u.id::text)
                    from unnest(r.asset_ids) with ordinality as u (id, place)
                    left join bars.dim_assets as a using (id)
                    order by u.place
                ) as symbols,
                exists (
                    select
                    from bars.price_state as s
                    where s.id = any (r.asset_ids) and s.source = 'synthetic'
                ) as is_synthetic,
                (
                    select count(*) from backtest.run_segments as s where s.run_id = r.run_id
                ) as segments,
                (
                    select count(*) from backtest.trades as t where t.run_id = r.run_id
                ) as trade_count,
                (
                    select min(d.value)
                    from (
                        select e.benchmark / nullif(max(e.benchmark) over (order by e.ts), 0) - 1
                        from backtest.equity as e
                        where e.run_id = r.run_id
                    ) as d (value)
                ) as benchmark_drawdown
            from backtest.runs as r
            where r.run_id = %s
            """,
            (run_id,),
        ).fetchone()
    assert found is not None
    return found


def _curve(conn: Connection, run_id: UUID) -> Curve:
    with conn.cursor(row_factory=class_row(Curve)) as cursor:
        found = cursor.execute(
            """
            select
                coalesce(array_agg((e.ts at time zone 'UTC')::date order by e.ts), '{}') as days,
                array_agg(e.equity order by e.ts) as equity,
                array_agg(e.benchmark order by e.ts) as benchmark,
                array_agg(e.drawdown order by e.ts) as drawdown,
                array_agg(e.benchmark_drawdown order by e.ts) as benchmark_drawdown
            from (
                select
                    e.ts, e.equity, e.benchmark, e.drawdown,
                    e.benchmark / nullif(max(e.benchmark) over (order by e.ts), 0) - 1
                        as benchmark_drawdown
                from backtest.equity as e
                where e.run_id = %s
            ) as e
            """,
            (run_id,),
        ).fetchone()
    assert found is not None
    return found


def _months(conn: Connection, run_id: UUID) -> list[Month]:
    with conn.cursor(row_factory=class_row(Month)) as cursor:
        return cursor.execute(
            """
            with of_year as (
                select
                    e.year,
                    e.equity / nullif(lag(e.equity, 1, r.capital) over (order by e.year), 0) - 1
                        as value
                from (
                    select
                        extract(year from e.ts at time zone 'UTC')::integer as year,
                        (array_agg(e.equity order by e.ts desc))[1] as equity
                    from backtest.equity as e
                    where e.run_id = %(run)s
                    group by 1
                ) as e
                cross join backtest.runs as r
                where r.run_id = %(run)s
            ), known as (
                select
                    extract(year from m.month)::integer as year,
                    extract(month from m.month)::integer as month,
                    m.return_pct as value
                from backtest.monthly_returns(%(run)s) as m
                union all
                select y.year, 0, y.value
                from of_year as y
            )
            select
                k.year, k.month, k.value,
                case when k.value = 0 then 10 else width_bucket(k.value, %(shades)s::float8[]) end
                    as shade
            from known as k
            where k.value is not null
            order by k.year, k.month
            """,
            {"run": run_id, "shades": list(_SHADES)},
        ).fetchall()


def _drawdowns(conn: Connection, run_id: UUID) -> list[Drawdown]:
    with conn.cursor(row_factory=class_row(Drawdown)) as cursor:
        return cursor.execute(
            """
            select d.drawdown, d.peak_ts, d.trough_ts, d.recovery_ts, d.days
            from backtest.drawdowns(%s, %s) as d
            order by d.drawdown, d.peak_ts
            """,
            (run_id, DRAWDOWNS),
        ).fetchall()


def _trades(conn: Connection, run_id: UUID) -> list[Trade]:
    """Return the last trades, the last one at the end."""
    with conn.cursor(row_factory=class_row(Trade)) as cursor:
        return cursor.execute(
            """
            select l.*
            from (
                select
                    t.trade_no, t.id, coalesce(a.symbol, t.id::text) as symbol, t.direction,
                    t.entry_ts, t.entry_price, t.exit_ts, t.exit_price, t.exit_reason, t.bars_held,
                    t.entry_fee + t.entry_slippage + coalesce(t.exit_fee, 0)
                        + coalesce(t.exit_slippage, 0) + t.funding as costs,
                    t.net_pnl, t.return_pct
                from backtest.trades as t
                left join bars.dim_assets as a using (id)
                where t.run_id = %s
                order by t.trade_no desc
                limit %s
            ) as l
            order by l.trade_no
            """,
            (run_id, TRADES),
        ).fetchall()


def _drawn(conn: Connection, run_id: UUID) -> Sequence[int]:
    """Return the assets whose prices are drawn: those with most trades, in order of id."""
    found = conn.execute(
        """
        select array(
            select m.id
            from (
                select t.id
                from backtest.trades as t
                where t.run_id = %s
                group by t.id
                order by count(*) desc, t.id
                limit %s
            ) as m
            order by m.id
        )
        """,
        (run_id, PICTURES),
    ).fetchone()
    assert found is not None
    ids: list[int] = found[0]
    return ids


def _priced(conn: Connection, run_id: UUID, asset_id: int) -> Priced:
    """Return the closes of an asset that the run saw, and its trades in it."""
    row = conn.execute(
        """
        select
            coalesce((select a.symbol from bars.dim_assets as a where a.id = %(id)s), %(id)s::text),
            array_agg((p.ts at time zone 'UTC')::date order by p.ts),
            array_agg(p.close order by p.ts)
        from backtest.runs as r
        cross join lateral bars.prices_as_of(r.data_at, array[%(id)s]) as p
        where r.run_id = %(run)s
          and p.ts between r.first_ts and r.last_ts
        """,
        {"run": run_id, "id": asset_id},
    ).fetchone()
    assert row is not None
    symbol, days, closes = row
    last_day: date = days[-1]
    last_close: float = closes[-1]
    found = conn.execute(
        """
        select
            (t.entry_ts at time zone 'UTC')::date, t.entry_price,
            (t.exit_ts at time zone 'UTC')::date, t.exit_price,
            t.direction = 'long', t.exit_ts is null, t.net_pnl > 0
        from backtest.trades as t
        where t.run_id = %s and t.id = %s
        order by t.trade_no
        """,
        (run_id, asset_id),
    )
    positions = [
        Position(
            entered=entered,
            entry_price=entry_price,
            left=last_day if is_open else left,
            exit_price=last_close if is_open else exit_price,
            is_long=is_long,
            is_open=is_open,
            won=won,
        )
        for entered, entry_price, left, exit_price, is_long, is_open, won in found
    ]
    return Priced(symbol, days, closes, positions)
