-- run_backtest(p_signal, p_asset_ids, p_from, p_to, p_cost_model, p_capital, p_sizing, p_fraction, p_fill, p_capital_limit, p_known_at, p_label, p_vol_target, p_run_id): trade a signal's stored entries and exits, as a run with trades, equity and metrics.
--
--     call run_backtest('ema_21_50_long');
--     call run_backtest('rsi_30_70_mr', p_asset_ids => '{1,1027}', p_cost_model => 'perp', p_label => 'first');
--     call run_backtest('atr_20_donchian', p_sizing => 'volatility_target', p_to => '2024-12-31 23:59:59.999+00');
--     call run_backtest('ema_21_50_long', p_known_at => '2024-06-01 06:00+00');
--
-- Front door: lives in public so an operator can type it unqualified. All assets that have the signal share one
-- account by default. The range counts bars, both ends included: a signal outside of it doesn't count, and one on
-- its last bar is not filled. With p_known_at signals and candles are as they were known then, and nothing
-- need be stored of them; otherwise signals that the candles have outrun are refused.
--
-- A run is one transaction: killed anywhere it leaves nothing. The same data, parameters and machinery give the
-- same bits, and three digests in backtest.runs say which of them are the same. docs/backtest.md has the rules.
--
-- requires: functions/backtest/planned_runs.sql, functions/backtest/work_out.sql, functions/db/counted.sql

create or replace procedure public.run_backtest(
    p_signal text,
    p_asset_ids integer[] default null,
    p_from timestamptz default null,
    p_to timestamptz default null,
    p_cost_model text default 'realistic',
    p_capital double precision default 10000,
    p_sizing text default 'all_in',
    p_fraction double precision default 1.0,
    p_fill text default 'next_open',
    p_capital_limit double precision default 1.0,
    p_known_at timestamptz default null,
    p_label text default null,
    p_vol_target double precision default 0.20,
    inout p_run_id uuid default null
)
language plpgsql
as $$
declare
    v_run backtest.runs;
begin
    if exists (select from backtest.runs as r where r.run_id = p_run_id) then
        raise exception 'there is a run % already', p_run_id
            using errcode = 'TA611',
                  detail = 'A run is never written again.',
                  hint = 'Leave p_run_id out, and the run gets an id of its own.';
    end if;
    select r.*
    into v_run
    from backtest.planned_runs(
        array[p_signal], p_asset_ids, false, p_from, p_to, p_cost_model, p_capital, p_sizing, p_fraction, p_fill,
        p_capital_limit, p_known_at, p_label, p_vol_target
    ) as r;
    v_run.run_id := coalesce(p_run_id, v_run.run_id);
    select w.*
    into v_run
    from backtest.work_out(array[v_run]) as w;
    p_run_id := v_run.run_id;
    raise notice 'run_backtest: %, %, %, %, %, % s',
        v_run.signal_name, db.counted(cardinality(v_run.asset_ids), 'asset'), db.counted(v_run.bars, 'bar'),
        db.counted((select count(*) from backtest.trades as t where t.run_id = p_run_id), 'trade'), v_run.status,
        round(extract(epoch from v_run.duration), 2);
end
$$;

comment on procedure public.run_backtest(
    text, integer[], timestamptz, timestamptz, text, double precision, text, double precision, text,
    double precision, timestamptz, text, double precision, uuid
) is
    'Backtests a signal over assets and a range; p_run_id comes back as the run''s id. US dollars, fractions, basis points.';
