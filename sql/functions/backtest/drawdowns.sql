-- backtest.drawdowns(p_run_id, p_count): the deepest drawdowns of a run, one row each, the deepest first.
--
--     select d.* from backtest.drawdowns('0b0e...', 5) as d;
--
-- From the last bar at the peak to the first bar at or above it, which is null while there is none; days are
-- counted to the last bar then. On closes, as fractions, 0 or negative.
--
-- requires: functions/backtest/require_run.sql

create or replace function backtest.drawdowns(p_run_id uuid, p_count integer default 5)
returns table (
    drawdown double precision,
    peak_ts timestamptz,
    trough_ts timestamptz,
    recovery_ts timestamptz,
    days double precision
)
language plpgsql
stable parallel safe
as $$
declare
    v_last timestamptz := (backtest.require_run(p_run_id)).last_ts;
begin
    return query
    with under as (
        select
            e.ts,
            e.drawdown,
            -- Each bar at a peak begins a stretch, that all bars below it belong to.
            count(*) filter (where e.drawdown = 0) over (order by e.ts) as stretch
        from backtest.equity as e
        where e.run_id = p_run_id
    ),

    stretches as (
        select
            u.stretch,
            min(u.drawdown) as drawdown,
            min(u.ts) as peak_ts,
            (array_agg(u.ts order by u.drawdown, u.ts))[1] as trough_ts
        from under as u
        group by u.stretch
    ),

    known as (
        select
            s.drawdown, s.peak_ts, s.trough_ts,
            lead(s.peak_ts) over (order by s.stretch) as recovery_ts
        from stretches as s
    )

    select
        k.drawdown, k.peak_ts, k.trough_ts, k.recovery_ts,
        (extract(epoch from coalesce(k.recovery_ts, v_last) - k.peak_ts) / 86400)::double precision
    from known as k
    where k.drawdown < 0
    order by k.drawdown, k.peak_ts
    limit p_count;
end
$$;

comment on function backtest.drawdowns(uuid, integer) is
    'The deepest drawdowns of a run: depth as a fraction, peak, trough, recovery, length in days.';
