-- validate_backtest_reproducibility(p_run_id, p_mode, p_tolerance, p_known_at): repeat a run, store nothing, and say whether it is the same.
--
--     call validate_backtest_reproducibility('b0a1...');
--     call validate_backtest_reproducibility('b0a1...', p_mode => 'warn', p_tolerance => 1e-10);
--     call validate_backtest_reproducibility('b0a1...', p_known_at => '2024-06-01');   -- on the data as they stood then
--
-- The inputs first, then the result, which tells nothing while the inputs are others:
--   strict   other inputs are an error, after an alert; so is another result of the same inputs;
--   warn     other inputs leave an alert and a warning, and the results are compared all the same;
--   trust    the inputs are not looked at, the results are.
-- Another machinery is told and is no error: a new version has to give the same result.
-- The tolerance is the largest difference that the equity of a bar may have, as a share of it; 0: the same bits.
-- The verdict is equal, within tolerance, inputs differ or result differs. What is equal resolves the run's alert.
-- It commits an alert before it raises the error, hence a procedure: call it outside a transaction block.
--
-- requires: functions/backtest/compare_runs.sql, functions/observability/record_alert.sql
-- requires: functions/observability/resolve_alert.sql

create or replace function backtest._repeated(p_run backtest.runs, p_known_at timestamptz, p_names_inputs boolean)
returns jsonb
language plpgsql
volatile parallel unsafe
set timezone = 'UTC'
as $$
declare
    v_run_id uuid;
    v_repeat backtest.runs;
    v_found  jsonb;
begin
    -- Variables outlive what is rolled back.
    begin
        call public.run_backtest(
            p_signal => p_run.signal_name,
            p_asset_ids => p_run.asset_ids,
            p_from => p_run.from_ts,
            p_to => p_run.to_ts,
            p_cost_model => p_run.cost_model,
            p_capital => p_run.capital,
            p_sizing => p_run.sizing,
            p_fraction => p_run.fraction,
            p_fill => p_run.fill,
            p_capital_limit => p_run.capital_limit,
            p_known_at => p_known_at,
            p_vol_target => p_run.vol_target,
            p_run_id => v_run_id
        );
        v_repeat := backtest.require_run(v_run_id);
        v_found := jsonb_build_object(
            'same_inputs', v_repeat.inputs_digest = p_run.inputs_digest,
            'same_machinery', v_repeat.machinery_digest = p_run.machinery_digest,
            'same_result', v_repeat.result_digest = p_run.result_digest,
            'equity', (
                select jsonb_object_agg(e.ts, e.equity)
                from backtest.equity as e
                where e.run_id = v_run_id
            )
        );
        if p_names_inputs and not (v_found -> 'same_inputs')::boolean then
            v_found := v_found || jsonb_build_object(
                'differences', (
                    select jsonb_agg(to_jsonb(i))
                    from backtest._input_differences(p_run, v_repeat) as i
                )
            );
        end if;
        raise exception 'a repeated run is not kept' using errcode = 'UNDO0';
    exception when sqlstate 'UNDO0' then
        return v_found;
    end;
end
$$;

comment on function backtest._repeated(backtest.runs, timestamptz, boolean) is
    'Private: what came out of a run that was repeated and rolled back, and how its inputs differ.';

create or replace function backtest._in_words(p_differences jsonb)
returns text
language sql
immutable parallel safe
as $$
select
    coalesce(
        string_agg(
            concat_ws(
                ' ', d.value ->> 'level', 'of asset ' || (d.value ->> 'id'), left(d.value ->> 'ts', 10),
                d.value ->> 'what', 'from ' || left(d.value ->> 'a', 24), 'to ' || left(d.value ->> 'b', 24)
            ),
            '; ' order by d.place
        ) filter (where d.place <= 4),
        'nothing that compare_runs can name'
    )
    || case when count(*) > 4 then format('; and %s more', count(*) - 4) else '' end
from jsonb_array_elements(p_differences) with ordinality as d (value, place)
$$;

comment on function backtest._in_words(jsonb) is
    'Private: the first differences of two runs in a line.';

