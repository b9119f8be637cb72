-- backtest.measure(p_run_id, p_capital, p_annualisation_days, p_skipped): the metrics of a run from its stored trades and equity, one row each.
--
--     select m.metric, m.value from backtest.measure(run_id, 10000, 365, 0) as m;
--
-- backtest.dim_metrics has their formulas. p_skipped, the entries that were not filled, is in no table.
--
-- requires: functions/backtest/metrics_kernel.sql

create or replace function backtest.measure(
    p_run_id uuid,
    p_capital double precision,
    p_annualisation_days integer,
    p_skipped integer
)
returns table (metric text, value double precision)
language sql
stable parallel unsafe
-- Planned at each call, for the table as it has become, and by its key.
set enable_seqscan = off
as $$
select m.metric, m.value
from (
    select
        array_send(array_agg(e.ts order by e.ts)) as ts,
        array_send(array_agg(e.equity order by e.ts)) as equity,
        array_send(array_agg(e.exposure order by e.ts)) as exposure,
        array_send(array_agg(e.benchmark order by e.ts)) as benchmark
    from backtest.equity as e
    where e.run_id = p_run_id
) as e
cross join (
    select
        array_send(array_agg(t.net_pnl order by t.trade_no) filter (where t.exit_ts is not null)) as net,
        array_send(array_agg(t.return_pct order by t.trade_no) filter (where t.exit_ts is not null)) as pct,
        array_send(
            array_agg((extract(epoch from t.exit_ts - t.entry_ts) / 86400)::double precision order by t.trade_no)
            filter (where t.exit_ts is not null)
        ) as days,
        (count(*) filter (where t.exit_ts is null))::integer as open,
        coalesce(
            sum(t.units * (t.entry_price + coalesce(t.exit_price, 0)) order by t.trade_no), 0
        ) as traded
    from backtest.trades as t
    where t.run_id = p_run_id
) as t
cross join lateral backtest.metrics_kernel(
    p_capital, p_annualisation_days, e.ts, e.equity, e.exposure, e.benchmark,
    t.net, t.pct, t.days, t.open, t.traded, p_skipped
) as k
cross join lateral unnest(k.metric, k.value) as m (metric, value)
$$;

comment on function backtest.measure(uuid, double precision, integer, integer) is
    'Metrics of a run by name; fractions, days, null where undefined.';
