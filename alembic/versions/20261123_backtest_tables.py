"""backtest: cost models, and runs with their trades, equity, metrics and segments

A run keeps all that it was made from: parameters, costs and the list of assets are copies, so that what
is changed or deleted later leaves it readable. Its id is a uuid: runs of two machines never collide.
The tables hang on their run and go with it. The run's own row comes last, with the digest of what the others
hold; equity has no foreign key, because looking the run up for every row takes twice as long as
writing the rows: a trigger takes them away with their run.
"""

from alembic import op

revision = "20261123_backtest_tables"
down_revision = "20261123_signals_tables"

OF_A_RUN = "uuid not null references backtest.runs on delete cascade deferrable initially deferred"

#: Name, type with constraint, and meaning.
COST_MODELS = [
    (
        "cost_model",
        "text primary key check (cost_model <> '''')",
        "The name that run_backtest takes.",
    ),
    (
        "fee_bps",
        "double precision not null check (fee_bps between 0 and 1000000)",
        "Fee in hundredths of a percent of units x fill price, at entry and at exit.",
    ),
    (
        "slippage_bps",
        "double precision not null check (slippage_bps between 0 and 1000000)",
        "How far the fill is worse than the candle''s price; a sale never brings less than nothing.",
    ),
    (
        "funding_bps",
        "double precision not null check (funding_bps between -1000000 and 1000000)",
        "Paid by longs and received by shorts at every close on units x close; negative: the reverse.",
    ),
    ("description", "text not null", "What it stands for."),
]

RUNS = [
    ("run_id", "uuid primary key", "The run."),
    ("created_at", "timestamptz not null", "The begin of its transaction."),
    ("label", "text", "What the user calls it; null: nothing."),
    ("signal_id", "integer not null", "The signal, a row of dim_signals."),
    ("signal_name", "text not null", "Its name."),
    ("signal_type", "text not null", "Its type."),
    ("signal_version", "integer not null", "Its version."),
    ("params", "jsonb not null", "Its parameters."),
    ("params_digest", "bytea not null check (length(params_digest) = 32)", "Their SHA-256."),
    ("asset_ids", "integer[] not null check (asset_ids <> ''{}'')", "The universe, in order."),
    ("from_ts", "timestamptz", "The range that was asked for; null: from the first candle."),
    ("to_ts", "timestamptz", "Its end, included; null: to the last candle."),
    ("first_ts", "timestamptz not null", "The first bar that the run saw."),
    ("last_ts", "timestamptz not null", "The last one."),
    ("known_at", "timestamptz", "Signals and candles as they were known then; null: as stored."),
    (
        "data_at",
        "timestamptz not null",
        "The moment as of which its candles can be read again: known_at, else when the last of them was stored.",
    ),
    ("cost_model", "text not null", "The name of the cost model."),
    ("fee_bps", "double precision not null", "Its fee, as it was."),
    ("slippage_bps", "double precision not null", "Its slippage, as it was."),
    ("funding_bps", "double precision not null", "Its funding, as it was."),
    ("capital", "double precision not null check (capital > 0)", "Cash at the beginning."),
    (
        "sizing",
        "text not null check (sizing in (''all_in'', ''fixed_fraction'', ''volatility_target''))",
        "How an entry is sized.",
    ),
    (
        "fraction",
        "double precision not null check (fraction > 0 and fraction <= 1)",
        "The share of cash that an entry takes.",
    ),
    (
        "vol_target",
        "double precision not null check (vol_target > 0)",
        "Annualised volatility that volatility_target aims at.",
    ),
    (
        "fill",
        "text not null check (fill in (''next_open'', ''next_close''))",
        "The price of the bar after a signal at which it is filled.",
    ),
    (
        "capital_limit",
        "double precision not null check (capital_limit > 0)",
        "The most that the sum of units x entry price may be, as a share of equity.",
    ),
    (
        "annualisation_days",
        "integer not null check (annualisation_days > 0)",
        "Bars of a year, that ratios are annualised with.",
    ),
    (
        "status",
        "text not null check (status in (''complete'', ''ruined''))",
        "ruined: nothing was left, and the run ends there.",
    ),
    (
        "inputs_digest",
        "bytea not null check (length(inputs_digest) = 32)",
        "SHA-256 of all that it was made from: segments, parameters, costs, range, sizing.",
    ),
    (
        "machinery_digest",
        "bytea not null check (length(machinery_digest) = 32)",
        "SHA-256 of what worked it out: routines, extensions, arithmetic.",
    ),
    (
        "result_digest",
        "bytea not null check (length(result_digest) = 32)",
        "SHA-256 of its trades and equity.",
    ),
    ("machinery", "jsonb not null", "What went into machinery_digest, by name."),
    ("bars", "integer not null check (bars > 0)", "Rows of its equity."),
    ("duration", "interval not null", "How long it took."),
]

