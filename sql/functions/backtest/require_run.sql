-- backtest.require_run(p_run_id): a run by its id, as its row; an error when there is none.
--
--     select (backtest.require_run('0b0e...')).signal_name;

create or replace function backtest.require_run(p_run_id uuid)
returns backtest.runs
language plpgsql
stable parallel safe
as $$
declare
    v_run backtest.runs;
begin
    select r.*
    into v_run
    from backtest.runs as r
    where r.run_id = p_run_id;
    if not found then
        raise exception 'there is no run %', coalesce(p_run_id::text, 'null')
            using errcode = 'TA612',
                  hint = 'select run_id, created_at, signal_name, label from backtest.runs order by created_at lists them.';
    end if;
    return v_run;
end
$$;

comment on function backtest.require_run(uuid) is
    'The row of a run; an error when there is none of that id.';
