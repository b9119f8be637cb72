-- observability.is_alive(p_backend): whether the statement that left its identity still runs, as boolean.
--
--     select observability.is_alive(w.metadata -> 'backend') from workflow_state as w;
--
-- A session that was cancelled lives on with another statement, a pid is given out again:
-- neither counts. A backend whose statement may not be seen counts as alive.
--
-- requires: functions/observability/backend_identity.sql

create or replace function observability.is_alive(p_backend jsonb)
returns boolean
language sql
stable parallel restricted
as $$
select coalesce(b.now = p_backend or (b.now is not null and b.now ->> 'backend_start' is null), false)
from (select observability.backend_identity((p_backend ->> 'pid')::integer) as now) as b
$$;

comment on function observability.is_alive(jsonb) is
    'Whether the statement with this backend_identity still runs.';
