"""Settings of a session, a role or the environment: other ones show and store the same."""

from __future__ import annotations

import psycopg
import pytest

from ta_lab2 import cli
from ta_lab2.settings import settings
from tests.support import contract, prices
from tests.support.contract import DAILY

#: Each changes how PostgreSQL writes a value, and none what it is.
OPTIONS = (
    "datestyle=German,DMY",
    "timezone=Asia/Tokyo",
    "intervalstyle=sql_standard",
    "bytea_output=escape",
    "extra_float_digits=0",
    "quote_all_identifiers=on",
    "array_nulls=off",
    "transform_null_equals=on",
    "search_path=public",
)
ENVIRONMENT = {
    "PGTZ": "Asia/Tokyo",
    "PGDATESTYLE": "German",
    "PGCLIENTENCODING": "LATIN1",
    "PGOPTIONS": " ".join(f"-c {option}" for option in OPTIONS),
}


@pytest.fixture(autouse=True)
def database(own_db, monkeypatch):
    """Let the settings mean this test's database, which has an asset, and no timeframes."""
    monkeypatch.setenv("TA_LAB2_DATABASE_URL", own_db)
    monkeypatch.setenv("COLUMNS", "80")
    settings.cache_clear()
    with psycopg.connect(own_db) as conn:
        contract.only(conn, ())
        prices.put(conn, 1, {n: 1.0 + n % 13 for n in range(300)})
        # Latin 1 has no letter for it.
        conn.execute("update bars.dim_assets set symbol = 'Éth₿' where id = 1")
    yield own_db
    settings.cache_clear()


def run(capsys, *words):
    capsys.readouterr()
    status = cli.run([str(word) for word in words])
    said = capsys.readouterr()
    assert status == 0, said.err
    return said.out


def stored(conninfo) -> list:
    """All that the daily computations stored."""
    with psycopg.connect(conninfo, options="-c timezone=UTC -c datestyle=ISO") as conn:
        return [
            conn.execute(f"select r::text from {each.table} as r order by 1").fetchall()
            for each in DAILY
        ]


def test_commands_show_days_in_utc_whatever_the_environment_says(capsys, monkeypatch):
    commands = (["assets", "show", "1"], ["assets", "list"], ["findings", "--each"], ["runs"])
    run(capsys, "refresh")
    plain = [run(capsys, *command) for command in commands]
    assert "2020-12-08" in plain[0]
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert [run(capsys, *command) for command in commands] == plain


def test_a_refresh_stores_the_same_bits_under_any_settings(capsys, database):
    run(capsys, "refresh")
    plain = stored(database)
    assert all(plain)
    with psycopg.connect(database) as conn:
        for each in DAILY:
            conn.execute(f"delete from {each.table}")
        conn.execute("delete from features.feature_state")
    options = " ".join(f"-c {option}" for option in OPTIONS)
    with psycopg.connect(database, autocommit=True, options=options) as conn:
        conn.execute("call public.refresh_features()")
    assert stored(database) == plain


def test_the_machinery_of_a_backtest_is_the_same_under_any_settings(database):
    options = " ".join(f"-c {option}" for option in OPTIONS)
    with psycopg.connect(database) as plain, psycopg.connect(database, options=options) as other:
        statement = "select m.machinery, encode(m.digest, 'hex') from backtest.machinery() as m"
        assert other.execute(statement).fetchone() == plain.execute(statement).fetchone()


def test_a_file_is_loaded_the_same_under_any_settings(capsys, database, monkeypatch, tmp_path):
    lines = (
        "2020-01-02,€,1,3,0.05,0.1,10",
        "2020-01-03T00:00:00Z,€,1,3,0.5,2,10",
        "01/04/2020,€,1,1,1,1,1",
    )
    file = prices.daily(tmp_path / "ü€", *lines, name="2_euro.csv")
    with monkeypatch.context() as shell:
        for name, value in ENVIRONMENT.items():
            shell.setenv(name, value)
        out = run(capsys, "ingest", file)
    assert "euro" in out
    with psycopg.connect(database) as conn:
        found = conn.execute(
            """
            select p.ts::text, p.close::text
            from bars.cmc_price_histories7 as p
            where p.id = 2
            order by p.ts
            """
        ).fetchall()
        why = conn.execute("select r.line, r.reason from bars.price_rejects as r").fetchall()
    assert found == [("2020-01-02 23:59:59.999+00", "0.1"), ("2020-01-03 23:59:59.999+00", "2")]
    assert why == [(4, "date unparsable")]
