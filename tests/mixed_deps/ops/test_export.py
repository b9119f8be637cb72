"""``ta-lab2 export``: what is in the file is what is in the database."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet
import pytest

from ta_lab2 import cli
from ta_lab2.counted import counted
from ta_lab2.ops import export as exports
from tests.support import contract, servers

AWKWARD = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 123456789.12345679, 1e22, 2.5e-7]


def fill(conn) -> None:
    """Three assets with prices, refreshed."""
    contract.only(conn, ["1D", "3D"])
    for asset, first in ((1, 100.0), (2, 1 / 3), (3, 1e-7)):
        contract.put(conn, asset, {n: first * (1 + n / 7) for n in range(40)}, 0)
    contract.refresh(conn)


@pytest.fixture(scope="module")
def original(server_url, template):
    """A database with them that each test has a copy of."""
    with servers.filled(server_url, template, fill) as name:
        yield name


@pytest.fixture
def conn(own_db, autocommit, means):
    """Let the settings mean the copy."""
    means(own_db, columns=200)
    return autocommit(own_db)


def run(capsys, *words):
    """Return the exit status, and what was said on standard output and standard error."""
    capsys.readouterr()
    status = cli.run(["export", *map(str, words)])
    said = capsys.readouterr()
    return status, said.out, said.err


def table(conn, view, more="order by id, ts"):
    cursor = conn.execute(f"select * from published.{view} {more}")
    return [column.name for column in cursor.description], cursor.fetchall()


def test_without_a_view_they_are_listed(conn, capsys):
    status, out, _ = run(capsys)
    assert status == 0
    assert out.split() == exports.views(conn)
    assert "cmc_returns_daily" in out


def test_parquet_has_the_very_same_values(conn, capsys, tmp_path):
    path = tmp_path / "returns.parquet"
    status, _, err = run(capsys, "cmc_returns_daily", "-o", path)
    assert status == 0
    assert "120 rows of cmc_returns_daily in " in err
    names, rows = table(conn, "cmc_returns_daily")
    read = pyarrow.parquet.read_table(path)
    assert read.column_names == names
    assert [tuple(row.values()) for row in read.to_pylist()] == rows


def test_csv_has_the_very_same_values(conn, capsys, tmp_path):
    path = tmp_path / "returns.csv"
    assert run(capsys, "published.cmc_returns_daily", "-o", path)[0] == 0
    names, rows = table(conn, "cmc_returns_daily")
    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == names
    for line, row in zip(lines, rows, strict=True):
        for cell, value in zip(line, row, strict=True):
            match value:
                case None:
                    assert cell == ""
                case bool():
                    assert cell == "ft"[value]
                case datetime():
                    assert cell.endswith("+00")
                    assert datetime.fromisoformat(cell) == value
                case _:
                    assert type(value)(cell) == value


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_float_comes_back_with_the_same_bits(conn, capsys, tmp_path, suffix):
    values = ", ".join(map(repr, AWKWARD))
    conn.execute(
        f"create view published.awkward as select x from unnest('{{{values}}}'::float8[]) as x"
    )
    path = tmp_path / f"awkward.{suffix}"
    assert run(capsys, "awkward", "-o", path)[0] == 0
    if suffix == "csv":
        read = [float(line) for line in path.read_text().split()[1:]]
    else:
        read = pyarrow.parquet.read_table(path).column("x").to_pylist()
    assert [x.hex() for x in read] == [x.hex() for x in AWKWARD]


def test_every_view_goes_into_both_formats(conn, capsys, tmp_path):
    for view in exports.views(conn):
        (count,) = conn.execute(f"select count(*) from published.{view}").fetchone()
        for suffix in ("csv", "parquet"):
            status, _, err = run(capsys, view, "-o", tmp_path / f"{view}.{suffix}")
            assert (status, counted(count, "row") in err) == (0, True), (view, err)
        read = pyarrow.parquet.read_table(tmp_path / f"{view}.parquet")
        assert read.num_rows == count


def test_what_arrow_has_no_type_for_is_text(conn, capsys, tmp_path):
    path = tmp_path / "sessions.parquet"
    run(capsys, "dim_sessions", "-o", path, "--columns", "session_id,market_open")
    assert pyarrow.parquet.read_table(path).to_pylist() == [
        {"session_id": "CRYPTO", "market_open": "00:00:00"},
        {"session_id": "EQUITY", "market_open": "09:30:00"},
    ]
    path = tmp_path / "versions.parquet"
    run(capsys, "row_versions", "-o", path)
    key = pyarrow.parquet.read_table(path).column("key")[0].as_py()
    assert json.loads(key)


def test_an_array_stays_one(conn, capsys, tmp_path):
    path = tmp_path / "emas.parquet"
    run(capsys, "cmc_ema_multi_tf", "-o", path, "--asset", "1")
    _, rows = table(conn, "cmc_ema_multi_tf", "where id = 1 order by id, tf_id, time_close")
    assert [tuple(row.values()) for row in pyarrow.parquet.read_table(path).to_pylist()] == rows


def test_assets_times_and_columns_can_be_chosen(conn, capsys, tmp_path):
    path = tmp_path / "prices.csv"
    (first,) = conn.execute("select min(ts)::date from cmc_price_histories7").fetchone()
    (symbol,) = conn.execute("select symbol from dim_assets where id = 2").fetchone()
    (slug,) = conn.execute("select slug from dim_assets where id = 3").fetchone()
    words = ["--asset", symbol.lower(), "--asset", slug, "--columns", "close,id"]
    ends = ["--from", f"{first}T23:59:59.999", "--to", str(first.replace(day=first.day + 2))]
    assert run(capsys, "cmc_price_histories7", "-o", path, *words, *ends)[0] == 0
    expected = conn.execute(
        "select close, id from cmc_price_histories7 where id in (2, 3) and ts < %s::date + 3"
        " order by id, ts",
        (first,),
    ).fetchall()
    header, *lines = path.read_text().splitlines()
    assert header == "close,id"
    assert len(expected) == 6
    assert lines == [f"{close!r}".removesuffix(".0") + f",{asset}" for close, asset in expected]


def test_a_moment_at_the_end_counts_and_one_after_it_does_not(conn, capsys, tmp_path):
    for moment, rows in (("23:59:59.999", 1), ("23:59:59.998", 0)):
        (first,) = conn.execute("select min(ts)::date from cmc_price_histories7").fetchone()
        words = ["--asset", "1", "--to", f"{first}T{moment}+00:00", "--force"]
        _, _, err = run(capsys, "cmc_price_histories7", "-o", tmp_path / "p.csv", *words)
        assert counted(rows, "row") in err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["no_such_view", "-o", "x.csv"], "there is no view no_such_view"),
        (["dim_assets; drop table x", "-o", "x.csv"], "there is no view dim_assets; drop"),
        (["dim_assets"], "no file is named"),
        (["dim_assets", "-o", "x.xlsx"], "neither .csv nor .parquet"),
        (["dim_assets", "-o", "x.csv", "--columns", "id,price"], "no column 'price'"),
        (["dim_assets", "-o", "x.csv", "--columns", "id,id"], "asked for twice"),
        (["dim_assets", "-o", "x.csv", "--asset", "XYZ"], "there is no asset XYZ"),
        (["dim_sources", "-o", "x.csv", "--asset", "1"], "dim_sources is not of assets"),
        (["dim_sources", "-o", "x.csv", "--to", "2024-01-01"], "dim_sources has no times"),
        (["loads", "-o", "x.csv", "--from", "yesterday"], "neither a day nor a moment"),
        (["loads", "-o", "x.csv", "--from", "2024-02-30"], "neither a day nor a moment"),
        (
            ["loads", "-o", "x.csv", "--from", "2024-02-01", "--to", "2024-01-31"],
            "--from 2024-02-01 comes after --to 2024-01-31",
        ),
        (["loads", "-o", "no/such/folder.csv"], "there is no folder"),
    ],
    ids=str,
)
def test_a_mistake_is_one_clear_error_and_leaves_no_file(
    conn, capsys, tmp_path, monkeypatch, words, why
):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *words)
    assert (status, why in err) == (2, True), err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_view_is_answered_with_those_that_there_are(conn, capsys, tmp_path):
    assert "cmc_price_histories7, " in run(capsys, "prices", "-o", tmp_path / "x.csv")[2]


def test_a_symbol_of_two_assets_is_answered_with_their_ids(conn, capsys, tmp_path):
    conn.execute("update dim_assets set symbol = 'TWIN' where id in (1, 2)")
    status, _, err = run(capsys, "dim_assets", "-o", tmp_path / "x.csv", "--asset", "twin")
    assert (status, "Give the id: 1 (" in err) == (2, True)


def test_a_file_that_exists_stays_unless_forced(conn, capsys, tmp_path):
    path = tmp_path / "assets.csv"
    path.write_text("mine")
    status, _, err = run(capsys, "dim_assets", "-o", path)
    assert (status, path.read_text()) == (2, "mine")
    assert "--force writes over it" in err
    assert run(capsys, "dim_assets", "-o", path, "--force")[0] == 0
    assert path.read_text().startswith("id,symbol")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_broken_off_export_leaves_the_old_file_and_nothing_else(conn, capsys, tmp_path, suffix):
    conn.execute(
        "create view published.breaks as"
        " select 1 / (50000 - n) as x from generate_series(1, 60000) as n"
    )
    path = tmp_path / f"x.{suffix}"
    path.write_text("mine")
    status, _, err = run(capsys, "breaks", "-o", path, "--force")
    assert (status, path.read_text()) == (1, "mine")
    assert "division by zero" in err
    assert list(tmp_path.iterdir()) == [path]


def test_a_moment_that_parquet_cannot_hold_is_refused_and_csv_holds_it(conn, capsys, tmp_path):
    conn.execute("create view published.ends as select timestamptz 'infinity' as at")
    status, _, err = run(capsys, "ends", "-o", tmp_path / "x.parquet")
    assert (status, "CSV holds it" in err) == (2, True)
    assert run(capsys, "ends", "-o", tmp_path / "x.csv")[0] == 0
    assert (tmp_path / "x.csv").read_text() == "at\ninfinity\n"


def test_the_settings_of_the_session_do_not_show(conn, own_db, tmp_path, autocommit):
    odd = autocommit(own_db)
    odd.execute("set timezone = 'Asia/Kolkata'")
    odd.execute("set datestyle = 'German'")
    odd.execute("set extra_float_digits = 0")
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    exports.write(conn, "cmc_returns_daily", one, exports.Wanted())
    exports.write(odd, "cmc_returns_daily", other, exports.Wanted())
    assert one.read_bytes() == other.read_bytes()
    assert odd.execute("show datestyle").fetchone()[0].startswith("German")


def test_the_reader_may_export(conn, tmp_path):
    conn.execute("set role ta_lab2_reader")
    assert exports.write(conn, "cmc_price_histories7", tmp_path / "x.csv", exports.Wanted()) == 120


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_million_rows_need_no_more_memory_than_a_few(conn, own_db, tmp_path, suffix):
    conn.execute(
        """
        create view published.many as
        select n::integer as id, timestamptz '2000-01-01' + n * interval '1 minute' as ts,
            sin(n) as a, cos(n) as b, ln(n) as c, md5(n::text) as d
        from generate_series(1, 1000000) as n
        """
    )
    code = (
        "import resource, sys; from ta_lab2 import cli; assert cli.run(sys.argv[1:]) == 0;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )

    def peak(rows: int) -> int:
        words = ["export", "many", "-o", str(tmp_path / f"{rows}.{suffix}")]
        # Moments from 2000 on, one a minute: the first rows of the view.
        end = datetime.fromtimestamp(946684800 + rows * 60, tz=UTC).isoformat()
        done = subprocess.run(
            [sys.executable, "-c", code, *words, "--to", end],
            env={"TA_LAB2_DATABASE_URL": own_db, "PATH": "/usr/bin:/bin"},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"{rows:,} rows of many" in done.stderr
        return int(done.stdout)

    few, million = peak(exports.ROWS_AT_ONCE * 2), peak(1_000_000)
    assert million < few + 40_000, "in kilobytes"
    if suffix == "parquet":
        assert pyarrow.parquet.read_metadata(tmp_path / "1000000.parquet").num_rows == 1_000_000
