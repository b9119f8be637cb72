-- backtest.simulation_kernel(...): trades and equity of a run from packed candles and signals, as arrays and packed rows.
--
--     select k.*
--     from backtest.simulation_kernel(
--         run_id, '{1}', bar_ids, bar_ts, opens, closes, event_ids, event_ts, event_kinds, entry_ts, volatilities,
--         10000, 10, 5, 0, 'all_in', 1, 0.20, 'next_open', 1
--     ) as k;
--
-- Bars are array_send of arrays without nulls, ordered by asset and time; events likewise: their asset,
-- bar, kind (1 opens a long, -1 a short, 0 closes), the bar that opened what they open or close, and the annualised
-- parkinson_20 there, NaN when unknown. docs/backtest.md has the formulas.
--
-- A signal fills on the next bar of its asset. On a bar exits go first, by asset and age of the position, then
-- entries by asset; then funding is charged and all is marked to the closes. Numbers are worked out in that order, so
-- the bits are the same in every run: the loop goes over the fills, what happens between them is
-- a row of the bars. Funding up to a bar is rate x units x the sum of closes since the entry.
--
-- The first close at which nothing is left ends the run: what is open is closed there at the closes and without
-- costs, and what the account lacks is cut from the losses of the trades that end on that bar, in
-- proportion to units x entry price. Equity is then 0, not less.
--
-- packed has the rows of backtest.equity as tuples of COPY's binary format; sent has each of their columns, ts to
-- benchmark, as array_send of the stored column would give it, for the digest and the metrics.
--
-- requires: functions/db/packing.sql
-- needs: plpython3u

create or replace function backtest.simulation_kernel(
    p_run_id uuid,
    p_ids integer[],
    p_bar_ids bytea,
    p_bar_ts bytea,
    p_open bytea,
    p_close bytea,
    p_event_ids bytea,
    p_event_ts bytea,
    p_event_kinds bytea,
    p_event_entry_ts bytea,
    p_event_volatility bytea,
    p_capital double precision,
    p_fee_bps double precision,
    p_slippage_bps double precision,
    p_funding_bps double precision,
    p_sizing text,
    p_fraction double precision,
    p_vol_target double precision,
    p_fill text,
    p_capital_limit double precision,
    out is_ruined boolean,
    out bars integer,
    out last_ts timestamptz,
    out skipped integer,
    out id integer[],
    out side integer[],
    out entry_signal_ts timestamptz[],
    out entry_ts timestamptz[],
    out entry_price double precision[],
    out units double precision[],
    out entry_fee double precision[],
    out entry_slippage double precision[],
    out exit_signal_ts timestamptz[],
    out exit_ts timestamptz[],
    out exit_price double precision[],
    out exit_fee double precision[],
    out exit_slippage double precision[],
    out funding double precision[],
    out loss_cut double precision[],
    out gross_pnl double precision[],
    out net_pnl double precision[],
    out bars_held integer[],
    out exit_reason text[],
    out packed bytea,
    out sent bytea[]
)
language plpython3u
immutable parallel unsafe
as $$
import math
import struct
import uuid
from types import SimpleNamespace

import numpy as np

plpy.execute("select db.packing()")
packing = GD["packing"]

BASIS = 10_000.0
FEE, RATE = p_fee_bps / BASIS, p_funding_bps / BASIS
DEARER = 1 + p_slippage_bps / BASIS
CHEAPER = max(1 - p_slippage_bps / BASIS, 0.0)
STAMP, FLOAT = 1184, 701
# Less than this share of equity is what roundings leave, not a position.
DUST = 1e-9


def moment(stamp):
    return str(packing.iso([stamp])[0])


def read_bars():
    """The timeline of all assets, and each asset's candles on it."""
    ids, ts = packing.unpack(p_bar_ids, "i4"), packing.unpack(p_bar_ts, "i8")
    opens, closes = packing.unpack(p_open, "f8"), packing.unpack(p_close, "f8")
    # A stable sort merges what ascends already, as the moments of each asset do.
    merged = np.sort(ts, kind="stable")
    timeline = merged[np.append(True, merged[1:] != merged[:-1])]
    assets = {}
    for id_ in p_ids:
        mine = slice(*np.searchsorted(ids, [id_, id_ + 1]))
        if mine.start == mine.stop:
            continue
        at = np.searchsorted(timeline, ts[mine])
        # The last bar at or before each moment of the timeline; -1 before the first.
        last = np.full(len(timeline), -1)
        last[at] = np.arange(len(at))
        last = np.maximum.accumulate(last)
        assets[id_] = SimpleNamespace(
            at=at.tolist(),
            last=last,
            ts=ts[mine],
            opens=opens[mine].tolist(),
            closes=closes[mine].tolist(),
            # Sum of the closes before each bar.
            sums=np.add.accumulate(np.concatenate([[0.0], closes[mine]])),
            marks=closes[mine][np.maximum(last, 0)],
        )
    return timeline, assets


