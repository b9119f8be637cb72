-- backtest.ranking(p_label): the latest run of each strategy, the highest Sharpe ratio first, as a table.
--
--     select r.place, r.signal_name, r.sharpe, r.total_return from backtest.ranking() as r;
--     select r.* from backtest.ranking('demo') as r;
--
-- A strategy is a signal with its assets, range, costs, sizing and fill; of its repeats the latest counts. With a label only
-- runs of that label. A run without a Sharpe ratio comes last; equals come by signal, then by assets. A ranking is in-sample:
-- the first of many is partly chance, and runs of other ranges or costs do not compare; backtest.cautions() says what to keep
-- in mind of each.

create or replace function backtest.ranking(p_label text default null)
returns table (
    place bigint,
    run_id uuid,
    signal_name text,
    cost_model text,
    assets integer,
    first_ts timestamptz,
    last_ts timestamptz,
    status text,
    sharpe double precision,
    total_return double precision,
    cagr double precision,
    max_drawdown double precision,
    trades double precision,
    win_rate double precision,
    benchmark_return double precision
)
language sql
stable parallel safe
as $$
with latest as (
    select distinct on (
        r.signal_id, r.signal_version, r.asset_ids, r.from_ts, r.to_ts, r.cost_model, r.capital, r.sizing,
        r.fraction, r.vol_target, r.fill, r.capital_limit, r.known_at
    )
        r.*
    from backtest.runs as r
    where p_label is null
       or r.label = p_label
    order by
        r.signal_id, r.signal_version, r.asset_ids, r.from_ts, r.to_ts, r.cost_model, r.capital, r.sizing,
        r.fraction, r.vol_target, r.fill, r.capital_limit, r.known_at, r.created_at desc, r.run_id
)

select
    row_number() over (
        order by m.sharpe desc nulls last, l.signal_name, l.asset_ids, l.cost_model, l.created_at, l.run_id
    ),
    l.run_id, l.signal_name, l.cost_model, cardinality(l.asset_ids), l.first_ts, l.last_ts, l.status,
    m.sharpe, m.total_return, m.cagr, m.max_drawdown, m.trades, m.win_rate, m.benchmark_return
from latest as l
left join lateral (
    select
        max(m.value) filter (where m.metric = 'sharpe') as sharpe,
        max(m.value) filter (where m.metric = 'total_return') as total_return,
        max(m.value) filter (where m.metric = 'cagr') as cagr,
        max(m.value) filter (where m.metric = 'max_drawdown') as max_drawdown,
        max(m.value) filter (where m.metric = 'trades') as trades,
        max(m.value) filter (where m.metric = 'win_rate') as win_rate,
        max(m.value) filter (where m.metric = 'benchmark_return') as benchmark_return
    from backtest.metrics as m
    where m.run_id = l.run_id
) as m on true
order by 1
$$;

comment on function backtest.ranking(text) is
    'The latest run of each strategy by descending Sharpe ratio, with its main metrics; fractions. In-sample: of many, the first is partly chance.';
