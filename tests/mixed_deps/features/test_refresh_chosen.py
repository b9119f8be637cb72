"""A refresh of chosen indicators: their columns, nothing else, and nothing recorded of it."""

from __future__ import annotations

import pytest

from ta_lab2.errors import translated
from ta_lab2.features import queries
from ta_lab2.features.errors import StepsAndIndicators, UnknownIndicator
from tests.support import contract, prices

CHOSEN = ["RSI", "macd_signal_12_26_9"]
COLUMNS = {"rsi_7", "rsi_14", "rsi_21", "macd_12_26_9", "macd_signal_12_26_9", "macd_hist_12_26_9"}


@pytest.fixture
def conn(own_db, autocommit):
    """A database of the test's own, without bars."""
    conn = autocommit(own_db)
    contract.only(conn, ())
    return conn


def table(conn, asset=1):
    """The rows by ts, the columns that were chosen and the others."""
    found = conn.execute(
        "select t.* from features.cmc_ta_daily as t where t.id = %s order by t.ts", (asset,)
    )
    names = [column.name for column in found.description]
    rows = {row[1]: dict(zip(names, row, strict=True)) for row in found}
    chosen = {ts: {k: v for k, v in row.items() if k in COLUMNS} for ts, row in rows.items()}
    others = {
        ts: {k: v for k, v in row.items() if k not in COLUMNS and not k.startswith("is_")}
        for ts, row in rows.items()
    }
    return chosen, others


def choose(conn, words=CHOSEN, **named):
    lines = []
    queries.refresh(conn, indicators=words, on_notice=lines.append, **named)
    return lines


def changed(conn):
    """A market that was refreshed once, then revised, with candles more and less."""
    contract.put(conn, 1, contract.history(150))
    contract.refresh(conn)
    contract.put(conn, 1, {70: 61.0, 150: 62.0, 151: 63.0})
    prices.drop(conn, 1, [120])


def test_their_columns_are_those_of_a_full_refresh_and_the_others_stay(conn):
    changed(conn)
    _, before = table(conn)
    choose(conn)
    chosen, others = table(conn)
    for ts, row in before.items():
        # A session that has no candle any more is known with the next one now.
        assert others[ts] == row | {"available_at": others[ts]["available_at"]}
    for n in (150, 151):
        row = others[prices.ts(n)]
        assert {v for k, v in row.items() if k not in ("id", "ts", "available_at")} == {None}
    contract.refresh(conn)
    assert table(conn)[0] == chosen
    found = contract.digest(conn)
    assert found == contract.full(conn)


def test_nothing_is_recorded_and_all_stays_due(conn):
    changed(conn)
    state = "select s.* from features.feature_state as s order by s.feature_type"
    due = """
        select c.*
        from features.refresh_candidates() as c
        where c.feature_type <> 'store'
    """
    before = conn.execute(state).fetchall(), conn.execute(due).fetchall()
    choose(conn)
    assert (conn.execute(state).fetchall(), conn.execute(due).fetchall()) == before
    lines = choose(conn)
    assert "0 rows" in lines[-1]


def test_the_store_hears_of_it(conn):
    changed(conn)
    choose(conn)
    queries.refresh(conn, steps=["store"])
    rows = conn.execute(
        """
        select f.rsi_14 is not distinct from t.rsi_14
        from features.cmc_daily_features as f
        join features.cmc_ta_daily as t using (id, ts)
        """
    ).fetchall()
    assert rows == [(True,)] * 152


def test_a_new_indicator_gets_its_whole_history_before_all_the_others(conn):
    changed(conn)
    conn.execute(
        """insert into features.dim_indicators (kind, params) values ('roc', '{"period": 5}')"""
    )
    lines = choose(conn, ["roc"])
    assert "152 rows" not in lines[-1]
    found = conn.execute("select count(t.roc_5), count(*) from features.cmc_ta_daily as t")
    assert found.fetchone() == (146, 152)
    contract.refresh(conn)
    found = contract.digest(conn)
    assert found == contract.full(conn)


