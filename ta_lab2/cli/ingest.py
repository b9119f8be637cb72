"""``ta-lab2 ingest``: price files into the database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID

import psycopg
import typer
from rich import box
from rich.table import Table

from ta_lab2.bars import ingest as prices
from ta_lab2.bars import queries
from ta_lab2.bars.formats import PriceFile, Wanted, mapping
from ta_lab2.cli import console
from ta_lab2.counted import counted
from ta_lab2.db.connect import app_conninfo
from ta_lab2.errors import Refused

_SHOWN_REJECTS = 5


def ingest(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Files, folders or quoted patterns: .csv, .csv.gz, .zip, .parquet,"
            " named <id>_<slug> unless --asset-id is given.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Where the prices come from: a row of dim_sources; by default the layout says it.",
        ),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="NAME", help="Their layout; by default the header tells it."
        ),
    ] = None,
    mapping_file: Annotated[
        Path | None,
        typer.Option("--mapping", metavar="FILE", help="A TOML file that says what is where."),
    ] = None,
    asset_id: Annotated[
        int | None,
        typer.Option(
            min=1, max=2**31 - 1, metavar="ID", help="Their asset, where the name does not say it."
        ),
    ] = None,
    slug: Annotated[
        str | None, typer.Option(metavar="SLUG", help="The asset's slug, such as bitcoin.")
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(metavar="TICKER", help="The asset's ticker, such as BTC.")
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(
            metavar="SESSION",
            help="When a new asset trades: a row of dim_sessions, CRYPTO by default.",
        ),
    ] = None,
    intraday: Annotated[
        bool,
        typer.Option("--intraday", help="Their candles are shorter than a day; an hour at most."),
    ] = False,
    extend: Annotated[
        bool,
        typer.Option("--extend", help="Store sessions that the asset's own source does not have."),
    ] = False,
    switch: Annotated[
        bool, typer.Option("--switch", help="Make this the source of its assets from now on.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what the files hold; load nothing, ask no database."),
    ] = False,
    undo: Annotated[
        UUID | None,
        typer.Option(metavar="LOAD", help="Take a load back; `select * from loads` lists them."),
    ] = None,
) -> None:
    """Load prices, daily ones by default. Every file is a transaction; again changes nothing.

    If one of the files cannot be read or its layout is not known, nothing is loaded.
    Candles of an exchange: `ta-lab2 ingest ccxt --help`.
    """
    if undo is not None:
        said = (source, format_name, mapping_file, asset_id, slug, symbol, session)
        if (
            files
            or intraday
            or extend
            or switch
            or dry_run
            or any(each is not None for each in said)
        ):
            raise Refused("--undo takes a load back and goes with nothing else")
        _undo(undo)
        return
    if not files:
        raise Refused("no file is named", "Name files or folders, or --undo LOAD.")
    if extend and switch:
        raise Refused(
            "--extend and --switch exclude each other",
            "--extend keeps the assets' own source, --switch gives them another.",
        )
    if format_name is not None and mapping_file is not None:
        raise Refused("--format and --mapping exclude each other", "Each says how a file is read.")
    wanted = Wanted(
        asset_id=asset_id,
        slug=_word("--slug", slug, lower=True),
        symbol=_word("--symbol", symbol),
        session=session,
        source=source,
        intraday=intraday,
        layout=(
            mapping.read(mapping_file)
            if mapping_file is not None
            else prices.layout(format_name)
            if format_name is not None
            else None
        ),
    )
    found = prices.find(files, wanted)
    if dry_run:
        for file in found:
            _show_preview(file)
        return
    _load(found, extend=extend, switch=switch)


def _load(found: Sequence[PriceFile], *, extend: bool, switch: bool) -> None:
    """Load files one after the other, and say what became of their lines and what comes next."""
    for file in found:
        prices.source_of(file)
    prices.refuse_without_lines(found)
    done: list[prices.Loaded] = []
    with psycopg.connect(app_conninfo(), application_name="ta-lab2 ingest") as conn:
        # Of its own, so that each load is one too.
        with conn.transaction():
            for file in found:
                prices.refuse_other_days(conn, file)
        try:
            for number, file in enumerate(found, start=1):
                console.say(f"{number} of {len(found)}: {file.path}")
                done.append(prices.load(conn, file, extend=extend, switch=switch))
        finally:
            if done:
                console.out.print(_table(done))
        for loaded in done:
            _show_rejects(conn, loaded)
            _show_other_source(conn, loaded)
    if any(file.resolution for file in found):
        console.say("their bars of an hour and of a day: ta-lab2 refresh --intraday")
    elif any(each.counts.loaded or each.counts.revised for each in done):
        console.say("features, regimes and signals of them: ta-lab2 refresh")
    which = str(done[0].load) if len(done) == 1 else "LOAD"
    console.say(f"to take it back: ta-lab2 ingest --undo {which}")
    if len(done) > 1:
        console.say("which LOAD: select load, file from loads order by started_at")


def _word(option: str, said: str | None, *, lower: bool = False) -> str | None:
    """Return a name that was given, without space around it; refuse one that is none."""
    if said is None:
        return None
    word = said.strip()
    if not word or not word.isprintable() or len(word) > 100:
        raise Refused(
            f"{option} has to be a name",
            "A name has 1 to 100 letters, all of which can be shown.",
        )
    return word.lower() if lower else word


def _show_preview(file: PriceFile) -> None:
    """Print a file's layout, which of its columns go where, its range and its first lines."""
    seen = prices.preview(file)
    columns = ", ".join(
        f"{file.format.header[place] or 'column ' + str(place + 1)} as {column}"
        for place, column in file.format.staged
    )
    asset = " ".join(filter(None, (str(file.asset_id), file.slug, file.symbol, file.session)))
    source = file.source or "not known: name it with --source"
    days = f"from {seen.first_day} to {seen.last_day}" if seen.first_day else "without a date"
    for line in (
        str(file.path),
        f"  asset    {asset}",
        f"  format   {file.format.name}: {file.format.title}",
        *([f"  candles  {file.resolution} long"] if file.resolution else []),
        f"  source   {source}",
        f"  columns  {columns}",
        f"  lines    {seen.lines:,} {days}, {seen.faulty:,} that cannot be split",
        *(
            [f"  times    {file.within:%X} and such: the days of an exchange, not of crypto"]
            if file.within
            else []
        ),
        *(f"  {text}" for text in seen.start),
    ):
        console.out.print(line, markup=False)


