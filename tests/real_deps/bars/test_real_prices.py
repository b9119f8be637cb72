"""Real price files: TA_LAB2_DATA names their folder, else ``shared/data`` beside the checkout."""

from __future__ import annotations

import csv
import os
from datetime import date
from pathlib import Path
from uuid import uuid4

import numpy as np
import psycopg
import pytest
import talib

from ta_lab2.bars import ingest, queries
from ta_lab2.features import queries as features
from ta_lab2.timemodel import exchange
from ta_lab2.timemodel import queries as calendar

DATA = Path(os.environ.get("TA_LAB2_DATA") or Path(__file__).parents[4] / "shared" / "data")

pytestmark = pytest.mark.skipif(
    not (DATA / "cmc").is_dir(), reason=f"no price files in {DATA}; TA_LAB2_DATA names their folder"
)

ROWS = {
    1: 5882,
    2: 4497,
    52: 4764,
    74: 4631,
    1027: 4031,
    1831: 3315,
    1839: 3313,
    1975: 3255,
    2010: 3245,
    3890: 2157,
    3957: 2648,
    5426: 1958,
    5994: 2210,
    6535: 2137,
    7083: 2163,
    11419: 1820,
}
BITCOIN = {
    "2013-12-04": 1151.17,
    "2017-12-17": 19140.80,
    "2018-12-15": 3236.76,
    "2020-03-12": 4970.79,
    "2021-11-08": 67566.83,
    "2022-11-09": 15880.78,
    "2024-12-17": 106140.60,
    "2025-10-06": 124752.53,
}


def load(conn, folder):
    return [ingest.load(conn, file) for file in ingest.find([str(DATA / folder)])]


def total(loaded, name):
    return sum(getattr(each.counts, name) for each in loaded)


def returns_of(conn, day):
    return conn.execute(
        """
        select r.ret_log_1
        from features.cmc_returns_daily as r
        where r.id = 1975 and r.ts::date = %s
        """,
        (day,),
    ).fetchone()


def digests(conn):
    """All bits of the returns and the EMAs."""
    return conn.execute(
        """
        select
            (
                select md5(string_agg(record_send(r), '' order by r.id, r.ts))
                from features.cmc_returns_daily as r
            ),
            (
                select md5(string_agg(record_send(e), '' order by e.id, e.tf_id, e.time_close))
                from features.cmc_ema_multi_tf as e
            )
        """
    ).fetchone()


def atr_against_ta_lib(conn):
    """The largest relative difference, of every candle of every asset."""
    largest = 0.0
    for (asset,) in conn.execute("select a.id from bars.dim_assets as a").fetchall():
        found = conn.execute(
            """
            select p.high, p.low, p.close, v.atr_14
            from features.cmc_vol_daily as v
            join bars.cmc_price_histories7 as p using (id, ts)
            where v.id = %s
            order by v.ts
            """,
            (asset,),
        ).fetchall()
        high, low, close, atr = np.array(found, float).T
        expected = talib.ATR(high, low, close, 14)
        assert (
            np.isnan(expected).tolist()
            == np.isnan(atr).tolist()
            == [True] * 14 + [False] * (len(atr) - 14)
        )
        largest = max(largest, float(np.max(np.abs(atr / expected - 1)[14:])))
    return largest


