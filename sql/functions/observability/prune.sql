-- observability.prune(p_keep): remove what is over and older than that, as the numbers removed.
--
--     select * from observability.prune('90 days');
--
-- What runs and problems that go on stay, however old. A trace tree goes as a whole.

create or replace function observability.prune(p_keep interval)
returns table (metrics bigint, trace_trees bigint, alerts bigint, workflows bigint)
language plpgsql
volatile parallel unsafe
as $$
declare
    v_before timestamptz := clock_timestamp() - p_keep;
begin
    if p_keep is null or p_keep < interval '1 day' then
        raise exception 'the records of the last day are kept'
            using errcode = 'TA71E',
                  detail = format('Asked for is to keep %s.', coalesce(p_keep::text, 'null')),
                  hint = 'Give at least one day: observability.prune(''90 days'').';
    end if;
    return query
    with old_metrics as (
        delete from observability.metrics as m
        where m.recorded_at < v_before
        returning 1
    ), old_traces as (
        delete from observability.traces as t
        where t.parent_id is null
          and t.end_time < v_before
        returning 1
    ), old_alerts as (
        delete from observability.alerts as a
        where coalesce(a.resolved_at, case when a.problem is null then a.created_at end) < v_before
        returning 1
    ), old_workflows as (
        delete from observability.workflow_state as w
        where w.status <> 'running'
          and w.updated_at < v_before
        returning 1
    )
    select
        (select count(*) from old_metrics),
        (select count(*) from old_traces),
        (select count(*) from old_alerts),
        (select count(*) from old_workflows);
end
$$;

comment on function observability.prune(interval) is
    'Removes ended records older than the interval, at least a day; how many of each.';
