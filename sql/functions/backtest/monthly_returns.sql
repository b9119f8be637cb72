-- backtest.monthly_returns(p_run_id): what a run and its benchmark returned in each calendar month, one row each.
--
--     select m.month, round(100 * m.return_pct::numeric, 1) from backtest.monthly_returns('0b0e...') as m;
--
-- From the last close of the month before (the first month: from the capital) to the last of the month, UTC. Fractions.
-- A month without a bar has no row. A month that begins with nothing has none either.
--
-- requires: functions/backtest/require_run.sql

create or replace function backtest.monthly_returns(p_run_id uuid)
returns table (month date, return_pct double precision, benchmark_pct double precision)
language plpgsql
stable parallel safe
as $$
declare
    v_capital double precision := (backtest.require_run(p_run_id)).capital;
begin
    return query
    select
        m.month,
        m.equity / lag(m.equity, 1, v_capital) over w - 1,
        m.benchmark / lag(m.benchmark, 1, v_capital) over w - 1
    from (
        select distinct on (date_trunc('month', e.ts at time zone 'UTC'))
            date_trunc('month', e.ts at time zone 'UTC')::date as month,
            e.equity,
            e.benchmark
        from backtest.equity as e
        where e.run_id = p_run_id
        order by date_trunc('month', e.ts at time zone 'UTC'), e.ts desc
    ) as m
    window w as (order by m.month)
    order by m.month;
end
$$;

comment on function backtest.monthly_returns(uuid) is
    'Returns of a run and of its benchmark by calendar month, as fractions.';
