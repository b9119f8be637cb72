"""The same bars on either edition of TimescaleDB, and a database that comes from the other one."""

from __future__ import annotations

import random

import pytest

from ta_lab2.bars.errors import EditionWasChanged
from ta_lab2.db import doctor, migrate
from ta_lab2.errors import translated
from tests.support import intraday
from tests.support.intraday import LENGTH, candle, digest, full, history, refresh, written


def test_a_database_from_the_community_edition_says_so_and_is_turned_round_by_migrating(
    kept, own_db
):
    intraday.put(kept, 1, history())
    refresh(kept)
    expected = digest(kept)
    # What stands for continuous aggregates here: the same names, the same kind of DROP.
    for name in ("bars.intraday_1h_continuous", "bars.intraday_1d_continuous"):
        kept.execute(f"create materialized view {name} as select 1 as one")
        kept.execute(f"alter materialized view {name} owner to ta_lab2_app")
    kept.execute(
        """
        create or replace view bars.intraday_buckets as
        select r.* from bars.intraday_rollups as r where false
        """
    )
    with pytest.raises(EditionWasChanged) as caught, translated():
        kept.execute("call public.refresh_intraday()")
    assert "ta-lab2 db migrate" in caught.value.hint
    assert "rollups" in {finding.code for finding in doctor.examine(kept)}
    migrate.migrate(own_db, say=lambda _: None, ours=True)
    assert "rollups" not in {finding.code for finding in doctor.examine(kept)}
    assert written(refresh(kept)) == 0
    assert digest(kept) == expected


@pytest.mark.community
def test_a_database_from_the_other_edition_is_turned_round_by_migrating(continuous, own_db):
    intraday.put(continuous, 1, history())
    refresh(continuous)
    expected = digest(continuous)
    continuous.execute(
        """
        create or replace view bars.intraday_buckets as
        select r.id, r.resolution, r.bucket, r.ts, r.open, r.high, r.low, r.close, r.volume,
            r.candles, r.last_ts
        from bars.intraday_rollups as r
        """
    )
    for bucket in ("1h", "1d"):
        continuous.execute(f"drop materialized view bars.intraday_{bucket}_continuous")
    assert written(refresh(continuous, rebuild=True)) == 100
    assert digest(continuous) == expected, "the two editions keep other bars"
    migrate.migrate(own_db, say=lambda _: None, ours=True)
    assert continuous.execute("select count(*) from bars.intraday_buckets").fetchone() == (0,)
    assert written(refresh(continuous)) is None
    assert digest(continuous) == expected
    assert continuous.execute("select count(*) from bars.intraday_rollups").fetchone() == (0,)


@pytest.mark.community
def test_what_an_owner_writes_into_an_aggregate_a_rebuild_mends(continuous):
    intraday.put(continuous, 1, history())
    refresh(continuous)
    expected = digest(continuous)
    continuous.execute("update bars.intraday_1h_continuous set high = 7")
    assert digest(continuous) != expected
    assert full(continuous) == expected


@pytest.mark.community
def test_both_editions_keep_the_same_bars_whatever_happens(continuous):
    """The kept table, filled beside the aggregates by the other edition's own function."""
    query = """
        select record_send(row (r.id, r.bucket, r.resolution, r.ts, r.open, r.high, r.low, r.close,
            r.volume, r.candles, r.last_ts))
        from {} as r order by r.id, r.bucket, r.resolution, r.ts
    """
    chance = random.Random(2)
    for turn in range(12):
        start = chance.randrange(LENGTH)
        numbers = range(start, min(LENGTH, start + chance.choice([1, 40, 400])))
        if turn % 4 == 3:
            intraday.drop(continuous, 1, numbers)
        else:
            intraday.put(continuous, 1 + turn % 2, {n: candle(n, turn % 5 + 1) for n in numbers})
        refresh(continuous)
        for asset in (1, 2):
            continuous.execute("select bars.roll_up_intraday(%s, true)", (asset,))
        found, expected = (
            continuous.execute(query.format(name)).fetchall()
            for name in ("bars.intraday_buckets", "bars.intraday_rollups")
        )
        assert found == expected
        assert found or turn == 0
