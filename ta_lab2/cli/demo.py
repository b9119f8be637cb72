"""``ta-lab2 demo``: from nothing to ranked strategies, each step safe to interrupt and repeat."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import psycopg
import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ta_lab2 import charts, paths
from ta_lab2.backtest import report as reports
from ta_lab2.backtest import runs
from ta_lab2.bars import ingest
from ta_lab2.bars.formats import PriceFile
from ta_lab2.bars.queries import Counts
from ta_lab2.cli import backtest, console, report
from ta_lab2.cli.db import chosen
from ta_lab2.counted import counted
from ta_lab2.db.migrate import migrate
from ta_lab2.db.runtime import Yours, databases
from ta_lab2.db.runtime.interface import Runtime
from ta_lab2.db.runtime.project import LOGINS, Endpoint, Project
from ta_lab2.errors import Refused
from ta_lab2.features import queries as features
from ta_lab2.ops import market
from ta_lab2.regimes import queries as regimes
from ta_lab2.settings import settings
from ta_lab2.signals import queries as signals

#: The synthetic market's own database: it never meets real prices.
DATABASE: Final = "ta_lab2_demo"
TABLE_WIDTH: Final = 80
#: What the runs are called: those that count, and those from before the candle was revised.
LABEL: Final = "demo"
BEFORE: Final = "demo, as first published"
#: The share of cash that an entry takes where several assets share it.
SHARE: Final = 0.25
MOST_REGIMES: Final = 6
_TIMEFRAMES: Final = ("1D", "1W_CAL_ISO", "1M_CAL")
_NUMBERS: Final = (
    "\ncandles", "gap\ndays", "last\nclose", "last\nreturn", "worst\nday", "best\nday",
)  # fmt: skip
_QUERY: Final = (
    "select symbol, ts::date, ret_pct_1",
    "from cmc_returns_daily join dim_assets using (id) order by ret_pct_1 limit 5;",
)


def demo(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Price files, folders or quoted patterns; none: a synthetic market.",
            show_default=False,
        ),
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Where the chart goes, a .png file.")
    ] = None,
) -> None:
    """Show the whole of it: a database, prices in, refresh, backtests, a chart and a report.

    Without files the market is synthetic, in a database of its own, ta_lab2_demo; a candle of it
    is revised, and what that did to a backtest is explained.
    Files go into the project's database. A second run changes nothing.
    """
    # matplotlib's remarks about fonts and caches are not for a newcomer.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    logging.getLogger("PIL").setLevel(logging.ERROR)
    charts.require()
    picture = charts.place(chart or _folder() / ("prices.png" if files else "demo.png"))
    page = picture.with_name("report.html" if not files else "prices-report.html")
    reports.require()
    found = ingest.find(files) if files else []
    steps = Steps(total=6 if files else 8)
    with steps.step("the database: server up, migrated"):
        app = _database(None if files else DATABASE, steps)
    with psycopg.connect(app.conninfo(), autocommit=True, application_name="ta-lab2 demo") as conn:
        _alone(conn, steps)
        asset_ids = _load_files(conn, found, steps) if files else _load_synthetic(conn, steps)
        with steps.step("backtests of every strategy"):
            made = _backtest(conn, asset_ids, LABEL, steps)
        with steps.step("the chart"):
            lines = market.price_lines(conn, asset_ids)
            candles = market.candles(conn, asset_ids[0], _TIMEFRAMES) if asset_ids else []
            png = charts.prices(
                lines,
                title="Prices and one-session returns" if files else "A synthetic market",
                source=f"Source: {'the loaded files' if files else 'ops.synthetic_market()'},"
                f" database {app.dbname}, tables cmc_price_histories7, cmc_returns_daily,"
                " cmc_price_bars_multi_tf and cmc_ema_multi_tf.",
                candles=candles,
                of=len(asset_ids),
                synthetic=not files,
            )
            charts.write(png, picture)
        ranked = runs.ranked(conn, label=LABEL, run_ids=list(made.values()))
        with steps.step("the report of the best strategy"):
            report.write(reports.html(conn, ranked[0].run_id), page)
        summary = market.price_summary(conn, asset_ids)
        console.out.print(table(summary, synthetic=not files))
        _show_regimes(conn, [row.id for row in summary[:MOST_REGIMES]], of=len(summary))
        if not files:
            _explain_the_revision(conn, made)
        console.out.print(
            f"[bold]Strategies over {counted(len(asset_ids), 'asset')}, realistic costs[/]"
        )
        console.out.print(backtest.table(ranked, labels=False))
    console.out.print(f"chart: {picture}", markup=False)
    console.out.print(f"report: {page}", markup=False)
    _show_the_way(app.dbname)


@dataclass(slots=True)
class Steps:
    """Prints what is being done and how long it took."""

    total: int
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce a step, and say at its end how long it took."""
        self.done += 1
        console.say(f"{self.done}/{self.total} {what}")
        began = time.monotonic()
        yield
        self.say(f"done in {time.monotonic() - began:.1f} s")

    def say(self, line: str) -> None:
        """Print a line that belongs to the current step."""
        console.say(f"    {line}")


