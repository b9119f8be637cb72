-- observability.recent_runs(p_most, p_failed): the last runs, newest first, one row each.
--
--     select * from observability.recent_runs();
--     select * from observability.recent_runs(p_failed => true);
--
-- A run whose statement is gone shows as abandoned here at once, in the tables from the next
-- run on. p_failed leaves out those that are done or running.
--
-- requires: functions/observability/is_alive.sql

create or replace function observability.recent_runs(p_most integer default 20, p_failed boolean default false)
returns table (
    run_id uuid,
    correlation_id text,
    type text,
    status text,
    started_at timestamptz,
    seconds double precision,
    metadata jsonb
)
language sql
stable parallel restricted
as $$
select
    t.trace_id,
    t.correlation_id,
    t.operation,
    s.status,
    t.start_time,
    extract(epoch from coalesce(
        t.end_time, case when s.status = 'running' then clock_timestamp() end
    ) - t.start_time)::double precision,
    w.metadata - 'backend'
from observability.workflow_state as w
join observability.traces as t on t.trace_id = w.workflow_id
cross join lateral (
    select case
        when w.status = 'running' and not observability.is_alive(w.metadata -> 'backend') then 'abandoned'
        else w.status
    end as status
) as s
where not p_failed or s.status not in ('done', 'running')
order by t.start_time desc, t.trace_id
limit p_most
$$;

comment on function observability.recent_runs(integer, boolean) is
    'The last runs with status, duration and counts; seconds is null for one that died unclosed.';
