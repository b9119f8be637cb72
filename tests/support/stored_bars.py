"""Bars as they are stored: candles in, the step run, and compared with the slow way."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from itertools import groupby

from ta_lab2.bars.tables import cmc_price_bars_multi_tf
from tests.support import ladder
from tests.support.ladder import ONE_DAY, Candle

COLUMNS = [column.name for column in cmc_price_bars_multi_tf.columns]

EQUITY = 900_001


def refresh(conn, asset=1) -> int:
    """Run the step as refresh_asset does; how many rows it wrote."""
    row = conn.execute(
        """
        select least(d.from_ts, t.from_ts)::text
        from features.due(array[%s], false, features.fingerprints()) as d
        left join features.take_dirty(array[d.id], 'bars') as t using (id)
        where d.feature_type = 'bars'
        """,
        (asset,),
    ).fetchone()
    if row is None:
        return 0
    return conn.execute(
        """
        select d.rows_written
        from features.refresh_bars(array[%(id)s], array[%(from)s::timestamptz]) as d
        cross join lateral features.record_progress(
            array[%(id)s], 'bars', 'cmc_price_bars_multi_tf',
            features.fingerprint('bars.ladder_kernel'), array[d.last_ts], array[d.state]
        )
        """,
        {"id": asset, "from": row[0]},
    ).fetchone()[0]


def bars(conn, asset=1):
    """The stored rows by timeframe, in order."""
    found = conn.execute(
        """
        select t.tf, b.*
        from bars.cmc_price_bars_multi_tf as b
        join timemodel.dim_timeframe as t using (tf_id)
        where b.id = %s
        order by t.tf_id, b.time_close
        """,
        (asset,),
    )
    return {
        tf: [dict(zip(COLUMNS, row[1:], strict=True)) for row in own]
        for tf, own in groupby(found, key=lambda row: row[0])
    }


def put(conn, candles, sessions, *, asset=1, session="CRYPTO"):
    """Store candles by day."""
    conn.execute(
        "insert into bars.dim_assets (id, symbol, slug, session_id) values (%s, %s, %s, %s)"
        " on conflict do nothing",
        (asset, f"T{asset}", f"test-{asset}", session),
    )
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into bars.cmc_price_histories7 (
                id, ts, open, high, low, close, volume, market_cap, time_high, time_low
            )
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    *(asset, sessions[day][1], each.open, each.high, each.low, each.close),
                    *(each.volume, each.market_cap, each.time_high, each.time_low),
                )
                for day, each in candles.items()
            ],
        )


def candle(n: int) -> Candle:
    """Different every day; some things are not known now and then."""
    return Candle(
        open=100 + n % 7,
        high=110 + n % 5,
        low=90 + n % 3,
        close=100 + n % 11,
        volume=None if n % 13 == 0 else n * 1.7,
        market_cap=None if n % 5 == 0 else 1e6 + n,
        time_high=None if n % 2 else datetime(2020, 1, 1, tzinfo=UTC) + n * ONE_DAY,
    )


def agrees(conn, candles, sessions, *, asset=1, week=7):
    found = bars(conn, asset)
    names = [
        tf
        for (tf,) in conn.execute("select t.tf from timemodel.dim_timeframe as t where t.is_active")
    ]
    for tf in names:
        expected = ladder.bars(tf, sessions, candles, week=week)
        own = found.get(tf, [])
        assert [row["time_close"] for row in own] == [row["time_close"] for row in expected], tf
        for got, wanted in zip(own, expected, strict=True):
            volume, known = got.pop("volume"), wanted.pop("volume")
            assert volume == known or math.isclose(volume, known, rel_tol=1e-9), (tf, got)
            assert {name: got[name] for name in wanted} == wanted, tf
    return len(names)


def scheduled(conn):
    """The scheduled sessions of New York by day."""
    found = conn.execute(
        """
        select c.session_date, c.opens_at, c.closes_at - interval '1 millisecond'
        from timemodel.session_calendar as c
        where c.session_id = 'EQUITY'
        order by c.session_date
        """
    )
    return {day: (opens.astimezone(UTC), closes.astimezone(UTC)) for day, opens, closes in found}


AROUND = ladder.around_the_clock(date(2017, 1, 1), date(2027, 12, 31))
