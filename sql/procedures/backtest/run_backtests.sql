-- run_backtests(p_signals, p_asset_ids, p_each_asset, p_from, p_to, p_cost_model, p_capital, p_sizing, p_fraction, p_fill, p_capital_limit, p_known_at, p_label, p_vol_target, p_run_ids): backtest many signals, over all assets or each of them, a commit per batch.
--
--     call run_backtests(p_label => 'seeds');                          -- every active signal over all its assets
--     call run_backtests(p_each_asset => true, p_label => 'singly');   -- and an account for each asset
--     call run_backtests('{ema_21_50_long,rsi_30_70_mr}', p_cost_model => 'perp');
--
-- Front door: lives in public so an operator can type it unqualified. Its runs are those of run_backtest, to the bit, with the
-- same settings; backtest.ranking(label) ranks them. Runs of the same assets are read together, which takes a fraction
-- of the time. A batch is committed as a whole, so what is done by then stays when it is stopped: a
-- procedure that can't be called in a transaction block.
-- A run that can't be made, because its signals are not up to date or its assets have no candle in the range, is told as a
-- warning (the first ten are) and takes nothing of the others along; it is an error when there is no other.
--
-- requires: functions/backtest/planned_runs.sql, functions/backtest/work_out.sql

create or replace procedure public.run_backtests(
    p_signals text[] default null,
    p_asset_ids integer[] default null,
    p_each_asset boolean default false,
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
    inout p_run_ids uuid[] default null
)
language plpgsql
as $$
declare
    v_started timestamptz := clock_timestamp();
    v_told_at timestamptz := v_started;
    v_batch   record;
    v_singly  backtest.runs[];
    v_run     backtest.runs;
    v_problem text;
    v_detail  text;
    v_hint    text;
    v_failed  integer := 0;
begin
    p_run_ids := '{}';
    for v_batch in
        select array_agg(n.run order by n.place) as runs, max(n.total) as total
        from (
            select
                r as run,
                row_number() over assets as place,
                count(*) over () as total,
                -- Candles are read once for all runs of a batch, and held for each: so many at a time.
                (sum(cardinality(r.asset_ids)) over assets - 1) / 30 as batch
            from backtest.planned_runs(
                p_signals, p_asset_ids, p_each_asset, p_from, p_to, p_cost_model, p_capital, p_sizing, p_fraction,
                p_fill, p_capital_limit, p_known_at, p_label, p_vol_target
            ) as r
            window assets as (order by r.asset_ids, r.signal_id)
        ) as n
        group by n.batch
        order by n.batch
    loop
        v_singly := v_batch.runs;
        if cardinality(v_singly) > 1 then
            begin
                perform backtest.work_out(v_batch.runs);
                p_run_ids := p_run_ids || array(select r.run_id from unnest(v_batch.runs) as r);
                v_singly := '{}';
            exception when others then
                -- Which of them it was shows when each is done by itself.
                null;
            end;
        end if;
        foreach v_run in array v_singly
        loop
            begin
                perform backtest.work_out(array[v_run]);
                p_run_ids := p_run_ids || v_run.run_id;
            exception when others then
                if v_batch.total = 1 then
                    raise;
                end if;
                get stacked diagnostics v_detail = pg_exception_detail, v_hint = pg_exception_hint;
                -- PL/Python puts the name of its exception before the message; the code says it.
                v_problem := regexp_replace(sqlerrm, '^(spiexceptions|plpy)\.\w+: ', '');
                v_failed := v_failed + 1;
                if v_failed <= 10 then
                    raise warning 'run_backtests: % over assets % failed: %',
                        v_run.signal_name, array_to_string(v_run.asset_ids, ', '), v_problem
                        using detail = v_detail, hint = v_hint;
                end if;
            end;
        end loop;
        commit;
        if clock_timestamp() > v_told_at + interval '1 second' or cardinality(p_run_ids) + v_failed = v_batch.total then
            v_told_at := clock_timestamp();
            raise notice 'run_backtests: % of % runs, % failed, % s',
                cardinality(p_run_ids) + v_failed, v_batch.total, v_failed,
                round(extract(epoch from v_told_at - v_started), 1);
        end if;
    end loop;
    if p_run_ids = '{}' then
        raise exception 'no run could be made'
            using errcode = 'TA607',
                  detail = case
                      when v_failed = 0 then 'There is no signal to run.'
                      else format('%s were tried, none succeeded. The last: %s. %s', v_failed, v_problem, v_detail)
                  end,
                  hint = coalesce(v_hint, 'select signal_name, is_active from dim_signals lists them.');
    end if;
end
$$;

comment on procedure public.run_backtests(
    text[], integer[], boolean, timestamptz, timestamptz, text, double precision, text, double precision, text,
    double precision, timestamptz, text, double precision, uuid[]
) is
    'Backtests signals over all their assets or each of them, a commit per batch; p_run_ids comes back as the ids of the runs.';
