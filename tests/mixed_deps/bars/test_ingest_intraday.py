"""``ta-lab2 ingest --intraday`` as it is typed."""

from __future__ import annotations

import psycopg
import pytest

from ta_lab2 import cli
from tests.support import prices

#: CryptoDataDownload's hours: a remark, newest first, seconds as floats, a moment twice.
HOURS = (
    "https://www.CryptoDataDownload.com",
    "Unix Timestamp,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD",
    "1498914000.0,2017-07-01 01-PM,BTCUSD,2498.96,2512.87,2484.99,2509.17,129.32,323552.92",
    "1498910400.0,2017-07-01 12-PM,BTCUSD,2509.17,2512.87,2484.99,2488.43,280.27,699951.79",
    "1498910400.0,2017-07-01 12-PM,BTCUSD,2509.17,2512.87,2484.99,2488.43,280.27,699951.79",
    "1498906800.0,2017-07-01 11-AM,BTCUSD,2505.56,2513.38,2495.12,2509.17,114.60,287000.32",
)


@pytest.fixture(autouse=True)
def database(own_db, means):
    """Let the settings mean this test's database."""
    means(own_db)
    return own_db


@pytest.fixture
def hours(tmp_path):
    return prices.write(tmp_path, "1_bitcoin.csv", HOURS, end="\r\n")


def run(capsys, *words):
    """Return the exit status, the standard output's lines as words, and the standard error."""
    capsys.readouterr()
    status = cli.run([str(word) for word in words])
    said = capsys.readouterr()
    return status, [line.split() for line in said.out.splitlines()], said.err


def test_hours_become_candles_and_bars(hours, database, capsys):
    status, out, err = run(capsys, "ingest", "--intraday", hours)
    assert status == 0, err
    assert ["1", "bitcoin", "bitcoin", "3", "1", "0", "0", "0", "0"] in out
    assert "ta-lab2 refresh --intraday" in err
    assert run(capsys, "refresh", "--intraday")[0] == 0
    with psycopg.connect(database) as conn:
        bars = conn.execute(
            """
            select to_char(b.ts, 'HH24:MI'), b.open, b.close, b.volume, b.missing_candles
            from bars.intraday_1h as b
            where b.resolution = '1 hour'
            order by b.ts
            """
        ).fetchall()
        source = conn.execute("select s.source from bars.intraday_state as s").fetchall()
    assert bars == [
        ("11:00", 2505.56, 2509.17, 114.60, 0),
        ("12:00", 2509.17, 2488.43, 280.27, 0),
        ("13:00", 2498.96, 2509.17, 129.32, 0),
    ]
    assert source == [("cryptodatadownload",)]
    assert ["1", "bitcoin", "bitcoin", "0", "4", "0", "0", "0", "0"] in run(
        capsys, "ingest", "--intraday", hours
    )[1]


def test_a_preview_says_how_long_the_candles_are(hours, capsys):
    status, out, _ = run(capsys, "ingest", "--intraday", "--dry-run", hours)
    assert status == 0
    assert ["candles", "1:00:00", "long"] in out


def test_without_the_option_they_are_refused(hours, capsys):
    status, _, err = run(capsys, "ingest", hours)
    assert status == 2
    assert "--intraday" in err


def test_another_source_is_compared_with_the_series_own(hours, capsys):
    run(capsys, "ingest", "--intraday", hours)
    _, out, err = run(capsys, "ingest", "--intraday", "--source", "kraken", hours)
    assert ["1", "bitcoin", "bitcoin", "0", "0", "0", "0", "0", "4"] in out
    assert "comes from cryptodatadownload" in err


def test_undo_goes_with_nothing_else(capsys):
    assert (
        run(capsys, "ingest", "--intraday", "--undo", "6f1c0d6e-9d4a-4b0e-8f3e-2b8a4c1d7e55")[0]
        == 2
    )