TRADES = [
    ("run_id", OF_A_RUN, "The run."),
    ("trade_no", "integer not null", "From 1, in the order of entries."),
    ("id", "integer not null", "The asset."),
    ("direction", "text not null check (direction in (''long'', ''short''))", "long or short."),
    ("entry_signal_ts", "timestamptz not null", "The bar whose signal it follows."),
    ("entry_ts", "timestamptz not null", "The bar of the fill."),
    ("entry_price", "double precision not null", "The fill, with slippage."),
    ("units", "double precision not null check (units > 0)", "Units bought, or sold short."),
    ("entry_fee", "double precision not null", "Money."),
    (
        "entry_slippage",
        "double precision not null",
        "Money: what the fill was worse than the candle.",
    ),
    ("exit_signal_ts", "timestamptz", "The bar whose signal closed it; null: none did."),
    ("exit_ts", "timestamptz", "The bar of that fill; null: open at the end."),
    ("exit_price", "double precision", "The fill, with slippage; null: open at the end."),
    ("exit_fee", "double precision", "Money; null: open at the end."),
    ("exit_slippage", "double precision", "Money; null: open at the end."),
    ("funding", "double precision not null", "Money paid while it was open; negative: received."),
    (
        "loss_cut",
        "double precision not null check (loss_cut >= 0)",
        "Money: the part of a loss beyond all equity, which nobody pays; 0 but for a ruin.",
    ),
    (
        "gross_pnl",
        "double precision not null",
        "Money at the candles'' prices, before costs; open: marked to the last close.",
    ),
    (
        "net_pnl",
        "double precision not null",
        "gross_pnl less fees, slippage and funding, plus loss_cut.",
    ),
    ("return_pct", "double precision not null", "net_pnl over units x entry_price, a fraction."),
    ("bars_held", "integer not null", "Bars of the asset from the entry''s fill to the exit''s."),
    (
        "exit_reason",
        "text check (exit_reason in (''signal'', ''ruin''))",
        "signal or ruin; null: open at the end.",
    ),
    ("feature_snapshot", "jsonb not null", "Features of the entry''s signal bar."),
    ("feature_version_hash", "text not null", "The entry''s feature hash."),
]

EQUITY = [
    ("run_id", "uuid not null", "The run."),
    ("ts", "timestamptz not null", "A bar of any of its assets."),
    ("cash", "double precision not null", "Cash at its close."),
    (
        "positions",
        "double precision not null",
        "Positions marked to their last closes; shorts are negative.",
    ),
    ("equity", "double precision not null check (equity >= 0)", "cash + positions."),
    (
        "daily_return",
        "double precision not null",
        "Over the bar before; over the capital for the first.",
    ),
    (
        "drawdown",
        "double precision not null check (drawdown <= 0)",
        "Below the highest equity so far, a fraction.",
    ),
    (
        "exposure",
        "double precision not null",
        "Sum of |units| x close over equity; 0 without equity.",
    ),
    (
        "benchmark",
        "double precision not null",
        "Equal parts of the capital in each asset, bought at its first close and held, without costs.",
    ),
]

