"""The synthetic market: the same everywhere, and everything in it that it promises."""

from __future__ import annotations

import itertools
from datetime import date

import pytest

# Of a whole market, in its canonical order. Another digest is another market: a change of
# the generator, on purpose, or a machine that computes otherwise, which must not be.
GOLDEN = {
    True: "d8fc6145818767dee1cdebfa869308100f4f0b8fbed7209d5b966cc3cc00b276",
    False: "978f5af999160dc75e0b95007dd4219ed2a06b35305648c066f84a755068820f",
}

DIGEST = """
    select encode(
        sha256(convert_to(string_agg(concat_ws(
            ',', m.id, m.symbol, to_char(m.day, 'YYYY-MM-DD'),
            m.open, m.high, m.low, m.close, m.volume, m.market_cap
        ), ';' order by m.id, m.day), 'UTF8')),
        'hex'
    )
    from ops.synthetic_market(%s, %s) as m
"""


@pytest.fixture(scope="module")
def market(shared_db):
    """All candles, oldest first, by symbol."""
    import psycopg
    from psycopg.rows import namedtuple_row

    with psycopg.connect(shared_db, row_factory=namedtuple_row) as conn:
        rows = conn.execute("select m.* from ops.synthetic_market() as m order by m.day").fetchall()
    found = {}
    for row in rows:
        found.setdefault(row.symbol, []).append(row)
    return found


def asset(tx, symbol):
    from psycopg.rows import namedtuple_row

    with tx.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(
            "select a.* from ops.synthetic_assets() as a where a.symbol = %s", (symbol,)
        ).fetchone()


@pytest.mark.parametrize("revised", [True, False])
def test_the_market_has_its_golden_digest(tx, revised):
    assert tx.execute(DIGEST, (revised, 1)).fetchone()[0] == GOLDEN[revised]


@pytest.mark.parametrize(
    "setting",
    ["set local timezone = 'Pacific/Kiritimati'", "set local datestyle = 'German'",
     "set local extra_float_digits = 0", "set local lc_numeric = 'C'", "set local jit = on"],
)  # fmt: skip
def test_no_setting_of_the_session_changes_it(tx, setting):
    tx.execute(setting)
    assert tx.execute(DIGEST, (True, 1)).fetchone()[0] == GOLDEN[True]


def test_another_seed_is_another_market(tx):
    assert tx.execute(DIGEST, (True, 2)).fetchone()[0] != GOLDEN[True]


def test_ids_are_far_from_real_ones_and_names_say_what_they_are(tx):
    rows = tx.execute("select a.id, a.symbol, a.slug from ops.synthetic_assets() as a").fetchall()
    assert len(rows) == 6
    assert all(id_ > 900_000 for id_, _, _ in rows)
    assert all(symbol.startswith("SYN-") for _, symbol, _ in rows)
    assert all(slug.startswith("synthetic-") for _, _, slug in rows)


def test_shares_of_volatility_add_up(tx):
    (wrong,) = tx.execute(
        """
        select count(*)
        from ops.synthetic_assets() as a
        where a.market_share * a.market_share + a.own_share * a.own_share <> 1
        """
    ).fetchone()
    assert wrong == 0


def test_every_candle_is_in_order_and_positive(market):
    for rows in market.values():
        for row in rows:
            assert 0 < row.low <= min(row.open, row.close)
            assert max(row.open, row.close) <= row.high
            assert row.volume > 0
            assert row.market_cap > 0


def test_the_calendar_is_three_fixed_years_one_candle_a_day(market):
    days = {symbol: [row.day for row in rows] for symbol, rows in market.items()}
    assert all(len(set(each)) == len(each) for each in days.values())
    for symbol in ("SYN-CALM", "SYN-RISE", "SYN-USD"):
        assert len(days[symbol]) == 1096
        assert (days[symbol][0], days[symbol][-1]) == (date(2022, 1, 1), date(2024, 12, 31))


def test_a_day_opens_at_the_close_before(market):
    for rows in market.values():
        for before, row in itertools.pairwise(rows):
            if (row.day - before.day).days == 1:
                assert row.open == before.close


def test_one_asset_has_a_gap_and_no_other_has(market):
    missing = {
        symbol: (rows[-1].day - rows[0].day).days + 1 - len(rows) for symbol, rows in market.items()
    }
    assert missing.pop("SYN-GAPS") == 49
    assert set(missing.values()) == {0}


def test_one_asset_is_delisted_after_a_decline(market):
    gone = market["SYN-GONE"]
    assert gone[-1].day == date(2024, 2, 18)
    assert gone[-1].close < gone[-60].close / 5
    assert all(rows[-1].day == date(2024, 12, 31) for s, rows in market.items() if s != "SYN-GONE")


def test_the_stablecoin_stays_at_one_but_for_a_few_days(tx, market):
    depeg = asset(tx, "SYN-USD").depeg_day
    away = [row for row in market["SYN-USD"] if abs(row.close - 1) > 0.005]
    assert [(row.day - depeg).days for row in away] == [0, 1, 2, 3, 4]
    assert 0.85 < min(row.close for row in away) < 0.9


def test_the_ordinary_assets_differ_in_volatility_and_the_trending_one_trends(market):
    from statistics import pstdev

    def volatility(symbol):
        return pstdev(float(row.close / row.open) for row in market[symbol])

    assert volatility("SYN-CALM") * 2 < volatility("SYN-WILD")
    assert market["SYN-RISE"][-1].close > 10 * market["SYN-RISE"][0].open


def test_volatility_comes_in_clusters(market):
    moves = [abs(float(row.close / row.open - 1)) for row in market["SYN-CALM"]]
    blocks = sorted(sum(moves[at : at + 25]) / 25 for at in range(0, 1075, 25))
    assert blocks[-4] > 2 * blocks[3]


def test_exactly_one_candle_is_first_published_wrong(tx):
    rows = tx.execute(
        """
        select r.symbol, r.day, f.close > r.close, f.open = r.open and f.low = r.low
        from ops.synthetic_market(true) as r
        join ops.synthetic_market(false) as f using (id, day)
        where r is distinct from f
        """
    ).fetchall()
    assert rows == [("SYN-CALM", asset(tx, "SYN-CALM").revised_day, True, True)]


def counts(tx, revised):
    return tx.execute("select c.* from ops.load_synthetic_market(%s) as c", (revised,)).fetchone()


def test_it_goes_the_way_of_every_price_and_a_repetition_changes_nothing(tx):
    assert counts(tx, False) == (6075, 0, 0, 0, 0)
    assert counts(tx, True) == (0, 6074, 1, 0, 0)
    assert counts(tx, True) == (0, 6075, 0, 0, 0)
    assert tx.execute("select count(*) from bars.price_staging").fetchone() == (0,)
    assert tx.execute("select count(*) from bars.price_rejects").fetchone() == (0,)


def test_what_is_stored_is_the_market(tx):
    counts(tx, True)
    (differing,) = tx.execute(
        """
        select count(*)
        from ops.synthetic_market() as m
        full join bars.cmc_price_histories7 as p
            on p.id = m.id and p.ts = m.day::timestamp at time zone 'UTC' + interval '23:59:59.999'
        where (m.open::float8, m.high::float8, m.low::float8, m.close::float8)
              is distinct from (p.open, p.high, p.low, p.close)
           or (m.volume::float8, m.market_cap::float8) is distinct from (p.volume, p.market_cap)
        """
    ).fetchone()
    assert differing == 0


def test_the_app_may_load_it(tx):
    tx.execute("set local role ta_lab2_app")
    assert counts(tx, True) == (6075, 0, 0, 0, 0)
