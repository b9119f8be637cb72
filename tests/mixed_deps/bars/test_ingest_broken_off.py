"""What ``ta-lab2 ingest`` says and leaves when the database goes away or is full on its way."""

from __future__ import annotations

import gzip

import psycopg
import pytest

from ta_lab2 import cli
from ta_lab2.bars import queries
from tests.support import prices

DAYS = [f"{prices.day(number)},BTC,1,3,0.5,2,10" for number in range(300)]


@pytest.fixture
def database(own_db, means):
    means(own_db)
    return own_db


@pytest.fixture
def files(tmp_path):
    first = prices.daily(tmp_path, *DAYS, name="1_bitcoin.csv")
    second = prices.daily(tmp_path, *DAYS, name="2_litecoin.csv")
    return [str(first), str(second)]


def counted(conn):
    return conn.execute(
        """
        select
            (select count(*) from bars.price_staging),
            (select count(*) from bars.loads),
            (select array_agg(distinct p.id) from bars.cmc_price_histories7 as p),
            (select count(*) from bars.dim_assets)
        """
    ).fetchone()


def check(conn, files, capsys, said):
    """The second file broke off and the first is in: the same command will go on from there."""
    told = " ".join(capsys.readouterr().err.split())
    assert said in told
    assert f"{files[1]}" in told
    assert "the same command goes on from here" in told
    assert "Traceback" not in told
    assert counted(conn) == (0, 1, [1], 1)


def go_on(conn, files, capsys):
    assert cli.run(["ingest", *files]) == 0
    out = capsys.readouterr().out
    assert ["1", "BTC", "bitcoin", "0", "300", "0", "0", "0", "0"] in map(
        str.split, out.splitlines()
    )
    assert ["2", "BTC", "litecoin", "300", "0", "0", "0", "0", "0"] in map(
        str.split, out.splitlines()
    )


@pytest.mark.parametrize("place", ["stage", "load_staged"])
def test_a_database_that_goes_away_leaves_no_half_of_a_file(
    database, autocommit, files, capsys, monkeypatch, place
):
    killer = autocommit(database)

    def kill(conn):
        killer.execute("select pg_terminate_backend(%s, 5000)", (conn.info.backend_pid,))

    def stage(conn, load, columns, lines, **words):
        def interrupted():
            for number, line in enumerate(lines):
                if number == 1:
                    kill(conn)
                yield line

        staged(conn, load, columns, interrupted() if ids(killer) else lines, **words)

    def load_staged(conn, load, **words):
        if words["asset_id"] == 2:
            kill(conn)
        return loaded(conn, load, **words)

    staged, loaded = queries.stage, queries.load_staged
    with monkeypatch.context() as patch:
        patch.setattr(queries, place, {"stage": stage, "load_staged": load_staged}[place])
        assert cli.run(["ingest", *files]) == 2
    check(killer, files, capsys, "the database went away while")
    go_on(killer, files, capsys)


def ids(conn):
    return conn.execute("select a.id from bars.dim_assets as a").fetchall()


@pytest.mark.parametrize("table", ["price_staging", "cmc_price_histories7"])
def test_a_database_whose_disk_is_full_leaves_no_half_of_a_file(
    database, autocommit, files, capsys, table
):
    conn = autocommit(database)
    assert cli.run(["ingest", files[0]]) == 0
    capsys.readouterr()
    conn.execute(
        """
        create function public.full_disk() returns trigger language plpgsql as $$
        begin
            raise exception 'could not extend file "base/1/2": No space left on device'
                using errcode = '53100';
        end $$
        """
    )
    conn.execute(
        f"create trigger full_disk after insert on bars.{table}"
        " for each statement execute function public.full_disk()"
    )
    assert cli.run(["ingest", files[1]]) == 2
    check(conn, files, capsys, "the database has no room for")
    conn.execute(f"drop trigger full_disk on bars.{table}")
    conn.execute("drop function public.full_disk()")
    go_on(conn, files, capsys)


def test_a_file_that_is_cut_off_under_the_load_leaves_no_half_of_it(
    database, autocommit, tmp_path, capsys, monkeypatch
):
    path = tmp_path / "1_bitcoin.csv.gz"
    path.write_bytes(gzip.compress(prices.daily(tmp_path, *DAYS).read_bytes()))
    connect = psycopg.connect

    def shorten(*args, **words):
        path.write_bytes(path.read_bytes()[:-20])
        return connect(*args, **words)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg, "connect", shorten)
        assert cli.run(["ingest", str(path)]) == 2
    assert "1_bitcoin.csv.gz is broken or cut off" in " ".join(capsys.readouterr().err.split())
    assert counted(autocommit(database)) == (0, 0, None, 0)