DIM_METRICS = [
    ("metric", "text primary key", "The name."),
    (
        "unit",
        "text not null check (unit in (''fraction'', ''ratio'', ''days'', ''count'', ''bars''))",
        "fraction: 0.01 is one percent.",
    ),
    ("formula", "text not null", "How it is worked out."),
    ("description", "text not null", "What it says, and when it is null."),
    ("place", "integer not null unique", "Its place in a list."),
]

METRICS = [
    ("run_id", OF_A_RUN, "The run."),
    ("metric", "text not null references backtest.dim_metrics", "Which one."),
    ("value", "double precision", "Its value; null: undefined for this run."),
]

RUN_SEGMENTS = [
    ("run_id", OF_A_RUN, "The run."),
    ("id", "integer not null", "The asset."),
    ("year", "integer not null", "The calendar year, in UTC."),
    ("row_count", "integer not null check (row_count > 0)", "Rows of it."),
    (
        "digest",
        "bytea not null check (length(digest) = 32)",
        "SHA-256 of what the signal reads of them.",
    ),
]

#: Name, columns, end of the definition, meaning, the published view's name and what the app may do.
TABLES = {
    "cost_models": (
        COST_MODELS,
        "",
        "What trading costs. A run copies its row: changing one leaves old runs as they are.",
        "cost_models",
        "insert, update, delete",
    ),
    "runs": (
        RUNS,
        ", constraint range_is_in_order check (first_ts <= last_ts)",
        "One backtest each: what was asked, what it was made from, and the digests of both and of its result.",
        "backtest_runs",
        "insert, delete",
    ),
    "trades": (
        TRADES,
        ", primary key (run_id, trade_no)",
        "Every position of a run, from its fill to its fill.",
        "backtest_trades",
        "insert",
    ),
    "equity": (
        EQUITY,
        ", primary key (run_id, ts)",
        "The account of a run at each close.",
        "backtest_equity",
        "insert, delete",
    ),
    "dim_metrics": (
        DIM_METRICS,
        "",
        "The metrics of a run, with their formulas.",
        "dim_metrics",
        "",
    ),
    "metrics": (
        METRICS,
        ", primary key (run_id, metric)",
        "The metrics of each run.",
        "backtest_metrics",
        "insert",
    ),
    "run_segments": (
        RUN_SEGMENTS,
        ", primary key (run_id, id, year)",
        "The asset-years that a run was made from, with their digests as they were.",
        "backtest_run_segments",
        "insert",
    ),
}

