"""The kernel of a run, compiled from the shipped file, against the slow way and its rules."""

from __future__ import annotations

import math
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import naive_backtest as naive
from tests.support import plpython
from tests.support.naive_backtest import Bar, Costs, Event, Settings, close_to

FILE = "functions/backtest/simulation_kernel.sql"
ARGUMENTS = (
    *("p_run_id", "p_ids", "p_bar_ids", "p_bar_ts", "p_open", "p_close"),
    *("p_event_ids", "p_event_ts", "p_event_kinds", "p_event_entry_ts", "p_event_volatility"),
    *("p_capital", "p_fee_bps", "p_slippage_bps", "p_funding_bps", "p_sizing", "p_fraction"),
    *("p_vol_target", "p_fill", "p_capital_limit"),
)
RUN = uuid.UUID(int=7)
DAY = 86_400_000_000
INTEGER, FLOAT, STAMP = 23, 701, 1184

CLEAN, REALISTIC, PERP = Costs(), Costs(10, 5, 0), Costs(5, 5, 3)


class Row(NamedTuple):
    """A row of backtest.equity."""

    ts: int
    cash: float
    positions: float
    equity: float
    daily_return: float
    drawdown: float
    exposure: float
    benchmark: float


class Found(NamedTuple):
    """What the kernel gives."""

    trades: list[dict[str, Any]]
    rows: list[Row]
    ruined: bool
    skipped: int


@cache
def compiled(changes: tuple[tuple[str, str], ...]) -> Callable[..., dict[str, Any]]:
    return plpython.compiled(plpython.changed(FILE, *changes), *ARGUMENTS)