def _database(name: str | None, steps: Steps) -> Endpoint:
    """Return the app's way into a database that is up and migrated; None is the project's own."""
    with chosen() as server:
        own = server.endpoint("app").dbname if isinstance(server, Yours) else settings().database
        if own == DATABASE:
            raise Refused(
                f"the project's database is called {DATABASE}, which is the synthetic market's",
                "Set TA_LAB2_DATABASE (or the URL) to another name.",
            )
        server.up(steps.say)
        if name is not None and _create(server, name):
            steps.say(f"made the database {name}")
        admin = server.endpoint("admin", dbname=name)
        ours = not isinstance(server, Yours)
        secrets = Project.of(settings()).passwords() if ours else {}
        migrate(
            admin.conninfo(),
            say=steps.say,
            passwords={LOGINS[login]: secrets[login] for login in secrets if login != "admin"},
            ours=ours,
        )
        return server.endpoint("app", dbname=name)


def _create(server: Runtime, name: str) -> bool:
    """Make a database if the server has none of this name; return whether it was made."""
    try:
        return databases.create(server.endpoint("admin"), name)
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return False  # another run has just made it; on a server of the user's own none waits
    except psycopg.errors.InsufficientPrivilege:
        raise Refused(
            f"this login may not make the database {name} that the synthetic market needs",
            "Set TA_LAB2_ADMIN_URL to your database as a superuser.",
        ) from None


def _load_synthetic(conn: psycopg.Connection, steps: Steps) -> list[int]:
    """Load the synthetic market as it was first published, then revised; return its ids."""
    with steps.step("prices as first published"):
        if market.has_prices(conn):
            steps.say("already loaded")
        else:
            steps.say(_counted(market.load_synthetic(conn, revised=False)))
        _refresh(conn, steps)
    with steps.step("backtests on them"):
        # An earlier demo may have gone on from here: its runs are those from before.
        _backtest(conn, market.synthetic_ids(conn), BEFORE, steps)
    with steps.step("prices again, one candle revised by its source"):
        steps.say(_counted(market.load_synthetic(conn, revised=True)))
    with steps.step("refresh: only what depends on the revision is written"):
        _refresh(conn, steps)
    return market.synthetic_ids(conn)


def _load_files(conn: psycopg.Connection, found: Sequence[PriceFile], steps: Steps) -> list[int]:
    """Load price files; return the ids of their assets."""
    rejected = 0
    with steps.step(f"prices from {len(found)} file{'s' if len(found) > 1 else ''}"):
        for file in found:
            counts = ingest.load(conn, file).counts
            steps.say(f"{file.path.name}: {_counted(counts)}")
            rejected += counts.rejected
    if rejected:
        steps.say("why lines were rejected: select * from price_rejects")
    with steps.step("refresh"):
        _refresh(conn, steps)
    return sorted({file.asset_id for file in found})


def _counted(counts: Counts) -> str:
    """Return what became of the candles, leaving out what did not happen."""
    names = ("loaded", "unchanged", "revised", "rejected", "forming", "other_source")
    happened = [
        f"{number:,} {name.replace('_', ' ')}"
        for name in names
        if (number := getattr(counts, name))
    ]
    return ", ".join(happened) or "no candles"


def _refresh(conn: psycopg.Connection, steps: Steps) -> None:
    """Refresh all; print failures, the last lines, and of a long run one now and then."""
    shown, waiting = time.monotonic(), ""

    def hear(line: str) -> None:
        nonlocal shown, waiting
        waiting = line
        if " failed: " in line or time.monotonic() - shown > 2:
            steps.say(line)
            shown, waiting = time.monotonic(), ""

    for verb in (features.refresh, regimes.refresh, signals.refresh):
        verb(conn, on_notice=hear)
        if waiting:
            steps.say(waiting)
            waiting = ""


def _alone(conn: psycopg.Connection, steps: Steps) -> None:
    """Wait for another demo on this database: its steps and ours would mix."""
    key = "hashtext('ta-lab2 demo')"
    free = conn.execute(f"select pg_try_advisory_lock({key})").fetchone()
    if not (free and free[0]):
        steps.say("another demo is at work here; waiting for it")
        conn.execute(f"select pg_advisory_lock({key})")