RATIOS = "null where the deviation is 0 or there are fewer than two returns"
CLOSED = "closed trades; open ones don''t count"
SEEDS = f"""
    ('total_return', 'fraction', 'last equity / capital - 1', 'What was gained in all.'),
    ('cagr', 'fraction', '(last equity / capital) ^ (365 / days) - 1', 'Growth per year of 365 calendar days, from the first bar to the last; null on one bar.'),
    ('volatility', 'fraction', 'sd(r) x sqrt(A)', 'Annualised sample deviation of daily returns; A is annualisation_days.'),
    ('sharpe', 'ratio', 'mean(r) / sd(r) x sqrt(A)', 'Risk-free rate 0, sample deviation; {RATIOS}.'),
    ('sortino', 'ratio', 'mean(r) / sqrt(mean(min(r, 0)^2)) x sqrt(A)', 'The mean is over all days; null without a loss.'),
    ('calmar', 'ratio', 'cagr / |max_drawdown|', 'Null without a drawdown.'),
    ('max_drawdown', 'fraction', 'min(equity / highest equity so far - 1)', 'On closes; 0 or negative.'),
    ('max_drawdown_days', 'days', 'recovery - peak', 'Of the maximum drawdown: from the last bar at the peak to the first at or above it, else to the last bar; 0 without one.'),
    ('var_95', 'fraction', 'quantile(r, 0.05), interpolated', 'The daily return that one day in twenty falls below.'),
    ('expected_shortfall_95', 'fraction', 'mean of the floor((n - 1) x 0.05) + 1 lowest r', 'The mean of the worst days.'),
    ('skew', 'ratio', 'mean((r - m)^3) / mean((r - m)^2)^1.5', 'Population skewness of daily returns; null where all are equal.'),
    ('tail_ratio', 'ratio', '|quantile(r, 0.95)| / |quantile(r, 0.05)|', 'The best days against the worst; null where the 5 percent quantile is 0.'),
    ('alpha', 'fraction', '(1 + mean(r - beta x b))^A - 1', 'Annualised return beyond beta times that of buying and holding; null where beta is.'),
    ('beta', 'ratio', 'cov(r, b) / var(b)', 'To buying and holding; null where the benchmark doesn''t move.'),
    ('benchmark_return', 'fraction', 'last benchmark / capital - 1', 'What buying and holding gained.'),
    ('exposure', 'fraction', 'mean(exposure)', 'Mean over bars of positions as a share of equity.'),
    ('time_in_market', 'fraction', 'bars with a position / bars', 'Share of bars that end with a position.'),
    ('turnover', 'ratio', 'traded value / mean(equity) / (days / 365)', 'Units x fill price of entries and exits, per year, as a multiple of the mean equity; null on one bar.'),
    ('trades', 'count', 'number of closed trades', 'Those open at the end don''t count.'),
    ('open_trades', 'count', 'number of trades without exit', 'Open at the end, marked to the last close.'),
    ('win_rate', 'fraction', 'trades with net_pnl > 0 / trades', 'Of {CLOSED}; null without any.'),
    ('profit_factor', 'ratio', 'sum of net_pnl > 0 / |sum of net_pnl < 0|', 'On money, of {CLOSED}; null without a loss.'),
    ('avg_win', 'fraction', 'mean(return_pct) where net_pnl > 0', 'Of {CLOSED}; null without a win.'),
    ('avg_loss', 'fraction', 'mean(return_pct) where net_pnl < 0', 'Of {CLOSED}; null without a loss.'),
    ('avg_holding_days', 'days', 'mean(exit_ts - entry_ts)', 'Of {CLOSED}; null without any.'),
    ('entries_skipped', 'count', 'entries that were not filled', 'For want of cash, of room under capital_limit, of a known volatility, or of a price above 0; or worth less than a billionth of equity.')
"""

