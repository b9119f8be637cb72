"""docs/ingest.md: every example on it loads, and it knows every format and option."""

from __future__ import annotations

import gzip
import re
import zipfile
from pathlib import Path

import psycopg
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest
from typer.main import get_command

from ta_lab2 import cli
from ta_lab2.bars.formats import LAYOUTS
from ta_lab2.bars.formats import mapping as mapping_file

PAGE = (Path(__file__).parents[3] / "docs" / "ingest.md").read_text()
EXAMPLES = dict(re.findall(r"^### `([\w-]+)`\n[^#]*?```\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
SOURCES = {
    "cmc-export": ("coinmarketcap", 10, 99),
    "cmc-daily": ("coinmarketcap", 10, None),
    "cmc-marketcap": ("coinmarketcap", 10, 99),
    "ohlc-mit": ("ohlc_mit", None, None),
    "equity": ("equity", 10, None),
    "binance": ("binance", 10, None),
    "cryptodatadownload": ("cryptodatadownload", 10, None),
    "kraken": ("kraken", 10, None),
    "yahoo": ("yahoo", 20, None),
    "plain": ("bitstamp", 10, None),
}


@pytest.fixture
def database(own_db, means):
    means(own_db)
    return own_db


def ingest(*words):
    assert cli.run(["ingest", *map(str, words)]) == 0


def candle(conn, asset):
    return conn.execute(
        """
        select t.source, p.ts::date::text, p.open, p.high, p.low, p.close, p.volume, p.market_cap
        from bars.cmc_price_histories7 as p
        join bars.price_state as t using (id)
        where p.id = %s
        """,
        (asset,),
    ).fetchall()


def test_every_example_of_the_page_loads_plain_packed_and_as_parquet(database, tmp_path):
    with psycopg.connect(database) as conn:
        (insert,) = re.findall(r"```sql\n(insert into dim_sources.*?)```", PAGE, re.DOTALL)
        conn.execute(insert)
    ((german, kurse),) = re.findall(r"```toml\n(.*?)```\n```\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mapping.toml").write_text(german)
    (tmp_path / "99_mapped.csv").write_text(kurse)
    folder = tmp_path / "prices"
    (folder / "packed").mkdir(parents=True)
    for number, layout in enumerate(LAYOUTS, start=1):
        if layout.name != "plain":
            (folder / f"{number}_{layout.name}.csv").write_text(EXAMPLES[layout.name])
    with gzip.open(folder / "packed" / "21_packed.csv.gz", "wt") as packed:
        packed.write(EXAMPLES["binance"])
    with zipfile.ZipFile(folder / "packed" / "kraken.zip", "w") as archive:
        for asset in (31, 32):
            archive.writestr(f"{asset}_pair-{asset}.csv", EXAMPLES["kraken"])
    csv = pyarrow.BufferReader(EXAMPLES["yahoo"].encode())
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(csv), folder / "41_columns.parquet")
    (tmp_path / "BTC.csv").write_text(EXAMPLES["plain"])

    ingest(folder)
    plain = len(LAYOUTS)
    ingest(tmp_path / "BTC.csv", "--asset-id", plain, "--symbol", "PLN", "--source", "bitstamp")
    ingest("--mapping", tmp_path / "mapping.toml", tmp_path / "99_mapped.csv")

    with psycopg.connect(database) as conn:
        for number, layout in enumerate(LAYOUTS, start=1):
            source, volume, cap = SOURCES[layout.name]
            day = "2020-01-02" if layout.name == "equity" else "2020-01-01"
            assert candle(conn, number) == [(source, day, 1, 3, 0.5, 2, volume, cap)], layout.name
        for asset, name in ((21, "binance"), (31, "kraken"), (32, "kraken"), (99, "kraken")):
            assert candle(conn, asset) == [(name, "2020-01-01", 1, 3, 0.5, 2, 10, None)]
        assert candle(conn, 41) == [("yahoo", "2020-01-01", 1, 3, 0.5, 2, 20, None)]
        files = conn.execute("select l.file from bars.loads as l where l.id = 32").fetchall()
        assert files == [(str(folder / "packed" / "kraken.zip" / "32_pair-32.csv"),)]


def test_every_format_is_on_the_page_under_its_name():
    assert list(EXAMPLES) == [layout.name for layout in LAYOUTS]
    assert set(SOURCES) == set(EXAMPLES)


def test_every_option_and_every_column_of_a_mapping_is_on_the_page():
    command = get_command(cli.app).commands["ingest"]
    options = {name for each in command.params for name in each.opts if name.startswith("--")}
    assert {name for name in options if name not in PAGE} == set()
    assert {name for name in mapping_file.OURS if f"`{name}`" not in PAGE} == set()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_dry_run_shows_every_format(layout, tmp_path, capsys):
    path = tmp_path / "1_bitcoin.csv"
    path.write_text(EXAMPLES[layout.name])
    ingest("--dry-run", path)
    said = capsys.readouterr().out
    assert f"{layout.name}: {layout.title}" in said
    assert "lines    1 from 2020-01-0" in said
    assert EXAMPLES[layout.name].splitlines()[-1] in said
