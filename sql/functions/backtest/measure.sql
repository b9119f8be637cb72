-- backtest.measure(p_run_id, p_capital, p_annualisation_days, p_skipped, p_ts, p_equity, p_exposure, p_benchmark): the metrics of a run, one row each.
--
--     select m.metric, m.value from backtest.measure(run_id, 10000, 365, 0, ts, equity, exposure, benchmark) as m;
--
-- From its stored trades and the columns of its equity that it is given, as array_send of the rows in order of time: what a run
-- has just worked out need not be read back. backtest.dim_metrics has the formulas.
-- p_skipped, the entries that were not filled, is in no table.
--
-- requires: functions/backtest/metrics_kernel.sql

create or replace function backtest.measure(
    p_run_id uuid,
    p_capital double precision,
    p_annualisation_days integer,
    p_skipped integer,
    p_ts bytea,
    p_equity bytea,
    p_exposure bytea,
    p_benchmark bytea
)
returns table (metric text, value double precision)
language plpgsql
stable parallel unsafe
-- Plans are kept for the session: one made when the table was empty must serve a full one too.
set enable_seqscan = off
as $$
begin
    return query
    select m.metric, m.value
    from (
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
        p_capital, p_annualisation_days, p_ts, p_equity, p_exposure, p_benchmark,
        t.net, t.pct, t.days, t.open, t.traded, p_skipped
    ) as k
    cross join lateral unnest(k.metric, k.value) as m (metric, value);
end
$$;

comment on function backtest.measure(uuid, double precision, integer, integer, bytea, bytea, bytea, bytea) is
    'Metrics of a run by name; fractions, days, null where undefined.';