def read_fills(assets):
    """Events that fill, as (place on the timeline, is it an entry, asset, bar that opened it, event)."""
    ids, ts, kinds, entry_ts, volatility = (
        packing.unpack(packed, kind)
        for packed, kind in (
            (p_event_ids, "i4"),
            (p_event_ts, "i8"),
            (p_event_kinds, "i4"),
            (p_event_entry_ts, "i8"),
            (p_event_volatility, "f8"),
        )
    )
    bars = np.empty(len(ids), int)
    for id_ in sorted(set(ids.tolist())):
        mine = slice(*np.searchsorted(ids, [id_, id_ + 1]))
        # No signal is as late as what stands after the last bar.
        known = np.append(assets[id_].ts if id_ in assets else np.empty(0, "i8"), np.iinfo("i8").max)
        bars[mine] = np.searchsorted(known, ts[mine])
        strange = known[bars[mine]] != ts[mine]
        if strange.any():
            plpy.error(
                f"a signal of asset {id_} stands at {moment(ts[mine][strange.argmax()])}, where it has no candle",
                detail="Its candles changed after the signals were worked out.",
                hint="call refresh_all();",
                sqlstate="TA609",
            )
    strange = ((entry_ts == ts) != (kinds != 0)) | (entry_ts > ts)
    if strange.any():
        at = int(strange.argmax())
        plpy.error(
            f"a signal of asset {ids[at]} at {moment(ts[at])} closes what it doesn't follow",
            detail=f"It says that its position was opened at {moment(entry_ts[at])}.",
            hint="call refresh_signals(p_rebuild => true);",
            sqlstate="TA610",
        )
    found = []
    for columns in zip(*(column.tolist() for column in (ids, ts, kinds, entry_ts, volatility, bars + 1))):
        fill = SimpleNamespace(**dict(zip(("id", "ts", "kind", "entry_ts", "volatility", "bar"), columns)))
        asset = assets[fill.id]
        if fill.bar < len(asset.at):
            found.append((asset.at[fill.bar], fill.kind != 0, fill.id, fill.entry_ts, fill))
    found.sort(key=lambda each: each[:4])
    return found


def share(fill):
    """The part of the cash that an entry may take; nan when that is unknown."""
    if p_sizing != "volatility_target" or fill.volatility <= p_vol_target:
        return p_fraction
    return p_fraction * (p_vol_target / fill.volatility)


def price_now(asset, place):
    """What a unit is worth when the fills of a place on the timeline are made."""
    bar = int(asset.last[place])
    if p_fill == "next_open" and asset.at[bar] == place:
        return asset.opens[bar]
    return asset.closes[bar]


def accrued(trade, asset, bar):
    """Funding of a position at the closes from its entry to before a bar; negative: received."""
    return RATE * trade.side * trade.units * float(asset.sums[bar] - asset.sums[trade.bar])


def equity_now(cash, positions, assets, place):
    for trade in positions.values():
        cash += trade.side * trade.units * price_now(assets[trade.id], place)
    return cash


def cash_now(booked, positions, assets, place):
    """Cash less the funding of what is open, at the closes before a place on the timeline."""
    if RATE:
        for trade in positions.values():
            asset = assets[trade.id]
            booked -= accrued(trade, asset, int(asset.last[place - 1]) + 1)
    return booked


def enter(fill, asset, cash, positions, assets, place):
    """The trade that an entry makes, or None when there is nothing to make it of."""
    base = asset.opens[fill.bar] if p_fill == "next_open" else asset.closes[fill.bar]
    price = base * (DEARER if fill.kind > 0 else CHEAPER)
    used = math.fsum(trade.units * trade.entry_price for trade in positions.values())
    equity = equity_now(cash, positions, assets, place)
    value = min(share(fill) * cash / (1 + FEE), p_capital_limit * equity - used)
    # An unknown volatility makes it nan, which is not above anything either.
    if not value > max(DUST * equity, 0.0) or not price > 0:
        return None
    units = value / price
    return SimpleNamespace(
        id=fill.id, side=fill.kind, entry_signal_ts=fill.ts, entry_place=place, bar=fill.bar,
        entry_base=base, entry_price=price, units=units, entry_fee=FEE * units * price,
        entry_slippage=units * abs(price - base), exit_signal_ts=None, exit_place=None,
        exit_price=None, exit_fee=None, exit_slippage=None, exit_reason=None, loss_cut=0.0,
    )