def _undo(load: UUID) -> None:
    """Take a load back and say what that did."""
    with psycopg.connect(app_conninfo(), application_name="ta-lab2 ingest") as conn:
        undone = queries.undo(conn, load)
    console.say(
        f"load {load} is taken back: {counted(undone.removed, 'candle')} removed,"
        f" {undone.restored:,} as they were before"
    )


def _table(done: Sequence[prices.Loaded]) -> Table:
    """Return what became of each file's lines, and of all of them."""
    table = Table(box=box.SIMPLE_HEAD, show_footer=len(done) > 1, padding=0)
    table.add_column("id", footer="all", justify="right", no_wrap=True)
    # The ones that give way on a narrow terminal.
    table.add_column("symbol", overflow="fold")
    table.add_column("name", overflow="fold")
    names = ("loaded", "unchanged", "revised", "rejected", "forming", "other_source")
    columns = {name: [getattr(each.counts, name) for each in done] for name in names}
    for name, numbers in columns.items():
        table.add_column(
            name.replace("_", "\n"), footer=f"{sum(numbers):,}", justify="right", no_wrap=True
        )
    for at, each in enumerate(done):
        table.add_row(
            str(each.file.asset_id),
            each.symbol,
            each.slug,
            *(f"{columns[name][at]:,}" for name in names),
        )
    return table


def _show_rejects(conn: psycopg.Connection, loaded: prices.Loaded) -> None:
    """Print the first lines of a file that were rejected, and where all of them are."""
    if not loaded.counts.rejected:
        return
    for reject in queries.rejects(conn, loaded.file.path, limit=_SHOWN_REJECTS):
        console.say(f"{loaded.file.path}:{reject.line}: {reject.reason}")
    if loaded.counts.rejected > _SHOWN_REJECTS:
        console.say("the others: select * from price_rejects")


def _show_other_source(conn: psycopg.Connection, loaded: prices.Loaded) -> None:
    """Print how lines of another source compare with what is stored, and what can be done."""
    counts = loaded.counts
    if not counts.other_source:
        return
    own = queries.source(conn, loaded.file.asset_id, loaded.file.resolution)
    console.say(
        f"{loaded.file.path}: {loaded.symbol} comes from {own}, this is {loaded.source}:"
        f" {counted(counts.other_source, 'line')} left out, of them"
        f" {counts.other_differing:,} with other prices,"
        f" {counts.other_new:,} of sessions without a candle"
    )
    console.say("--extend stores the latter, --switch makes this the source")
