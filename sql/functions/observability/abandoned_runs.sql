-- observability.abandoned_runs(p_type): the runs whose statement is gone, oldest first, as their ids.
--
--     select observability.end_run(r, 'abandoned') from observability.abandoned_runs('nightly') as r;
--
-- Each is locked until the transaction ends, and one that another session has is left out:
-- two verbs that begin at once close it once.
--
-- requires: functions/observability/is_alive.sql

create or replace function observability.abandoned_runs(p_type text)
returns setof uuid
language sql
volatile parallel unsafe
as $$
select w.workflow_id
from observability.workflow_state as w
where w.type = p_type
  and w.status = 'running'
  and w.metadata ? 'backend'
  and not observability.is_alive(w.metadata -> 'backend')
order by w.created_at
for update skip locked
$$;

comment on function observability.abandoned_runs(text) is
    'Runs of a type that are marked running and whose statement is gone, locked.';