def leave(trade, fill, asset, place):
    """Close a trade by its signal."""
    base = asset.opens[fill.bar] if p_fill == "next_open" else asset.closes[fill.bar]
    trade.exit_base, trade.exit_bar = base, fill.bar
    trade.exit_price = base * (CHEAPER if trade.side > 0 else DEARER)
    trade.exit_fee = FEE * trade.units * trade.exit_price
    trade.exit_slippage = trade.units * abs(trade.exit_price - base)
    trade.exit_signal_ts, trade.exit_place, trade.exit_reason = fill.ts, place, "signal"
    trade.funding = accrued(trade, asset, fill.bar)


def trade_all(assets, fills):
    """Trades as if nothing could be lost but all, the places and steps of cash, entries left out."""
    trades, positions, skipped = [], {}, []
    booked, steps = p_capital, []
    for place, is_entry, id_, entry_ts, fill in fills:
        asset = assets[id_]
        if is_entry:
            cash = cash_now(booked, positions, assets, place)
            trade = enter(fill, asset, cash, positions, assets, place)
            if trade is None:
                skipped.append(place)
                continue
            trades.append(trade)
            positions[id_, entry_ts] = trade
            step = -(trade.side * trade.units * trade.entry_price) - trade.entry_fee
        else:
            trade = positions.pop((id_, entry_ts), None)
            if trade is None:
                continue
            leave(trade, fill, asset, place)
            step = trade.side * trade.units * trade.exit_price - trade.exit_fee - trade.funding
        booked += step
        steps.append((place, step))
    return trades, steps, skipped


def account(size, assets, trades, steps):
    """Cash and positions at each close, and the sum of what all positions are worth without sign."""
    cash = np.full(size, p_capital)
    if steps:
        places, values = zip(*steps)
        booked = np.add.accumulate(np.array([p_capital, *values]))
        cash = booked[np.searchsorted(places, np.arange(size), side="right")]
    positions, gross = np.zeros(size), np.zeros(size)
    for trade in trades:
        asset = assets[trade.id]
        held = slice(trade.entry_place, trade.exit_place)
        worth = trade.units * asset.marks[held]
        positions[held] += trade.side * worth
        gross[held] += worth
        if RATE:
            sums = asset.sums[asset.last[held] + 1] - asset.sums[trade.bar]
            cash[held] -= RATE * trade.side * trade.units * sums
    return cash, positions, gross


def ruin(end, cash, positions, gross, assets, trades):
    """End all at a close where nothing is left; the trades that were there by then."""
    trades = [trade for trade in trades if trade.entry_place <= end]
    closed = []
    for trade in trades:
        if trade.exit_place is None or trade.exit_place > end:
            asset = assets[trade.id]
            trade.exit_bar = int(asset.last[end])
            trade.exit_base = trade.exit_price = float(asset.marks[end])
            trade.exit_fee = trade.exit_slippage = 0.0
            trade.exit_signal_ts, trade.exit_place, trade.exit_reason = None, end, "ruin"
            trade.funding = accrued(trade, asset, trade.exit_bar + 1)
        if trade.exit_place == end:
            closed.append(trade)
    lacking = -float(cash[end] + positions[end])
    value = math.fsum(trade.units * trade.entry_price for trade in closed)
    for trade in closed:
        trade.loss_cut = lacking * (trade.units * trade.entry_price / value)
    cash[end] = positions[end] = gross[end] = 0.0
    return trades


def settle(trade, assets):
    """What a trade earned; one that is open is marked to its asset's last close."""
    if trade.exit_place is None:
        asset = assets[trade.id]
        trade.exit_bar = len(asset.at) - 1
        trade.exit_base = asset.closes[-1]
        trade.funding = accrued(trade, asset, trade.exit_bar + 1)
    trade.gross_pnl = trade.side * trade.units * (trade.exit_base - trade.entry_base)
    trade.net_pnl = (
        trade.gross_pnl
        - trade.entry_fee
        - (trade.exit_fee or 0.0)
        - trade.entry_slippage
        - (trade.exit_slippage or 0.0)
        - trade.funding
        + trade.loss_cut
    )
    trade.bars_held = trade.exit_bar - trade.bar


def benchmark(size, assets):
    """Equal parts of the capital, each in cash until its asset's first close."""
    part = p_capital / len(p_ids)
    total = np.zeros(size)
    # One after the other, also those without a candle: a longer range doesn't change a bit of this one.
    for asset in map(assets.get, p_ids):
        total += part if asset is None else part * np.where(asset.last < 0, 1.0, asset.marks / asset.closes[0])
    return total


