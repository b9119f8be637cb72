"""``ta-lab2 demo`` as a newcomer runs it: whole, twice, killed, with files, with bad input."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ta_lab2 import cli
from ta_lab2.cli import demo
from ta_lab2.settings import settings
from tests.support import contract, servers

pytest.importorskip("matplotlib", reason="charts need the extra `charts`")

DIGEST = """
    select md5(string_agg(concat_ws(',', p.id, p.ts, p.open, p.high, p.low, p.close, p.volume,
        p.market_cap, r.ret_pct_1, r.ret_log_1), ';' order by p.id, p.ts))
    from bars.cmc_price_histories7 as p
    left join features.cmc_returns_daily as r on r.id = p.id and r.ts = p.ts
"""
ROWS = (
    "date,ticker,open,high,low,close,volume\n2024-01-01,TST,1,2,1,2,9\n2024-01-02,TST,2,3,1,1,9\n"
)


@pytest.fixture
def name(server_url):
    """The name of the synthetic market's database for this test, dropped at the end."""
    name = f"ta_lab2_test_demo_{uuid.uuid4().hex[:8]}"
    yield name
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )


@pytest.fixture
def small(server_url, template):
    """The name of a migrated database with few timeframes, whose refresh takes a quarter."""
    with servers.copy(server_url, "small", template=template) as conninfo:
        with psycopg.connect(conninfo) as conn:
            contract.only(conn, ["1D", "1W_CAL_ISO", "1M_CAL"])
        yield psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]


@pytest.fixture
def start(own_db, name, tmp_path):
    """Start the demo in a process of its own, on the test server, with pipes for its output."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TA_LAB2_", "PG"))}
    environment |= {"TA_LAB2_DATABASE_URL": own_db, "HOME": str(tmp_path)}
    code = (
        "import sys; from ta_lab2.cli import demo, main;"
        "demo.DATABASE = sys.argv[1]; main(['demo', *sys.argv[2:]])"
    )
    started = []

    def run(*arguments, chart="out/chart.png", database=name):
        started.append(
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    code,
                    database,
                    *arguments,
                    "--chart",
                    str(tmp_path / chart),
                ],
                env=environment,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(own_db, name, tmp_path, monkeypatch, capsys):
    """Run the demo in this process, where its being one is not the point."""
    monkeypatch.setenv("TA_LAB2_DATABASE_URL", own_db)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()

    def run(*arguments, chart="out/chart.png", database=name, status=0):
        monkeypatch.setattr(demo, "DATABASE", database)
        capsys.readouterr()
        done = cli.run(["demo", *arguments, "--chart", str(tmp_path / chart)])
        out, err = capsys.readouterr()
        assert done == status, err
        return out, err

    yield run
    settings.cache_clear()


def finish(process, status=0):
    out, err = process.communicate(timeout=240)
    assert process.returncode == status, err
    return out, err


@pytest.fixture
def digest(server_url):
    """The digest of a database's prices and returns."""

    def of(database):
        with psycopg.connect(make_conninfo(server_url, dbname=database)) as conn:
            return conn.execute(DIGEST).fetchone()[0]

    return of


@pytest.fixture
def seeds(server_url):
    """The strategies of a database."""

    def of(database):
        with psycopg.connect(make_conninfo(server_url, dbname=database)) as conn:
            return [
                row[0] for row in conn.execute("select s.signal_name from signals.dim_signals as s")
            ]

    return of


@pytest.fixture
def coin(tmp_path):
    path = tmp_path / "prices" / "700_testcoin.csv"
    path.parent.mkdir()
    path.write_text(ROWS)
    return path


def exists(server_url, name):
    with psycopg.connect(server_url) as server:
        return (
            server.execute("select from pg_database where datname = %s", (name,)).fetchone()
            is not None
        )


def test_the_first_run_makes_everything_and_the_second_changes_nothing(
    start, name, digest, seeds, tmp_path
):
    chart, report = tmp_path / "out" / "chart.png", tmp_path / "out" / "report.html"
    out, err = finish(start())
    first = digest(name), chart.read_bytes(), report.read_bytes()
    assert "SYNTHETIC" in out
    assert b"SYNTHETIC" in first[2]
    # Prices, then regimes.
    assert [line.split()[0] for line in out.splitlines() if line.startswith(" SYN-")] == 2 * [
        "SYN-CALM", "SYN-WILD", "SYN-RISE", "SYN-GAPS", "SYN-GONE", "SYN-USD",
    ]  # fmt: skip
    assert out.splitlines()[-2:] == [f"chart: {chart}", f"report: {report}"]
    told, ranking = out.split("Strategies over 6 assets")
    assert "What the revised candle did to" in told
    assert "SYN-CALM 2023-09-14 close: 1783.4195 -> 1321.0515" in told
    strategies = re.findall(r"^ ?[0-9a-f]{8} +(\w+)", ranking, re.MULTILINE)
    assert sorted(strategies) == sorted(seeds(name))
    assert "6,075 loaded" in err
    assert "6,074 unchanged, 1 revised" in err
    assert "6 assets, 153120 rows" in err
    assert "6 assets, 3300 rows" in err
    assert f"db psql --database {name}" in err
    assert "\x1b" not in out + err

    out_again, err = finish(start())
    assert out_again == out
    assert "loaded, " not in err
    assert "revised" not in err.replace("one candle revised by its source", "")
    assert err.count("6 assets, 0 rows") == 2 * 3
    assert (digest(name), chart.read_bytes(), report.read_bytes()) == first


