"""Real candles of hours and minutes, and their bars beside the daily candles of another source."""

from __future__ import annotations

import statistics

import pytest

from ta_lab2.bars import ingest
from ta_lab2.bars.formats import Wanted
from tests.real_deps.bars.test_real_prices import DATA
from tests.support import intraday

pytestmark = pytest.mark.skipif(
    not (DATA / "intraday").is_dir(),
    reason=f"no intraday files in {DATA}; TA_LAB2_DATA names their folder",
)

FILES = {
    "btcusd_1h_coinbase.csv.gz": (Wanted(1, "bitcoin", intraday=True), 29061, 5),
    "btcusdt_5m.csv.gz": (Wanted(1, "bitcoin", source="kraken", intraday=True), 25920, 0),
    "dogeusdt_1m.csv.gz": (Wanted(74, "dogecoin", source="kraken", intraday=True), 43200, 0),
}


def test_real_candles_and_their_bars(own_db, autocommit):
    conn = autocommit(own_db)
    for name, (wanted, candles, repeated) in FILES.items():
        (file,) = ingest.find([str(DATA / "intraday" / name)], wanted)
        done = ingest.load(conn, file)
        counts = done.counts
        assert (counts.loaded, counts.unchanged, counts.rejected, counts.forming) == (
            candles - repeated, repeated, 0, 0,
        ), name  # fmt: skip
        again = ingest.load(conn, file).counts
        assert (again.loaded, again.unchanged, again.revised) == (0, candles, 0), name
    intraday.refresh(conn)
    incremental = intraday.digest(conn)
    assert not intraday.written(intraday.refresh(conn, rebuild=True))
    assert intraday.digest(conn) == incremental

    # Hours of hours are the candles themselves.
    differing = conn.execute(
        """
        select count(*)
        from bars.intraday_candles as c
        left join bars.intraday_1h as b using (id, resolution, ts)
        where c.resolution = '1 hour'
          and (b.open, b.high, b.low, b.close, b.volume)
              is distinct from (c.open, c.high, c.low, c.close, c.volume)
        """
    ).fetchone()
    assert differing == (0,)
    closed, missing = conn.execute(
        """
        select count(*), sum(b.missing_candles) filter (where b.ts > '2017-07-02')
        from bars.intraday_1d as b where b.resolution = '1 hour'
        """
    ).fetchone()
    assert (closed, missing) == (1211, 5)
    # 90 days from 17:05 to 17:00: the first one is partial, the last one open.
    five = conn.execute(
        """
        select count(*), min(b.missing_candles), max(b.missing_candles)
        from bars.intraday_1d as b where b.resolution = '5 minutes'
        """
    ).fetchone()
    assert five == (90, 0, 205)

    daily = ingest.find([str(DATA / "cmc" / "1_bitcoin.csv")])
    ingest.load(conn, daily[0])
    apart = conn.execute(
        """
        select abs(b.close / p.close - 1)
        from bars.intraday_1d as b
        join bars.cmc_price_histories7 as p on p.id = b.id and p.ts = b.time_close
        where b.id = 1 and b.missing_candles = 0
        """
    ).fetchall()
    assert len(apart) > 1290
    assert statistics.median(float(row[0]) for row in apart) == pytest.approx(0.0037, abs=0.0005)