def _backtest(
    conn: psycopg.Connection, asset_ids: Sequence[int], label: str, steps: Steps
) -> dict[str, UUID]:
    """Backtest every strategy over the assets; return the runs by the name of the signal."""
    # Several assets share the cash: one entry leaves some for the others.
    sizing = "all_in" if len(asset_ids) == 1 else "fixed_fraction"
    fraction = 1.0 if len(asset_ids) == 1 else SHARE
    made = {} if label == LABEL else runs.with_label(conn, label)
    for signal in runs.signals(conn):
        if signal in made:
            continue
        made[signal] = runs.once(
            conn,
            signal,
            label=label,
            asset_ids=list(asset_ids),
            sizing=sizing,
            fraction=fraction,
        )
    steps.say(f"{len(made)} strategies, {counted(len(asset_ids), 'asset')}, realistic costs")
    return made


def _show_regimes(conn: psycopg.Connection, asset_ids: Sequence[int], *, of: int) -> None:
    """Print the last regimes of some assets, and what they allow."""
    found = regimes.latest(conn, asset_ids)
    if found:
        made = Table(
            box=box.SIMPLE_HEAD,
            title="Last regimes: trend, volatility, liquidity",
            title_justify="left",
            title_style="bold",
            padding=(0, 1, 0, 0),
        )
        for name in ("symbol", "of the days", "of the weeks", "allowed"):
            made.add_column(name, overflow="fold")
        for row in found:
            allowed = "stand down" if row.stand_down else ", ".join(row.setups)
            made.add_row(escape(row.symbol), row.l2_key, row.l1_key, allowed)
        console.out.print(made)
        shown = f"the first {len(found)} of {counted(of, 'asset')}; " if of > len(found) else ""
        console.out.print(
            f"{shown}allowed is what days, weeks and months allow together: `ta-lab2 regimes`\n",
            markup=False,
        )


def _explain_the_revision(conn: psycopg.Connection, made: dict[str, UUID]) -> None:
    """Print what the revised candle did to the first strategy whose result it changed."""
    before = runs.with_label(conn, BEFORE)
    for name, first, second in [(n, before[n], made[n]) for n in made if n in before]:
        found = runs.compare(conn, first, second)
        if any(each.level == "result" and each.what != "equal" for each in found):
            console.out.print(f"[bold]What the revised candle did to {escape(name)}[/]")
            backtest.explain(found, most=2)
            console.out.print("")
            return


def table(rows: Sequence[market.Summary], *, synthetic: bool) -> Table:
    """Return the assets as a table that fits 80 columns."""
    made = Table(
        box=box.SIMPLE_HEAD,
        title="SYNTHETIC market: made-up assets, no real prices" if synthetic else None,
        title_style="bold red",
        width=TABLE_WIDTH,
        padding=(0, 0),
    )
    # The only column that may be cut: a number is shown whole.
    made.add_column("\nsymbol", no_wrap=True, overflow="ellipsis", ratio=1)
    for name in ("first\nday", "last\nday"):
        made.add_column(name, no_wrap=True)
    for name in _NUMBERS:
        made.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(
            escape(row.symbol),
            str(row.first_day),
            str(row.last_day),
            f"{row.candles:,}",
            f"{row.missing_days:,}",
            price(row.last_close),
            *(percent(value) for value in (row.last_return, row.worst_return, row.best_return)),
        )
    return made


def price(value: float) -> str:
    """Return a price in at most ten characters, as long as it is under a million."""
    if value >= 1000:
        return f"{value:,.2f}"
    return f"{value:.6g}" if value >= 0.0001 else f"{value:.3e}"


def percent(value: float | None) -> str:
    """Return a fraction as a signed percentage, a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:+.1%}" if abs(value) < 1 else f"{value:+,.0%}"


def _folder() -> Path:
    """Return where charts go: ``out`` in a checkout, else the current folder."""
    root = paths.checkout()
    return root / "out" if root else Path.cwd()


def _show_the_way(database: str) -> None:
    """Print how to look further."""
    console.say("")
    console.say("The database stays up. Look further:")
    console.say(f"  {command()} db psql --database {database}")
    for line in _QUERY:
        console.say(f"  {line}")
    if settings().database_url is not None and database == DATABASE:
        return
    # What the other commands ask is the project's own database.
    told = f"TA_LAB2_DATABASE={DATABASE} " if database == DATABASE else ""
    for words in ("today", "backtest list --best", "backtest show"):
        console.say(f"  {told}{command()} {words}")


def command() -> str:
    """Return how this program is called from where the user stands."""
    if shutil.which("ta-lab2"):
        return "ta-lab2"
    here, python = Path.cwd(), Path(sys.executable)
    script = python.with_name("ta-lab2")
    place = script if script.exists() else python
    shown = place.relative_to(here) if place.is_relative_to(here) else place
    return f"{shown}" if place == script else f"{shown} -m ta_lab2"
