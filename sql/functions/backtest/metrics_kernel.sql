-- backtest.metrics_kernel(...): the metrics of a run from its packed equity and trades, as arrays of names and values.
--
--     select m.* from backtest.metrics_kernel(10000, 365, ts, equity, exposure, benchmark, net, pct, days, 7, 52000, 1) as m;
--
-- p_ts, p_equity, p_exposure and p_benchmark are array_send of the rows in order of time; p_net, p_return and p_days
-- (held) of the closed trades. p_traded is the sum of units x fill price of all entries and exits.
-- backtest.dim_metrics has the formula of each. A metric that is not defined is null, and so is one
-- that is no number any more. Sums are exact (math.fsum), whatever their order.
--
-- requires: functions/db/packing.sql
-- needs: plpython3u

create or replace function backtest.metrics_kernel(
    p_capital double precision,
    p_annualisation_days integer,
    p_ts bytea,
    p_equity bytea,
    p_exposure bytea,
    p_benchmark bytea,
    p_net bytea,
    p_return bytea,
    p_days bytea,
    p_open_trades integer,
    p_traded double precision,
    p_skipped integer,
    out metric text[],
    out value double precision[]
)
language plpython3u
immutable parallel unsafe
as $$
import math

import numpy as np

plpy.execute("select db.packing()")
unpack = GD["packing"].unpack

DAY = 86_400_000_000
YEAR = 365.0
# Beyond it there is no room above the sum.
HUGE = 2.0**900


def total(values):
    """The exact sum, rounded once; nan where it is no number.

    It is taken in parts: the leading bits of all values, as multiples of one power of two, have a sum
    without rounding, in any order (Rump, Ogita and Oishi's ExtractVector); then those of what is left.
    """
    parts, rest = [], values
    while len(rest):
        top = float(np.abs(rest).max())
        if not top:
            break
        if not top < HUGE:
            parts = rest.tolist()
            break
        unit = math.ldexp(1.0, math.frexp(top)[1] + (len(rest) + 1).bit_length())
        leading = (rest + unit) - unit
        parts.append(float(leading.sum()))
        rest = rest - leading
    try:
        return math.fsum(parts)
    except (OverflowError, ValueError):
        return math.nan


def mean(values):
    return total(values) / len(values) if len(values) else None


def power(base, exponent):
    """nan where it is too large."""
    try:
        return math.pow(base, exponent)
    except (OverflowError, ValueError):
        return math.nan


def over(numerator, denominator):
    """A quotient, or None where it is not defined."""
    if numerator is None or not denominator:
        return None
    return numerator / denominator


def returns_of(values):
    return values / np.concatenate([[p_capital], values[:-1]]) - 1


def central(values, powers):
    """The sum of powers of distances to the mean: 0 where all values are equal, not what rounding leaves."""
    return 0.0 if (values == values[0]).all() else total(powers)


def deepest(equity, days):
    """The maximum drawdown, and the days from its peak to its end."""
    peaks = np.maximum.accumulate(equity)
    falls = equity / peaks - 1
    trough = int(falls.argmin())
    if not falls[trough] < 0:
        return 0.0, 0.0
    peak = int(np.flatnonzero(equity[:trough] == peaks[trough])[-1])
    after = np.flatnonzero(equity[trough:] >= peaks[trough])
    end = trough + int(after[0]) if len(after) else len(equity) - 1
    return float(falls[trough]), float(days[end] - days[peak])


def measure():
    equity, benchmark = unpack(p_equity, "f8"), unpack(p_benchmark, "f8")
    days = unpack(p_ts, "i8") / DAY
    years = float(days[-1] - days[0]) / YEAR
    r, b = returns_of(equity), returns_of(benchmark)
    scale = math.sqrt(p_annualisation_days)

    growth = float(equity[-1]) / p_capital
    yield "total_return", growth - 1
    cagr = power(growth, 1 / years) - 1 if years else None
    yield "cagr", cagr

    # By products: a power is not the same bits on every processor.
    mean_r, mean_b = mean(r), mean(b)
    away, away_b = r - mean_r, b - mean_b
    squares = central(r, away * away)
    sd = math.sqrt(squares / (len(r) - 1)) if len(r) > 1 else None
    yield "volatility", None if sd is None else sd * scale
    for name, risk in ("sharpe", sd), ("sortino", math.sqrt(mean(np.square(np.minimum(r, 0))))):
        ratio = over(mean_r, risk) if len(r) > 1 else None
        yield name, None if ratio is None else ratio * scale
    fall, length = deepest(equity, days)
    yield "calmar", over(cagr, -fall)
    yield "max_drawdown", fall
    yield "max_drawdown_days", length

    low, high = np.quantile(r, [0.05, 0.95]).tolist()
    worst = int((len(r) - 1) * 0.05) + 1
    yield "var_95", low
    yield "expected_shortfall_95", mean(np.sort(r)[:worst])
    yield "skew", over(central(r, away * away * away) / len(r), power(squares / len(r), 1.5))
    yield "tail_ratio", over(abs(high), abs(low))

    beta = over(total(away * away_b), central(b, away_b * away_b))
    yield "beta", beta
    yield "alpha", None if beta is None else power(1 + mean(r - beta * b), p_annualisation_days) - 1
    yield "benchmark_return", float(benchmark[-1]) / p_capital - 1

    exposure = unpack(p_exposure, "f8")
    yield "exposure", mean(exposure)
    yield "time_in_market", float(np.count_nonzero(exposure)) / len(exposure)
    yield "turnover", over(p_traded / mean(equity), years)

    net, pct, held = (unpack(packed, "f8") for packed in (p_net, p_return, p_days))
    won, lost = net > 0, net < 0
    yield "trades", float(len(net))
    yield "open_trades", float(p_open_trades)
    yield "win_rate", over(float(np.count_nonzero(won)), len(net))
    yield "profit_factor", over(total(net[won]), -total(net[lost]))
    yield "avg_win", mean(pct[won])
    yield "avg_loss", mean(pct[lost])
    yield "avg_holding_days", mean(held)
    yield "entries_skipped", float(p_skipped)


def number(found):
    """A float, None for what is no number."""
    return None if found is None or not math.isfinite(found) else float(found)


with np.errstate(all="ignore"):
    found = list(measure())
return [name for name, _ in found], [number(value) for _, value in found]
$$;

comment on function backtest.metrics_kernel(
    double precision, integer, bytea, bytea, bytea, bytea, bytea, bytea, bytea, integer, double precision, integer
) is
    'Names and values of a run''s metrics from packed rows; ratios as fractions, lengths in days, null where undefined.';
