"""``ta-lab2 backtest``: run strategies over stored signals, and know why two runs differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Final
from uuid import UUID

import psycopg
import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ta_lab2.backtest import runs
from ta_lab2.backtest.runs import Difference, Listed, Metric, Run
from ta_lab2.backtest.words import count, day, moment, percent, ratio, valued, words
from ta_lab2.bars.names import asset_ids
from ta_lab2.cli import console, typed
from ta_lab2.counted import counted
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused

app = typer.Typer(
    no_args_is_help=True,
    help="Backtests over stored signals: run, list, show, compare, validate.",
)

RUN: Final = "Its id, the beginning of it, its label, or `last`."
#: What a ranking can't say of itself.
RANKED: Final = (
    "ranked on the data that they were run on: the best of many is partly chance;"
    " `ta-lab2 backtest show RUN` says what to keep in mind"
)
#: Of what differs on one level, so many lines; --all shows the rest.
MOST: Final = 6
#: Of several runs that were made at once, so many are shown.
MOST_RANKED: Final = 20
_LEVELS: Final = {
    "setting": "settings",
    "routine": "machinery",
    "data": "data",
    "segment": "the first segment that differs",
    "candle": "candles of it",
    "feature": "features of it, from the first bar on which they differ",
    "signal": "signals from it on",
    "trade": "trades",
    "equity": "equity, from the first bar on which it differs",
    "metric": "metrics",
}

#: A number with more digits than one reads.
_LONG: Final = re.compile(r"-?\d+\.\d{5,}(?:e[-+]?\d+)?(?![\d+:])")

RunName = Annotated[str, typer.Argument(metavar="RUN", help=RUN)]


def _connect() -> psycopg.Connection:
    return psycopg.connect(app_conninfo(), autocommit=True, application_name="ta-lab2 backtest")


@app.command()
def run(
    signal: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SIGNAL",
            help="Its name, such as ema_21_50_long, or several names.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every active signal.")] = False,
    each_asset: Annotated[
        bool, typer.Option("--each-asset", help="A run for each asset, not one over all of them.")
    ] = False,
    asset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SYMBOL",
            help="An asset by symbol, name or id; may be repeated; all that have the signal.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="From this day or moment on, UTC.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Up to this day, which counts whole.")
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="realistic (the default), perp, clean (none), or a row of cost_models.",
        ),
    ] = None,
    capital: Annotated[
        float | None, typer.Option(metavar="USD", help="Cash at the start, 10000 by default.")
    ] = None,
    sizing: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="all_in (the default), fixed_fraction or volatility_target."
        ),
    ] = None,
    fraction: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="The share of cash that an entry takes, 1 by default."),
    ] = None,
    vol_target: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Annualised volatility that is aimed at, 0.2 by default."
        ),
    ] = None,
    fill: Annotated[
        str | None, typer.Option(metavar="NAME", help="next_open (the default) or next_close.")
    ] = None,
    capital_limit: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="The most that positions may have cost, as a share of equity, 1 by default.",
        ),
    ] = None,
    known_at: Annotated[
        str | None,
        typer.Option(metavar="MOMENT", help="On prices and signals as they were known then."),
    ] = None,
    label: Annotated[str | None, typer.Option(metavar="TEXT", help="What you call it.")] = None,
) -> None:
    """Run backtests and store them: trades, equity, metrics and three digests of each.

    One run is shown, several are ranked.
    """
    if bool(signal) == everything:
        raise Refused(
            "which signals?", "Name some, or give --all; `ta-lab2 signals list` lists them."
        )
    with _connect() as conn:
        settings = {
            "asset_ids": asset_ids(conn, asset),
            "from": typed.begin(typed.moment("--from", since)),
            "to": typed.end(typed.moment("--to", until)),
            "cost_model": costs,
            "capital": capital,
            "sizing": sizing,
            "fraction": fraction,
            "vol_target": vol_target,
            "fill": fill,
            "capital_limit": capital_limit,
            "known_at": typed.begin(typed.moment("--known-at", known_at)),
            "label": label,
        }
        if signal and len(signal) == 1 and not each_asset:
            _show(conn, runs.start(conn, signal[0], **settings))
            return
        made = runs.start_all(
            conn,
            signal or None,
            each_asset=each_asset,
            on_notice=lambda line: console.say(line.partition(": ")[2] or line),
            **settings,
        )
        best = runs.ranked(conn, limit=MOST_RANKED, run_ids=made)
        console.out.print(table(best))
        if len(best) > 1:
            console.say(RANKED)
        if len(best) < len(made):
            console.out.print(f"the best {len(best)} of {counted(len(made), 'run')}", markup=False)


@app.command("list")
def list_(
    label: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only runs with this label.")
    ] = None,
    best: Annotated[
        bool,
        typer.Option("--best", help="The latest of each strategy, the highest Sharpe ratio first."),
    ] = False,
    last: Annotated[int, typer.Option("--last", min=1, metavar="N", help="How many.")] = 20,
) -> None:
    """List the last runs, or the best."""
    with _connect() as conn:
        found = (runs.ranked if best else runs.listed)(conn, label=label, limit=last)
    if found:
        console.out.print(table(found))
        if best and len(found) > 1:
            console.say(RANKED)
    else:
        console.say("no run yet; try `ta-lab2 backtest run ema_21_50_long`")


def table(found: Sequence[Listed], *, labels: bool = True) -> Table:
    """Return the runs as a table, one a line, with what the user calls them.

    Ranges and costs are shown where they are not all alike: such runs do not compare.
    """
    ranges = {(day(each.first_ts), day(each.last_ts)) for each in found}
    costs = {each.cost_model for each in found}
    made = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    made.add_column("\nrun", no_wrap=True)
    made.add_column("\nsignal", overflow="fold")
    made.add_column("\nassets", overflow="fold")
    for name in ("total\nreturn", "buy and\nhold", "\nSharpe", "max\ndrawdown", "\ntrades"):
        made.add_column(name, justify="right", no_wrap=True)
    for each in found:
        signal = escape(each.signal_name)
        if labels and each.label:
            signal += f" [dim]{escape(each.label)}[/]"
        own = [f"{day(each.first_ts)[:7]} to {day(each.last_ts)[:7]}"] if len(ranges) > 1 else []
        own += [each.cost_model] if len(costs) > 1 else []
        if own:
            signal += f"\n[dim]{escape(', '.join(own))}[/]"
        symbols = each.symbols if len(each.symbols) <= 2 else [counted(len(each.symbols), "asset")]
        made.add_row(
            str(each.run_id)[:8],
            signal + (" [red]ruined[/]" if each.status == "ruined" else ""),
            escape(", ".join(symbols)),
            percent(each.total_return, 1),
            percent(each.benchmark_return, 1),
            ratio(each.sharpe),
            percent(each.max_drawdown, 1),
            "" if each.trades is None else count(each.trades),
        )
    return made


@app.command()
def show(name: RunName = "last") -> None:
    """Show a run: what was asked, what came out, and its digests."""
    with _connect() as conn:
        _show(conn, runs.find(conn, name))


def _show(conn: psycopg.Connection, run_id: UUID) -> None:
    found = runs.one(conn, run_id)
    console.out.print(_told(found), markup=False)
    console.out.print(_metrics(runs.metrics(conn, run_id)))
    for each in runs.cautions(conn, run_id):
        console.out.print(f"keep in mind: {each}", markup=False)
    console.out.print(
        f"a year is {found.annualisation_days} bars, the risk-free rate 0;"
        " CAGR, volatility, alpha and turnover are of a year, VaR and shortfall of a day",
        markup=False,
    )
    for what, digest in (
        ("inputs", found.inputs_digest),
        ("machinery", found.machinery_digest),
        ("result", found.result_digest),
    ):
        console.out.print(f"{what:<10} {digest.hex()}", markup=False)
    console.out.print(f"report:    ta-lab2 report {str(run_id)[:8]}", markup=False)


def _told(found: Run) -> str:
    """Return a run in three lines."""
    assets = counted(len(found.asset_ids), "asset")
    lines = [
        f"run {found.run_id}" + (f" ({found.label})" if found.label else ""),
        f"{found.signal_name}, {assets}, {day(found.first_ts)} to {day(found.last_ts)},"
        f" {counted(found.bars, 'bar')}, {found.cost_model} costs, {found.sizing}",
        f"data as of {moment(found.data_at)}, ran at {moment(found.created_at)}",
    ]
    if found.status == "ruined":
        lines.append(f"ruined on {day(found.last_ts)}: nothing was left, and the run ends there")
    return "\n".join(lines)


def _metrics(found: Sequence[Metric]) -> Table:
    """Return the metrics in two columns."""
    made = Table(box=None, show_header=False, padding=(0, 3, 0, 0))
    for _ in range(2):
        made.add_column(no_wrap=True)
        made.add_column(no_wrap=True, justify="right")
    half = (len(found) + 1) // 2
    for at in range(half):
        cells = [text for each in found[at::half] for text in (words(each.metric), valued(each))]
        made.add_row(*cells)
    return made


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=RUN)],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.")] = "last",
    everything: Annotated[
        bool, typer.Option("--all", help="Every line and digit, not the first of each level.")
    ] = False,
) -> None:
    """Say in what two runs differ: digests, settings, candles, features, signals, trades."""
    with _connect() as conn:
        a, b = runs.find(conn, first), runs.find(conn, second)
        for name, run_id in (("a", a), ("b", b)):
            console.out.print(f"{name}: {_told(runs.one(conn, run_id))}", markup=False)
        found = runs.compare(conn, a, b)
    explain(found, most=None if everything else MOST)


def explain(found: Sequence[Difference], *, most: int | None = MOST) -> None:
    """Print in what two runs differ, at most so many lines a level; None: all, with all digits."""
    digests = [each for each in found if each.level in ("inputs", "machinery", "result")]
    console.out.print("")
    for each in digests:
        colour = "green" if each.what == "equal" else "yellow"
        console.out.print(f"{each.level:<10} [{colour}]{each.what}[/]  [dim]{each.detail}[/]")
    if all(each.what == "equal" for each in digests):
        return
    for level, group in groupby(found[len(digests) :], key=lambda each: each.level):
        lines = list(group)
        console.out.print("")
        console.out.print(f"[bold]{_LEVELS[level]}[/]")
        for each in lines[:most]:
            console.out.print(f"  {_line(each, whole=most is None)}", markup=False)
        if most is not None and len(lines) > most:
            console.out.print(f"  and {len(lines) - most} more, see --all", markup=False)


def _line(each: Difference, *, whole: bool) -> str:
    """Return a difference in a line: where, what, and both values, whole or as short as tells."""
    asset = each.symbol or (str(each.id) if each.id else "")
    where = " ".join(filter(None, [asset, day(each.ts) if each.ts else ""]))
    if each.level == "segment":
        return f"{asset} {each.what}: {each.detail}".strip()
    shown = [_short(text) for text in (each.a, each.b) if text is not None]
    fewer = [_LONG.sub(lambda found: f"{float(found[0]):.8g}", text) for text in shown]
    # What differs in its last digits alone is shown with them.
    values = " -> ".join(shown if whole or len(set(fewer)) < len(fewer) else fewer)
    told = f"{each.what}: {values}" if values else each.what
    return f"{where + ' ' if where else ''}{told}{f' ({each.detail})' if each.detail else ''}"


def _short(text: str) -> str:
    """Return a digest by its first letters, anything else whole."""
    is_digest = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return text[:16] if is_digest else text


@app.command()
def validate(
    name: RunName = "last",
    mode: Annotated[
        str,
        typer.Option(
            metavar="MODE",
            help="strict: other inputs are an error; warn: go on; trust: don't look.",
        ),
    ] = "strict",
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="How far equity may be apart, as a share; 0: the same bits."
        ),
    ] = 0.0,
    as_it_was: Annotated[
        bool, typer.Option("--as-it-was", help="On the data as they stood when it ran.")
    ] = False,
) -> None:
    """Repeat a run, store nothing, and say whether it is the same to the last bit."""
    with _connect() as conn:
        found = runs.one(conn, runs.find(conn, name))
        verdict = runs.validate(
            conn,
            found.run_id,
            mode=mode,
            tolerance=tolerance,
            known_at=found.data_at if as_it_was else None,
            on_notice=lambda line: console.say(line.partition(": ")[2] or line),
        )
    console.out.print(f"run {str(found.run_id)[:8]}: {verdict}", markup=False)
    if verdict == "result differs":
        raise typer.Exit(1)