#: What an older checkout doesn't know.
ROUTINES = {
    "procedures/backtest/validate_backtest_reproducibility.sql": [
        "public.validate_backtest_reproducibility(uuid, text, double precision, timestamptz, text)",
        "backtest._in_words(jsonb)",
        "backtest._repeated(backtest.runs, timestamptz, boolean)",
    ],
    "functions/backtest/compare_runs.sql": [
        "backtest.compare_runs(uuid, uuid)",
        "backtest._result_differences(uuid, uuid)",
        "backtest._told_trade(backtest.trades)",
        "backtest._input_differences(backtest.runs, backtest.runs)",
        "backtest._machinery_parts(jsonb)",
        "backtest._segment_differences(backtest.runs, backtest.runs, integer, integer)",
        "backtest._told_signals(backtest.runs, integer)",
    ],
    "procedures/backtest/run_backtest.sql": [
        "public.run_backtest(text, integer[], timestamptz, timestamptz, text, double precision, text,"
        " double precision, text, double precision, timestamptz, text, double precision, uuid)",
        "backtest._signal(text)",
        "backtest._cost_model(text)",
        "backtest._check_settings(backtest.runs)",
        "backtest._universe(signals.dim_signals, integer[], timestamptz)",
    ],
    "functions/backtest/ranking.sql": ["backtest.ranking(text)"],
    "functions/backtest/drawdowns.sql": ["backtest.drawdowns(uuid, integer)"],
    "functions/backtest/monthly_returns.sql": ["backtest.monthly_returns(uuid)"],
    "functions/backtest/require_run.sql": ["backtest.require_run(uuid)"],
    "functions/backtest/result_digest.sql": ["backtest.result_digest(uuid)"],
    "functions/backtest/inputs_digest.sql": ["backtest.inputs_digest(backtest.runs)"],
    "functions/backtest/machinery.sql": ["backtest.machinery()"],
    "functions/backtest/measure.sql": [
        "backtest.measure(uuid, double precision, integer, integer)"
    ],
    "functions/backtest/metrics_kernel.sql": [
        "backtest.metrics_kernel(double precision, integer, bytea, bytea, bytea, bytea, bytea, bytea,"
        " bytea, integer, double precision, integer)"
    ],
    "functions/backtest/simulation_kernel.sql": [
        "backtest.simulation_kernel(uuid, integer[], bytea, bytea, bytea, bytea, bytea, bytea, bytea,"
        " bytea, bytea, double precision, double precision, double precision, double precision, text,"
        " double precision, double precision, text, double precision)"
    ],
    "functions/backtest/read_inputs.sql": [
        "backtest.read_inputs(integer, integer[], timestamptz, timestamptz, timestamptz)",
        "backtest._candles(integer[], timestamptz)",
        "backtest._events(integer, integer[], timestamptz)",
        "backtest._segments(integer, integer[], timestamptz)",
    ],
    "functions/backtest/stale_signals.sql": ["backtest.stale_signals(integer, integer[])"],
    "functions/backtest/delete_equity.sql": ["backtest.delete_equity()"],
}


def make(table: str) -> None:
    columns, end, what, view, may = TABLES[table]
    body = ", ".join(f"{name} {kind}" for name, kind, _ in columns).replace("''", "'")
    op.execute(f"create table backtest.{table} ({body}{end})")
    op.execute(f"comment on table backtest.{table} is '{what}'")
    for name, _, meaning in columns:
        op.execute(f"comment on column backtest.{table}.{name} is '{meaning}'")
    if may:
        op.execute(f"grant {may} on backtest.{table} to ta_lab2_app")
    names = ", ".join(f"t.{name}" for name, _, _ in columns)
    op.execute(f"create view published.{view} as select {names} from backtest.{table} as t")
    op.execute(f"comment on view published.{view} is 'backtest.{table}, to be read.'")


def upgrade() -> None:
    for table in TABLES:
        make(table)
    op.execute("""
        insert into backtest.cost_models (cost_model, fee_bps, slippage_bps, funding_bps, description)
        values ('clean', 0, 0, 0, 'Trading for nothing, to compare with.'),
               ('realistic', 10, 5, 0, 'A spot account: a tenth of a percent and some slippage.'),
               ('perp', 5, 5, 3, 'A perpetual future: a smaller fee, and funding every day.')
    """)
    op.execute(f"""
        insert into backtest.dim_metrics (metric, unit, formula, description, place)
        select s.metric, s.unit, s.formula, s.description, row_number() over ()
        from (values {SEEDS}) as s (metric, unit, formula, description)
    """)
    op.execute("create index on backtest.runs (label, created_at)")
    op.execute("create index on backtest.runs (signal_id, created_at)")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('backtest', 'cost_models', 'dim'),
               ('backtest', 'dim_metrics', 'dim'),
               ('backtest', 'runs', 'single'),
               ('backtest', 'trades', 'single'),
               ('backtest', 'equity', 'single'),
               ('backtest', 'metrics', 'single'),
               ('backtest', 'run_segments', 'single')
    """)


def downgrade() -> None:
    for path, routines in ROUTINES.items():
        for routine in routines:
            op.execute(f"drop routine if exists {routine} cascade")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    for table in reversed(TABLES):
        op.execute(f"drop view published.{TABLES[table][3]}")
        op.execute(f"drop table backtest.{table}")
    op.execute("delete from ta_meta.table_class as c where c.schema_name = 'backtest'")