def pack(ts, columns):
    """Rows of backtest.equity as tuples of COPY's binary format; nothing in them is null."""
    form = [("start", "V26"), ("ts", ">i8")]
    empty = struct.pack(">hi16siq", 2 + len(columns), 16, uuid.UUID(p_run_id).bytes, 8, 0)
    for n in range(len(columns)):
        form += [(f"length{n}", "V4"), (f"value{n}", ">f8")]
        empty += struct.pack(">id", 8, 0.0)
    packed = bytearray(empty * len(ts))
    rows = np.frombuffer(packed, form)
    rows["ts"] = ts
    for n, column in enumerate(columns):
        rows[f"value{n}"] = column
    return packed


def send(oid, kind, values):
    """A column as array_send gives it: a header, then length and value of each."""
    pairs = np.empty(len(values), [("length", ">i4"), ("value", ">" + kind)])
    pairs["length"], pairs["value"] = 8, values
    return struct.pack(">5i", 1, 0, oid, len(values), 1) + pairs.tobytes()


def moments(stamps):
    """Microseconds as text, None where there are none."""
    known = [stamp for stamp in stamps if stamp is not None]
    texts = iter(packing.iso(known)) if known else iter(())
    return [None if stamp is None else str(next(texts)) for stamp in stamps]


timeline, assets = read_bars()
# What a fall to nothing makes of later numbers is cut off below.
with np.errstate(all="ignore"):
    trades, steps, skipped = trade_all(assets, read_fills(assets))
    cash, positions, gross = account(len(timeline), assets, trades, steps)
    gone = np.flatnonzero(~(cash + positions > 0))
    is_ruined = bool(len(gone)) and bool(np.isfinite(cash[gone[0]] + positions[gone[0]]))
    end = int(gone[0]) if is_ruined else len(timeline) - 1
    if is_ruined:
        trades = ruin(end, cash, positions, gross, assets, trades)
        skipped = [place for place in skipped if place <= end]
    for trade in trades:
        settle(trade, assets)

    held = slice(0, end + 1)
    cash, positions, gross = cash[held], positions[held], gross[held]
    equity = cash + positions
    before = np.concatenate([[p_capital], equity[:-1]])
    columns = (
        cash,
        positions,
        equity,
        equity / before - 1,
        equity / np.maximum.accumulate(equity) - 1,
        np.divide(gross, equity, out=np.zeros(len(equity)), where=equity > 0),
        benchmark(len(timeline), assets)[held],
    )
numbers = [
    np.array([getattr(trade, name) for trade in trades], float)
    for name in ("entry_price", "units", "entry_fee", "entry_slippage", "funding", "gross_pnl", "net_pnl")
]
if not all(np.isfinite(each).all() for each in (*columns, *numbers)):
    at = int(np.argmax(~np.isfinite(np.array(columns)).all(axis=0)))
    plpy.error(
        "a run comes to more than a number can hold",
        detail=f"The first row of its equity that is no number would be that of {moment(timeline[at])}.",
        hint="Look at the candles around it, the capital and the costs.",
        sqlstate="TA608",
    )


def column(name):
    return [getattr(trade, name) for trade in trades]


places = timeline.tolist()
return {
    "is_ruined": is_ruined,
    "bars": end + 1,
    "last_ts": moment(places[end]),
    "skipped": len(skipped),
    "id": column("id"),
    "side": column("side"),
    "entry_signal_ts": moments(column("entry_signal_ts")),
    "entry_ts": moments([places[trade.entry_place] for trade in trades]),
    "exit_signal_ts": moments(column("exit_signal_ts")),
    "exit_ts": moments(
        [None if trade.exit_place is None else places[trade.exit_place] for trade in trades]
    ),
    **{
        name: column(name)
        for name in (
            *("entry_price", "units", "entry_fee", "entry_slippage"),
            *("exit_price", "exit_fee", "exit_slippage", "funding", "loss_cut"),
            *("gross_pnl", "net_pnl", "bars_held", "exit_reason"),
        )
    },
    "packed": pack(timeline[held], columns),
    "sent": [send(STAMP, "i8", timeline[held]), *(send(FLOAT, "f8", each) for each in columns)],
}
$$;

comment on function backtest.simulation_kernel(
    uuid, integer[], bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, double precision,
    double precision, double precision, double precision, text, double precision, double precision, text,
    double precision
) is
    'Trades of a run as arrays, its equity as tuples of COPY''s binary format and as columns of array_send; money, fractions, microseconds.';