def test_an_asset_that_was_never_refreshed_has_these_columns_alone(conn):
    contract.put(conn, 1, contract.history(60))
    choose(conn, ["atr"])
    row = conn.execute(
        "select count(t.atr_14), count(t.rsi_14), count(*) from features.cmc_ta_daily as t"
    ).fetchone()
    assert row[0] > 40
    assert row[1:] == (0, 60)
    contract.refresh(conn)
    found = contract.digest(conn)
    assert found == contract.full(conn)


def late_in_a_gap(conn):
    """A candle that comes into a gap, whose rows lay on a line to a later one."""
    contract.put(conn, 1, {n: 50.0 + n % 7 for n in range(60) if n not in (40, 41, 42)})
    contract.refresh(conn)
    contract.put(conn, 1, {41: 55.0})
    choose(conn)


def lines_of(conn):
    return conn.execute(
        """
        select t.available_at, t.stoch_k_14_3 is null
        from features.cmc_ta_daily as t
        where t.ts = any (%s)
        order by t.ts
        """,
        ([prices.ts(n) for n in (40, 41, 42)],),
    ).fetchall()


def test_a_line_that_another_candle_has_broken_tells_nothing(conn):
    late_in_a_gap(conn)
    first, second, third = lines_of(conn)
    assert first == (prices.ts(41), True)
    assert second == (prices.ts(41), True)
    # Nothing came between this one and the candle that its line leads to.
    assert third == (prices.ts(43), False)
    contract.refresh(conn)
    found = contract.digest(conn)
    assert found == contract.full(conn)


def test_a_line_that_tells_a_later_candle_is_found(conn):
    contract.broken(
        conn,
        "functions/features/refresh_indicators.sql",
        ("' and not (t.is_filled and exists ('", "' and not (false and exists ('"),
    )
    late_in_a_gap(conn)
    assert lines_of(conn)[0] == (prices.ts(41), False)


def test_progress_of_a_choice_would_be_found(conn):
    changed(conn)
    contract.broken(
        conn,
        "functions/features/refresh_chosen.sql",
        ("            p_ids, p_rebuild, jsonb", "            p_ids, false, jsonb"),
        (
            "        if v_done.rows_written > 0 then",
            "        perform features.take_dirty(array[v_done.id], 'indicators');\n"
            "        if v_done.rows_written > 0 then",
        ),
    )
    choose(conn)
    contract.refresh(conn)
    found = contract.digest(conn)
    assert found != contract.full(conn)


@pytest.mark.parametrize("words", [["sma"], ["rsi", "nonsense"], [], ["rsi", None]])
def test_an_unknown_name_is_refused_and_the_known_ones_are_told(conn, words):
    with pytest.raises(UnknownIndicator) as caught:
        choose(conn, words)
    assert "The kinds are adx, atr, bollinger, macd, rsi, stochastic" in caught.value.detail
    assert "macd_hist_8_17_9" in caught.value.detail


def test_one_that_is_switched_off_is_not_chosen(conn):
    conn.execute("update features.dim_indicators set is_active = false where kind = 'adx'")
    with pytest.raises(UnknownIndicator, match="called adx_14"):
        choose(conn, ["rsi", "adx_14"], dry_run=True)


def test_steps_and_indicators_are_not_chosen_together(conn):
    with pytest.raises(StepsAndIndicators):
        choose(conn, ["rsi"], steps=["indicators"])
    with pytest.raises(StepsAndIndicators), translated():
        conn.execute("call refresh_features(p_indicators => '{rsi}', p_verb => 'refresh_regimes')")


def test_a_dry_run_tells_what_is_due_of_the_step(conn):
    changed(conn)
    lines = choose(conn, dry_run=True)
    assert len(lines) == 2
    assert "indicators" in lines[0]