def rows_of(packed: bytes) -> list[Row]:
    found = []
    for run, *values in plpython.fields(packed, 9):
        assert run == RUN.bytes
        (ts,) = struct.unpack(">q", values[0])
        assert ts % DAY == 0
        found.append(Row(ts // DAY, *(struct.unpack(">d", value)[0] for value in values[1:])))
    return found


def day_of(text: str | None) -> int | None:
    """A stamp as the kernel writes it, as the number of its day."""
    if text is None:
        return None
    return (datetime.fromisoformat(text) - datetime(2000, 1, 1, tzinfo=UTC)).days


def run(
    assets: dict[int, dict[int, Bar]],
    events: list[Event],
    how: Settings = Settings(),  # noqa: B008 - frozen
    changes: tuple[tuple[str, str], ...] = (),
) -> Found:
    """Let the kernel trade; times are days since 2000."""
    kernel = compiled(changes)
    bars = [(id_, ts, bar) for id_, of in sorted(assets.items()) for ts, bar in sorted(of.items())]
    events = sorted(events, key=lambda event: (event.asset, event.ts, event.side != 0))
    found = kernel(
        str(RUN),
        sorted(assets),
        plpython.array_send(INTEGER, [id_ for id_, _, _ in bars]),
        plpython.array_send(STAMP, [ts * DAY for _, ts, _ in bars]),
        plpython.array_send(FLOAT, [bar.open for _, _, bar in bars]),
        plpython.array_send(FLOAT, [bar.close for _, _, bar in bars]),
        plpython.array_send(INTEGER, [event.asset for event in events]),
        plpython.array_send(STAMP, [event.ts * DAY for event in events]),
        plpython.array_send(INTEGER, [event.side for event in events]),
        plpython.array_send(STAMP, [event.entry * DAY for event in events]),
        plpython.array_send(
            FLOAT,
            [math.nan if event.volatility is None else event.volatility for event in events],
        ),
        how.capital,
        how.costs.fee,
        how.costs.slippage,
        how.costs.funding,
        how.sizing,
        how.fraction,
        how.vol_target,
        how.fill,
        how.limit,
    )
    rows = rows_of(found["packed"])
    stamps, *numbers = zip(*rows, strict=True)
    assert found.pop("sent") == [
        plpython.array_send(STAMP, [ts * DAY for ts in stamps]),
        *(plpython.array_send(FLOAT, column) for column in numbers),
    ], "the columns are those of the rows, bit for bit"
    lists = {name: values for name, values in found.items() if isinstance(values, list)}
    for name in ("entry_signal_ts", "entry_ts", "exit_signal_ts", "exit_ts"):
        lists[name] = [day_of(text) for text in lists[name]]
    trades = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    return Found(trades, rows, found["is_ruined"], found["skipped"])


def flat(*closes: float, opens: tuple[float, ...] = ()) -> dict[int, Bar]:
    """Candles of successive days; they open where they close unless said otherwise."""
    return {day: Bar(o, c) for day, (o, c) in enumerate(zip(opens or closes, closes, strict=True))}


@st.composite
def markets(draw: st.DrawFn, wild: bool = True) -> tuple[dict[int, dict[int, Bar]], list[Event]]:
    """A few assets with gaps, of which some begin late or end early, and signals on them."""
    assets, events = {}, []
    step = st.floats(0.05, 6.0) if wild else st.floats(0.8, 1.25)
    for id_ in draw(st.sets(st.integers(1, 9), min_size=1, max_size=3)):
        days = sorted(draw(st.sets(st.integers(0, 15), min_size=1, max_size=14)))
        price = draw(st.floats(0.001, 1000.0))
        bars = {}
        for day in days:
            opened = price * draw(step)
            price = opened * draw(step)
            bars[day] = Bar(opened, price)
        assets[id_] = bars
        held: list[tuple[int, int]] = []
        for day in days:
            if held and draw(st.booleans()):
                events.append(Event(id_, day, 0, held.pop(0)[0]))
            if len(held) < 2 and draw(st.booleans()):
                side = draw(st.sampled_from([1, -1]))
                volatility = draw(st.one_of(st.none(), st.floats(0.05, 3.0)))
                events.append(Event(id_, day, side, day, volatility))
                held.append((day, side))
    return assets, events


costs = st.one_of(
    st.sampled_from([CLEAN, REALISTIC, PERP, Costs(10_000, 0, 0), Costs(0, 10_000, 0)]),
    st.builds(Costs, st.floats(0, 20_000), st.floats(0, 20_000), st.floats(-300, 300)),
)
ways = st.builds(
    Settings,
    costs=costs,
    sizing=st.sampled_from(["all_in", "fixed_fraction", "volatility_target"]),
    fraction=st.just(1.0),
    fill=st.sampled_from(["next_open", "next_close"]),
    limit=st.sampled_from([0.3, 1.0, 2.5]),
) | st.builds(
    Settings,
    costs=costs,
    sizing=st.sampled_from(["fixed_fraction", "volatility_target"]),
    fraction=st.floats(0.01, 1.0),
    fill=st.sampled_from(["next_open", "next_close"]),
    limit=st.sampled_from([0.3, 1.0, 2.5]),
)
often = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@often
@given(market=markets(), how=ways)
def test_a_run_is_what_the_slow_way_makes_of_it(market, how):
    assets, events = market
    found, known = run(assets, events, how), naive.backtest(assets, events, how)

    assert found.ruined == known.ruined
    assert found.skipped == known.skipped
    assert [row.ts for row in found.rows] == [row.ts for row in known.rows]
    for mine, slow in zip(found.rows, known.rows, strict=True):
        scale = max(how.capital, slow.gross, abs(slow.cash))
        assert close_to(mine.cash, slow.cash, scale)
        assert close_to(mine.positions, slow.positions, scale)
        if mine.equity > 1e-6 * scale:
            assert mine.exposure == pytest.approx(slow.gross / slow.equity, rel=1e-6)
    assert len(found.trades) == len(known.trades)
    for mine, slow in zip(found.trades, known.trades, strict=True):
        assert (mine["id"], mine["side"]) == (slow.asset, slow.side)
        assert (mine["entry_signal_ts"], mine["entry_ts"]) == (slow.signal_ts, slow.entry_ts)
        assert (mine["exit_signal_ts"], mine["exit_ts"]) == (slow.exit_signal_ts, slow.exit_ts)
        assert mine["exit_reason"] == slow.reason
        scale = max(how.capital, mine["units"] * mine["entry_price"], abs(slow.gross()))
        for amount, other in (
            (mine["units"] * mine["entry_price"], slow.units * slow.price),
            (mine["entry_fee"], slow.fee),
            (mine["exit_fee"] or 0.0, slow.exit_fee),
            (mine["entry_slippage"] + (mine["exit_slippage"] or 0.0), slow.slippage()),
            (mine["funding"], slow.funding),
            (mine["loss_cut"], slow.cut),
            (mine["gross_pnl"], slow.gross()),
            (mine["net_pnl"], slow.net()),
        ):
            assert close_to(amount, other, scale)


@often
@given(market=markets(), how=ways)
def test_cash_and_positions_are_equity_on_every_bar_and_equity_is_never_below_zero(market, how):
    found = run(*market, how)

    for row in found.rows:
        assert row.cash + row.positions == row.equity
        assert row.equity >= 0
    assert found.ruined == (found.rows[-1].equity == 0)
    assert all(row.equity > 0 for row in found.rows[:-1])


@often
@given(market=markets(), how=ways)
def test_what_trades_earned_is_the_change_of_equity(market, how):
    found = run(*market, how)

    for trade in found.trades:
        costs = trade["entry_fee"] + trade["entry_slippage"] + trade["funding"]
        costs += (trade["exit_fee"] or 0.0) + (trade["exit_slippage"] or 0.0)
        scale = max(how.capital, abs(trade["gross_pnl"]), costs)
        assert close_to(trade["net_pnl"], trade["gross_pnl"] - costs + trade["loss_cut"], scale)
        assert (trade["loss_cut"] > 0) <= found.ruined
    earned = math.fsum(trade["net_pnl"] for trade in found.trades)
    scale = how.capital + sum(
        abs(trade["gross_pnl"]) + abs(trade["funding"]) + trade["units"] * trade["entry_price"]
        for trade in found.trades
    )
    assert close_to(earned, found.rows[-1].equity - how.capital, scale)


@often
@given(market=markets(), how=ways, cut=st.integers(0, 15))
def test_a_run_that_ends_earlier_has_the_same_trades_and_equity_up_to_there(market, how, cut):
    assets, events = market
    if not any(ts <= cut for bars in assets.values() for ts in bars):
        return
    whole = run(assets, events, how)
    part = run(
        {id_: {ts: bar for ts, bar in bars.items() if ts <= cut} for id_, bars in assets.items()},
        [event for event in events if event.ts <= cut],
        how,
    )

    assert part.rows == [row for row in whole.rows if row.ts <= cut]
    entered = [trade for trade in whole.trades if trade["entry_ts"] <= cut]
    assert len(part.trades) == len(entered)
    for mine, later in zip(part.trades, entered, strict=True):
        for name in ("id", "side", "entry_signal_ts", "entry_ts", "entry_price", "units"):
            assert mine[name] == later[name]
        if mine["exit_ts"] is not None:
            assert mine == later


def test_what_is_read_from_the_next_bar_is_seen():
    """The prefix replay turns red when a fill looks one bar ahead."""
    leak = (("price = base * (DEARER", "base = asset.closes[-1]\n    price = base * (DEARER"),)
    assets = {1: flat(10, 11, 12, 13)}
    events = [Event(1, 0, 1, 0)]

    whole = run(assets, events, changes=leak)
    part = run({1: flat(10, 11, 12)}, events, changes=leak)

    assert part.rows != whole.rows[:3]


@settings(max_examples=50, deadline=None)
@given(market=markets(wild=False), how=ways)
def test_a_repeat_has_the_same_bits(market, how):
    assert run(*market, how) == run(*market, how)


def test_a_signal_is_filled_at_the_open_of_the_next_bar():
    found = run(
        {1: flat(10, 12, 11, 15, opens=(10, 11, 12, 14))}, [Event(1, 0, 1, 0), Event(1, 2, 0, 0)]
    )

    (trade,) = found.trades
    assert (trade["entry_ts"], trade["entry_price"]) == (1, 11)
    assert (trade["exit_ts"], trade["exit_price"]) == (3, 14)
    assert trade["units"] == 10_000 / 11
    assert [row.equity for row in found.rows] == [
        10_000,
        10_000 / 11 * 12,
        10_000 / 11 * 11,
        pytest.approx(10_000 / 11 * 14),
    ]


def test_costs_are_worked_out_as_the_definitions_say():
    """Fee 1 percent, slippage 1 percent, on 101 = 100 x 1.01: 10000 / 1.01 / 101 units."""
    found = run(
        {1: flat(100, 100, 100, 200, opens=(100, 100, 100, 200))},
        [Event(1, 0, 1, 0), Event(1, 2, 0, 0)],
        Settings(Costs(100, 100, 0)),
    )

    (trade,) = found.trades
    units = 10_000 / 1.01 / 101
    assert trade["units"] == pytest.approx(units, rel=1e-14)
    assert trade["entry_price"] == pytest.approx(101)
    assert trade["entry_fee"] == pytest.approx(units * 1.01)
    assert trade["entry_slippage"] == pytest.approx(units * 1)
    assert trade["exit_price"] == pytest.approx(198)
    assert trade["exit_fee"] == pytest.approx(units * 1.98)
    assert trade["exit_slippage"] == pytest.approx(units * 2)
    assert trade["gross_pnl"] == pytest.approx(units * 100)
    assert found.rows[1].cash == pytest.approx(0, abs=1e-9)
    assert found.rows[3].equity == pytest.approx(units * (198 - 1.98))


def test_a_short_sells_its_units_and_keeps_the_proceeds_in_cash():
    found = run({1: flat(100, 100, 80)}, [Event(1, 0, -1, 0)])

    assert found.trades[0]["units"] == 100
    assert [(row.cash, row.positions) for row in found.rows] == [
        (10_000, 0),
        (20_000, -10_000),
        (20_000, -8_000),
    ]
    assert found.trades[0]["exit_ts"] is None
    assert found.trades[0]["net_pnl"] == 2_000


def test_funding_is_paid_by_longs_and_received_by_shorts_at_every_close():
    how = Settings(Costs(0, 0, 100))
    prices = flat(100, 100, 200, 300)
    (long,) = run({1: prices}, [Event(1, 0, 1, 0), Event(1, 2, 0, 0)], how).trades
    (short,) = run({1: prices}, [Event(1, 0, -1, 0), Event(1, 2, 0, 0)], how).trades

    # The day of the exit ends without the position.
    assert long["funding"] == pytest.approx(0.01 * 100 * (100 + 200))
    assert short["funding"] == pytest.approx(-0.01 * 100 * (100 + 200))


def test_an_entry_finds_the_cash_that_funding_left_at_the_close_before():
    """500 units of 10 pay 1 percent at two closes; then half of the rest is taken."""
    prices = flat(10, 10, 10, 10)
    how = Settings(Costs(0, 0, 100), sizing="fixed_fraction", fraction=0.5)
    found = run({1: prices, 2: prices}, [Event(1, 0, 1, 0), Event(2, 2, 1, 2)], how)

    assert found.trades[0]["units"] == 500
    assert found.trades[1]["units"] == pytest.approx((5_000 - 2 * 50) / 2 / 10, rel=1e-12)


def test_all_that_is_lost_ends_the_run_at_zero():
    """100 short from 100: at 250 the account lacks 5000, which is cut from the loss."""
    found = run({1: flat(100, 100, 250, 90)}, [Event(1, 0, -1, 0)])

    (trade,) = found.trades
    assert found.ruined
    assert [row.ts for row in found.rows] == [0, 1, 2]
    assert found.rows[-1][1:7] == (0, 0, 0, -1, -1, 0)
    assert trade["exit_reason"] == "ruin"
    assert (trade["exit_ts"], trade["exit_price"], trade["exit_signal_ts"]) == (2, 250, None)
    assert trade["gross_pnl"] == -15_000
    assert trade["loss_cut"] == 5_000
    assert trade["net_pnl"] == -10_000


@pytest.mark.parametrize("fee", [10_000, 30_000])
def test_a_fee_of_all_that_is_traded_ruins_whoever_sells(fee):
    found = run(
        {1: flat(100, 100, 100, 100)},
        [Event(1, 0, 1, 0), Event(1, 1, 0, 0)],
        Settings(Costs(fee, 0, 0)),
    )

    assert found.ruined
    assert found.rows[-1].equity == 0
    assert math.fsum(trade["net_pnl"] for trade in found.trades) == pytest.approx(-10_000)


def test_a_short_for_nothing_is_left_out():
    found = run({1: flat(100, 100, 100)}, [Event(1, 0, -1, 0)], Settings(Costs(0, 10_000, 0)))

    assert (found.trades, found.skipped) == ([], 1)


def test_exits_go_before_entries_and_assets_by_their_number():
    """Asset 2 leaves on the bar on which 1 and 3 would enter: 1 gets the cash, 3 nothing."""
    prices = flat(10, 10, 10, 10)
    found = run(
        {1: prices, 2: prices, 3: prices},
        [Event(2, 0, 1, 0), Event(2, 1, 0, 0), Event(1, 1, 1, 1), Event(3, 1, 1, 1)],
    )

    assert [(trade["id"], trade["entry_ts"]) for trade in found.trades] == [(2, 1), (1, 2)]
    assert found.skipped == 1


def test_the_limit_of_capital_holds_for_all_positions_together():
    prices = flat(10, 10, 10)
    how = Settings(sizing="fixed_fraction", fraction=0.5, limit=0.6)
    found = run({1: prices, 2: prices}, [Event(1, 0, 1, 0), Event(2, 0, 1, 0)], how)

    assert [trade["units"] for trade in found.trades] == [500, 100]


def test_what_roundings_leave_is_no_position():
    prices = flat(1.252, 1.252, 1.252)
    events = [Event(1, 0, 1, 0), Event(2, 0, 1, 0)]
    how = Settings(limit=0.7, capital=1e9)
    found = run({1: prices, 2: prices}, events, how)
    careless = run({1: prices, 2: prices}, events, how, (("DUST = 1e-9", "DUST = 0.0"),))

    assert [trade["id"] for trade in found.trades] == [1]
    assert found.skipped == 1
    assert 0 < careless.trades[1]["units"] < 1e-6


def test_a_volatile_market_gets_a_smaller_part():
    prices = flat(10, 10, 10)
    how = Settings(sizing="volatility_target", vol_target=0.2)

    def units(volatility):
        found = run({1: prices}, [Event(1, 0, 1, 0, volatility)], how)
        return [trade["units"] for trade in found.trades], found.skipped

    assert units(0.8) == ([250], 0)
    assert units(0.1) == ([1000], 0)
    assert units(0.0) == ([1000], 0)
    assert units(None) == ([], 1)


def test_a_delisted_asset_keeps_its_last_close_as_its_mark():
    found = run(
        {1: flat(10, 10, 12), 2: flat(1, 1, 1, 1, 1)},
        [Event(1, 0, 1, 0)],
        Settings(Costs(0, 0, 100)),
    )

    assert [row.positions for row in found.rows] == [0, 10_000, 12_000, 12_000, 12_000]
    assert found.trades[0]["exit_ts"] is None
    # It has no close any more that funding could be charged on.
    assert found.trades[0]["funding"] == pytest.approx(0.01 * 1000 * (10 + 12))


def test_a_signal_on_the_last_bar_is_never_filled():
    assert run({1: flat(10, 11)}, [Event(1, 1, 1, 1)]).trades == []


def test_an_exit_whose_entry_lies_before_the_range_is_nothing():
    assert run({1: flat(10, 11, 12)}, [Event(1, 1, 0, -5)]).trades == []


def test_a_run_of_one_bar_without_signals_is_the_capital():
    found = run({1: flat(10)}, [])

    assert found.rows == [Row(0, 10_000, 0, 10_000, 0, 0, 0, 10_000)]


def test_the_benchmark_holds_equal_parts_from_the_first_close_of_each():
    found = run({1: flat(10, 20, 30), 2: {1: Bar(5, 4), 2: Bar(4, 2)}, 3: {}}, [])

    third = 10_000 / 3
    assert [row.benchmark for row in found.rows] == pytest.approx(
        [10_000, third * (2 + 1 + 1), third * (3 + 0.5 + 1)]
    )


def test_a_signal_without_its_candle_is_refused():
    with pytest.raises(plpython.Raised, match="asset 1 stands at 2000-01-03") as raised:
        run({1: flat(10, 11)}, [Event(1, 2, 1, 2)])
    assert raised.value.facts["sqlstate"] == "TA609"


@pytest.mark.parametrize("event", [Event(1, 1, 0, 1), Event(1, 1, 0, 2), Event(1, 1, 1, 0)])
def test_an_exit_before_its_entry_is_refused(event):
    with pytest.raises(plpython.Raised, match="closes what it doesn't follow") as raised:
        run({1: flat(10, 11, 12)}, [event])
    assert raised.value.facts["sqlstate"] == "TA610"


def test_a_run_beyond_numbers_is_refused():
    with pytest.raises(plpython.Raised, match="more than a number can hold") as raised:
        run({1: flat(1e-300, 1e-300, 1e300)}, [Event(1, 0, 1, 0)])
    assert raised.value.facts["sqlstate"] == "TA608"