@pytest.fixture(scope="module")
def loaded_once(server_url, template):
    """The digest of a market that was loaded once, as it stands after the revision."""
    with (
        servers.copy(server_url, "once", template=template) as conninfo,
        psycopg.connect(conninfo, autocommit=True) as conn,
    ):
        conn.execute("select ops.load_synthetic_market()")
        conn.execute("call refresh_features()")
        return conn.execute(DIGEST).fetchone()[0]


def wait_for(process, step):
    """Read progress up to a step."""
    for line in process.stderr:
        if line.startswith(step):
            return
    pytest.fail(f"the demo never came to {step}")


@pytest.mark.parametrize(
    "steps", [["1/8"], ["2/8", "4/8", "8/8"], ["3/8", "6/8"]], ids=lambda steps: ", ".join(steps)
)
def test_a_run_that_is_killed_is_gone_on_with_by_the_same_command(
    start, name, small, digest, loaded_once, steps
):
    # The first step is the one that makes the database.
    database = name if "1/8" in steps else small
    for step in steps:
        process = start(database=database)
        wait_for(process, step)
        process.kill()
        process.communicate()
    out, _ = finish(start(database=database))
    assert "SYN-GONE" in out
    assert digest(database) == loaded_once
    assert "What the revised candle did to" in out


def test_ctrl_c_is_answered_in_one_sentence_and_the_projects_database_left_alone(
    start, small, own_db, digest, loaded_once
):
    process = start(database=small)
    wait_for(process, "2/8")
    process.send_signal(signal.SIGINT)
    _, err = finish(process, status=130)
    assert err.splitlines()[-1] == "error: interrupted; the same command goes on from here"
    finish(start(database=small))
    assert digest(small) == loaded_once
    with psycopg.connect(own_db) as conn:
        assert conn.execute("select count(*) from bars.cmc_price_histories7").fetchone() == (0,)
        assert conn.execute("select count(*) from bars.dim_assets").fetchone() == (0,)


def test_two_runs_at_once_both_succeed_and_end_in_one_market(start, name, digest, loaded_once):
    together = [start(chart="a.png"), start(chart="b.png")]
    outs = [finish(process)[0].splitlines()[:-2] for process in together]
    assert outs[0] == outs[1]
    assert digest(name) == loaded_once


def test_files_go_into_the_projects_database_and_the_synthetic_one_is_not_made(
    run, server_url, name, own_db, coin, tmp_path
):
    out, err = run(str(coin))
    assert "SYNTHETIC" not in out
    assert [line.split() for line in out.splitlines() if "2024-01-01" in line] == [
        ["TST", "2024-01-01", "2024-01-02", "2", "0", "1", "-50.0%", "-50.0%", "-50.0%"]
    ]
    assert out.splitlines()[-1] == f"report: {tmp_path / 'out' / 'prices-report.html'}"
    assert "What the revised candle" not in out
    assert "700_testcoin.csv: 2 loaded" in err
    assert (tmp_path / "out" / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert not exists(server_url, name)
    with psycopg.connect(own_db) as conn:
        assert conn.execute("select array_agg(a.symbol) from bars.dim_assets as a").fetchone() == (
            ["TST"],
        )


def test_files_are_loaded_twice_without_a_change(run, coin):
    out, _ = run(str(coin.parent))
    again, err = run(str(coin.parent / "*.csv"))
    assert again == out
    assert "700_testcoin.csv: 2 unchanged" in err
    assert "1 asset, 0 rows" in err


def test_a_table_of_files_shows_these_files_only(run, coin):
    run(str(coin))
    other = coin.with_name("701_other.csv")
    other.write_text(ROWS.replace("TST", "OTH"))
    out, _ = run(str(other))
    assert "OTH" in out
    assert "TST" not in out


def test_rejected_lines_are_counted_and_the_way_to_them_is_shown(run, coin):
    coin.write_text(ROWS + "2024-01-03,TST,1,0,1,2,9\n")
    _, err = run(str(coin))
    assert "2 loaded, 1 rejected" in err
    assert "select * from price_rejects" in err


@pytest.mark.parametrize(
    ("arguments", "chart", "sentence"),
    [
        (["no/such.csv"], "a.png", "no/such.csv"),
        ([], "a.svg", "not called .png"),
        ([], "prices/700_testcoin.csv/a.png", "can't be written"),
    ],
)
def test_bad_input_is_refused_before_anything_is_done(
    run, server_url, name, coin, arguments, chart, sentence
):
    out, err = run(*arguments, chart=chart, status=2)
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err
    assert "the database" not in err
    assert not exists(server_url, name)


def test_real_prices_never_go_into_the_synthetic_markets_database(run, own_db, coin):
    database = psycopg.conninfo.conninfo_to_dict(own_db)["dbname"]
    _, err = run(str(coin), database=database, status=2)
    assert "which is the synthetic market's" in err