create or replace procedure public.validate_backtest_reproducibility(
    p_run_id uuid,
    p_mode text default 'strict',
    p_tolerance double precision default 0,
    p_known_at timestamptz default null,
    inout p_verdict text default null
)
language plpgsql
as $$
declare
    v_run     backtest.runs := backtest.require_run(p_run_id);
    v_problem text := 'backtest ' || p_run_id;
    v_repeat  jsonb;
    v_told    text;
    v_apart   double precision;
begin
    if p_mode is null or p_mode not in ('strict', 'warn', 'trust') then
        raise exception 'there is no mode %', coalesce(p_mode, 'null')
            using errcode = 'TA641',
                  detail = 'It is strict, warn or trust.',
                  hint = 'strict stops at other inputs, warn goes on, trust does not look at them.';
    end if;
    if p_tolerance is null or not (p_tolerance >= 0 and p_tolerance <= 1) then
        raise exception 'the tolerance is not between 0 and 1'
            using errcode = 'TA642',
                  detail = format('It is %s.', coalesce(p_tolerance::text, 'null')),
                  hint = 'It is a share of equity: 0 for the same bits, 1e-10 for rounding.';
    end if;
    v_repeat := backtest._repeated(v_run, coalesce(p_known_at, v_run.known_at), p_mode <> 'trust');

    if not (v_repeat ->> 'same_machinery')::boolean then
        raise notice 'validate_backtest_reproducibility: the machinery is another one; compare_runs names it';
    end if;
    if p_mode <> 'trust' and not (v_repeat ->> 'same_inputs')::boolean then
        v_told := backtest._in_words(v_repeat -> 'differences');
        perform observability.record_alert(
            'backtest.inputs_differ', 'warning',
            format('run %s (%s): its inputs are others now: %s', p_run_id, v_run.signal_name, v_told),
            v_problem, jsonb_build_object('run_id', p_run_id, 'differences', v_repeat -> 'differences')
        );
        if p_mode = 'strict' then
            commit;
            raise exception 'the inputs of run % are others now', p_run_id
                using errcode = 'TA643',
                      detail = v_told,
                      hint = 'Give p_known_at => ''' || v_run.data_at || ''' to repeat it on the data that it'
                          || ' read, or p_mode => ''warn'' to compare the results all the same.';
        end if;
        raise warning 'validate_backtest_reproducibility: the inputs are others now: %', v_told;
    end if;

    select
        max(
            case
                when x.equity = (y.equity #>> '{}')::double precision then 0
                else coalesce(
                    abs(x.equity - (y.equity #>> '{}')::double precision) / nullif(x.equity, 0), 'Infinity'
                )
            end
        )
    into v_apart
    from (select e.* from backtest.equity as e where e.run_id = p_run_id) as x
    full join jsonb_each(v_repeat -> 'equity') as y (ts, equity) on y.ts::timestamptz = x.ts;
    p_verdict := case
        when p_mode <> 'trust' and not (v_repeat ->> 'same_inputs')::boolean then 'inputs differ'
        when (v_repeat ->> 'same_result')::boolean then 'equal'
        when v_apart <= p_tolerance and p_tolerance > 0 then 'within tolerance'
        else 'result differs'
    end;
    raise notice 'validate_backtest_reproducibility: %, the equity of a bar differs by a share of at most %',
        p_verdict, v_apart;
    if p_verdict in ('equal', 'within tolerance') then
        perform observability.resolve_alert(v_problem);
    elsif p_verdict = 'result differs' and (v_repeat ->> 'same_inputs')::boolean then
        perform observability.record_alert(
            'backtest.result_differs', 'critical',
            format('run %s (%s): the same inputs give another result', p_run_id, v_run.signal_name),
            v_problem, jsonb_build_object('run_id', p_run_id, 'largest_difference', v_apart)
        );
        if p_mode = 'strict' then
            commit;
            raise exception 'run % has another result now', p_run_id
                using errcode = 'TA644',
                      detail = format(
                          'Its inputs are the same; the equity of a bar differs by a share of up to %s; the machinery is %s.',
                          v_apart, case when (v_repeat ->> 'same_machinery')::boolean then 'the same' else 'another one' end
                      ),
                      hint = 'Run it again and call backtest.compare_runs on both; p_tolerance allows for rounding.';
        end if;
    end if;
end
$$;

comment on procedure public.validate_backtest_reproducibility(uuid, text, double precision, timestamptz, text) is
    'Repeats a run without storing it and compares inputs, then result; alerts and, in strict mode, fails on what differs.';