def test_the_daily_files_the_exports_and_their_returns(own_db, autocommit):
    conn = autocommit(own_db)

    loaded = load(conn, "cmc")
    assert {each.file.asset_id: each.counts.loaded for each in loaded} == ROWS
    assert total(loaded, "rejected") == total(loaded, "forming") == 0
    for day, close in BITCOIN.items():
        stored = conn.execute(
            "select p.close from bars.cmc_price_histories7 as p where p.id = 1 and p.ts::date = %s",
            (day,),
        ).fetchone()
        assert stored[0] == pytest.approx(close, abs=0.005), day
    again = load(conn, "cmc")
    assert total(again, "unchanged") == sum(ROWS.values())
    assert total(again, "loaded") == total(again, "revised") == 0

    features.refresh(conn)
    largest = conn.execute(
        "select max(abs(r.ret_log_1)) from features.cmc_returns_daily as r where r.id = 1"
    ).fetchone()
    assert largest[0] == pytest.approx(0.675, abs=0.0005)
    assert atr_against_ta_lib(conn) < 1e-12
    # Chainlink lacks 2022-07-31: no return that day nor on the next.
    assert returns_of(conn, "2022-07-31") == (None,)
    assert returns_of(conn, "2022-08-01") == (None,)
    assert returns_of(conn, "2022-08-02") != (None,)
    nulls = conn.execute(
        "select count(*) from features.cmc_returns_daily as r where r.ret_pct_1 is null"
    ).fetchone()
    assert nulls == (len(ROWS) + 2,)
    lines: list[str] = []
    features.refresh(conn, on_notice=lines.append)
    assert " 16 assets, 0 rows," in lines[-1]

    # The exports agree with the daily files: they add market caps and change no price.
    exports = load(conn, "cmc_export")
    assert {each.counts.rejected + each.counts.forming for each in exports} == {0}
    shared = [each for each in exports if each.file.asset_id in ROWS]
    assert {each.counts.revised for each in shared} == {399}
    assert len(shared) == 9
    derived = digests(conn)
    features.refresh(conn, [each.file.asset_id for each in shared], on_notice=lines.append)
    # Bars and the store have a market cap now; what is made of closes stands as it stood.
    assert " 9 assets, 42843 rows," in lines[-1]
    assert digests(conn) == derived
    assert total(load(conn, "cmc"), "revised") == 0


def test_the_long_export_differs_in_the_two_known_days(own_db):
    with psycopg.connect(own_db) as conn:
        assert [each.counts.loaded for each in load(conn, "cmc_export_full")] == [5754]
        (bitcoin,) = [
            ingest.load(conn, file)
            for file in ingest.find([str(DATA / "cmc")])
            if file.asset_id == 1
        ]
        assert (bitcoin.counts.loaded, bitcoin.counts.revised) == (129, 2)
        caps = conn.execute(
            """
            select count(p.market_cap), count(*)
            from bars.cmc_price_histories7 as p
            """
        ).fetchone()
        assert caps == (5754, 5883)


@pytest.mark.skipif(not (DATA / "equity").is_dir(), reason=f"no equity prices in {DATA}")
def test_every_day_of_the_equity_s_file_is_a_session_of_its_exchange(own_db, autocommit):
    conn, number = autocommit(own_db), uuid4()
    calendar.load_calendar(conn, "EQUITY", exchange.schedule("XNYS", date.today()))
    columns = ["day", "open", "high", "low", "close", "volume"]
    with (DATA / "equity" / "spy_1d.csv").open(newline="") as file:
        lines = [
            (line, ",".join(cells), None, cells[1:])
            for line, cells in enumerate(csv.reader(file), start=1)
        ][1:]
    with conn.transaction():
        queries.stage(conn, number, columns, lines)
        counts = queries.load_staged(
            conn,
            number,
            file=DATA / "equity" / "spy_1d.csv",
            asset_id=900_001,
            slug="spy",
            columns=columns,
            source="coinmarketcap",
            sha256="0" * 64,
            extend=False,
            switch=False,
            session="EQUITY",
        )
    assert counts == queries.Counts(5241, 0, 0, 0, 0)
    features.refresh(conn)
    gaps = conn.execute(
        """
        select count(*), count(*) filter (where r.is_gap), count(r.ret_pct_252),
            max(abs(r.ret_log_1))
        from features.cmc_returns_daily as r
        """
    ).fetchone()
    assert atr_against_ta_lib(conn) < 1e-12
    assert gaps == (5241, 0, 5241 - 252, pytest.approx(0.131, abs=0.0005))
